// context_steps_avx512.cpp - the inner loops of context models, 16 sums a register, for AVX-512BW.
#include "context_products_avx512.h"
#include "context_rows.h"

namespace latentsr {
namespace {

struct MultiplyAdd {
  static __m512i add(__m512i sums, __m512i weights, __m512i pair) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(weights, pair));
  }
};

void multiply(const ContextProduct& product, std::size_t first, std::size_t last) {
  multiply_all<MultiplyAdd>(product, first, last);
}

// Eight rows of 32 bytes: AVX2's way, which eight columns of 32 bytes ask for as well.
void transpose(const unsigned char* const* from, unsigned char* const* to) {
  kContextAvx2.transpose(from, to);
}

}  // namespace

const ContextSteps kContextAvx512{multiply,   requantise_row, settle_row,
                                  recall_row, lift_row,       transpose};

}  // namespace latentsr
