// context_float_scalar.cpp - dense_add() for any processor. See context_float_dense.h.
#include <algorithm>

#include "context_float_dense.h"

namespace latentsr {

namespace {

// One panel and one row, `inputs` columns, at most kChain.
void dense_chain(const float* weights, std::size_t inputs, const float* x, float* out) {
  float sum[kPanel] = {};
  for (std::size_t k = 0; k < inputs; ++k) {
    const float value = x[k];
    for (std::size_t o = 0; o < kPanel; ++o) {
      sum[o] += weights[k * kPanel + o] * value;
    }
  }
  for (std::size_t o = 0; o < kPanel; ++o) {
    out[o] += sum[o];
  }
}

}  // namespace

void dense_add_scalar(const float* weights, std::size_t inputs, std::size_t panels,
                      const float* x, std::size_t x_step, std::size_t rows, float* out,
                      std::size_t out_step) {
  for (std::size_t panel = 0; panel < panels; ++panel) {
    const float* from = weights + panel * inputs * kPanel;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t k = 0; k < inputs; k += kChain) {
        dense_chain(from + k * kPanel, std::min(kChain, inputs - k), x + r * x_step + k,
                    out + r * out_step + panel * kPanel);
      }
    }
  }
}

}  // namespace latentsr
