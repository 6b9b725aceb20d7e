// context_float_scalar.cpp - dense_add() for any processor. See context_float_dense.h.
#include <algorithm>

#include "context_float_dense.h"

namespace latentsr {

void dense_add_scalar(const float* weights, std::size_t inputs, std::size_t panels,
                      const float* x, std::size_t x_step, std::size_t rows, float* out,
                      std::size_t out_step) {
  for (std::size_t panel = 0; panel < panels; ++panel) {
    const float* from = weights + panel * inputs * kPanel;
    for (std::size_t r = 0; r < rows; ++r) {
      float sum[kPanel];
      float* to = out + r * out_step + panel * kPanel;
      std::copy_n(to, kPanel, sum);
      for (std::size_t k = 0; k < inputs; ++k) {
        const float value = x[r * x_step + k];
        for (std::size_t o = 0; o < kPanel; ++o) {
          sum[o] += from[k * kPanel + o] * value;
        }
      }
      std::copy_n(sum, kPanel, to);
    }
  }
}

}  // namespace latentsr
