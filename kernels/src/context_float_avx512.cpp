// context_float_avx512.cpp - dense_add() in registers of 16 floats. See context_float_simd.h.
#include <immintrin.h>

#include "context_float_dense.h"
#include "context_float_simd.h"

namespace latentsr {
namespace {

struct Register512 {
  using Type = __m512;
  static constexpr std::size_t kLanes = 16;
  static Type load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Type value) { _mm512_storeu_ps(to, value); }
  static Type spread(float value) { return _mm512_set1_ps(value); }
  static Type zero() { return _mm512_setzero_ps(); }
  static Type add(Type a, Type b) { return _mm512_add_ps(a, b); }
  static Type multiply(Type a, Type b) { return _mm512_mul_ps(a, b); }
};

}  // namespace

void dense_add_avx512(const float* weights, std::size_t inputs, std::size_t panels,
                      const float* x, std::size_t x_step, std::size_t rows, float* out,
                      std::size_t out_step) {
  dense_add_simd<Register512, 4, 4>(weights, inputs, panels, x, x_step, rows, out, out_step);
}

}  // namespace latentsr
