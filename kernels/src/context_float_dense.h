// context_float_dense.h - y += W x for one or many x, the work of a context model.
#pragma once

#include <cstddef>

namespace latentsr {

// Outputs are computed this many at a time; matrices are padded to a multiple of it.
inline constexpr std::size_t kPanel = 64;

// Columns that are summed before they are added to what is there. One long chain of additions is
// three times as far from the true sum as torch's own sums are; chains of 32 are as close.
inline constexpr std::size_t kChain = 32;

// `weights`: the panels of a PanelMatrix, `inputs` columns each. Adds W x to `rows` rows of out:
//   out[o] += ((0 + W[o][0] x[0]) + W[o][1] x[1]) + ...   for each kChain columns in turn,
// where products and sums are rounded, each by itself.
using DenseAdd = void (*)(const float* weights, std::size_t inputs, std::size_t panels,
                          const float* x, std::size_t x_step, std::size_t rows, float* out,
                          std::size_t out_step);

void dense_add_scalar(const float* weights, std::size_t inputs, std::size_t panels,
                      const float* x, std::size_t x_step, std::size_t rows, float* out,
                      std::size_t out_step);
void dense_add_avx2(const float* weights, std::size_t inputs, std::size_t panels, const float* x,
                    std::size_t x_step, std::size_t rows, float* out, std::size_t out_step);
void dense_add_avx512(const float* weights, std::size_t inputs, std::size_t panels,
                      const float* x, std::size_t x_step, std::size_t rows, float* out,
                      std::size_t out_step);

}  // namespace latentsr
