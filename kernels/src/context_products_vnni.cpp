// context_products_vnni.cpp - the products of context models by AVX512-VNNI's instruction for them.
#include "context_products_avx512.h"

namespace latentsr {
namespace {

struct DotAccumulate {
  static __m512i add(__m512i sums, __m512i weights, __m512i pair) {
    return _mm512_dpwssd_epi32(sums, weights, pair);
  }
};

}  // namespace

void multiply_context_vnni(const ContextProduct& product, std::size_t first, std::size_t last) {
  multiply_all<DotAccumulate>(product, first, last);
}

}  // namespace latentsr
