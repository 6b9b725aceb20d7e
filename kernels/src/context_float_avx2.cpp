// context_float_avx2.cpp - dense_add() in registers of 8 floats. See context_float_simd.h.
#include <immintrin.h>

#include "context_float_dense.h"
#include "context_float_simd.h"

namespace latentsr {
namespace {

struct Register256 {
  using Type = __m256;
  static constexpr std::size_t kLanes = 8;
  static Type load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Type value) { _mm256_storeu_ps(to, value); }
  static Type spread(float value) { return _mm256_set1_ps(value); }
  static Type zero() { return _mm256_setzero_ps(); }
  static Type add(Type a, Type b) { return _mm256_add_ps(a, b); }
  static Type multiply(Type a, Type b) { return _mm256_mul_ps(a, b); }
};

}  // namespace

void dense_add_avx2(const float* weights, std::size_t inputs, std::size_t panels, const float* x,
                    std::size_t x_step, std::size_t rows, float* out, std::size_t out_step) {
  dense_add_simd<Register256, 2, 4>(weights, inputs, panels, x, x_step, rows, out, out_step);
}

}  // namespace latentsr
