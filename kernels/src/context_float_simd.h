// context_float_simd.h - dense_add() over registers of any width; see context_float_dense.h.
#pragma once

#include <cstddef>

#include "context_float_dense.h"

namespace latentsr {

// Register: kLanes and load, store, zero, spread (one value to all lanes), add, multiply.
// kWide registers of outputs times kRows rows stay in registers for a whole chain.
template <class Register, std::size_t kWide, std::size_t kRows>
void dense_chain(const float* weights, std::size_t inputs, const float* x, std::size_t x_step,
                 float* out, std::size_t out_step) {
  using Type = typename Register::Type;
  Type sum[kRows][kWide];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kWide; ++v) {
      sum[r][v] = Register::zero();
    }
  }
  for (std::size_t k = 0; k < inputs; ++k) {
    Type weight[kWide];
    for (std::size_t v = 0; v < kWide; ++v) {
      weight[v] = Register::load(weights + k * kPanel + v * Register::kLanes);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      const Type value = Register::spread(x[r * x_step + k]);
      for (std::size_t v = 0; v < kWide; ++v) {
        sum[r][v] = Register::add(sum[r][v], Register::multiply(weight[v], value));
      }
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kWide; ++v) {
      float* to = out + r * out_step + v * Register::kLanes;
      Register::store(to, Register::add(Register::load(to), sum[r][v]));
    }
  }
}

template <class Register, std::size_t kWide, std::size_t kRows>
void dense_block(const float* weights, std::size_t inputs, const float* x, std::size_t x_step,
                 float* out, std::size_t out_step) {
  std::size_t k = 0;
  for (; inputs - k >= kChain; k += kChain) {
    dense_chain<Register, kWide, kRows>(weights + k * kPanel, kChain, x + k, x_step, out,
                                        out_step);
  }
  if (k < inputs) {
    dense_chain<Register, kWide, kRows>(weights + k * kPanel, inputs - k, x + k, x_step, out,
                                        out_step);
  }
}

// A single row takes a whole panel at a time, so that the weights are one straight stream from
// the outer caches; many rows take as much of it as leaves registers for kRows of them.
template <class Register, std::size_t kWide, std::size_t kRows>
void dense_add_simd(const float* weights, std::size_t inputs, std::size_t panels, const float* x,
                    std::size_t x_step, std::size_t rows, float* out, std::size_t out_step) {
  constexpr std::size_t kAll = kPanel / Register::kLanes;
  for (std::size_t panel = 0; panel < panels; ++panel) {
    const float* from = weights + panel * inputs * kPanel;
    float* to = out + panel * kPanel;
    std::size_t r = 0;
    for (; rows - r >= kRows; r += kRows) {
      for (std::size_t o = 0; o < kPanel; o += kWide * Register::kLanes) {
        dense_block<Register, kWide, kRows>(from + o, inputs, x + r * x_step, x_step,
                                            to + r * out_step + o, out_step);
      }
    }
    for (; r < rows; ++r) {
      dense_block<Register, kAll, 1>(from, inputs, x + r * x_step, x_step, to + r * out_step,
                                     out_step);
    }
  }
}

}  // namespace latentsr
