// context_steps_scalar.cpp - the inner loops of context models on any processor.
#include <cstring>

#include "context_rows.h"
#include "latentsr/context.h"

namespace latentsr {
namespace {

// One position's sums of one block.
void multiply_block(const ContextProduct& product, const ContextLine* line,
                    const std::int16_t* input, const std::int32_t* start, std::int32_t* out) {
  std::int32_t sums[kContextBlock];
  std::memcpy(sums, start, sizeof sums);
  for (std::size_t s = 0; s < product.span_count; ++s) {
    const std::int16_t* x = input + product.spans[s].offset;
    for (std::size_t k = 0; k < product.spans[s].pairs; ++k, ++line, x += 2) {
      for (std::size_t o = 0; o < kContextBlock; ++o) {
        sums[o] += line->weights[o][0] * x[0] + line->weights[o][1] * x[1];
      }
    }
  }
  std::memcpy(out, sums, sizeof sums);
}

void multiply(const ContextProduct& product, std::size_t first, std::size_t last) {
  for (std::size_t b = first; b < last; ++b) {
    for (std::size_t p = 0; p < product.positions; ++p) {
      const auto step = static_cast<std::ptrdiff_t>(p);
      multiply_block(product, product.lines + b * product.pairs,
                     product.input + step * product.input_step,
                     product.start + step * product.start_step + b * kContextBlock,
                     product.out + step * product.out_step + b * kContextBlock);
    }
  }
}

void transpose(const unsigned char* const* from, unsigned char* const* to) {
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      std::memcpy(to[i] + 4 * j, from[j] + 4 * i, 4);
    }
  }
}

}  // namespace

const ContextSteps kContextScalar{multiply,   requantise_row, settle_row,
                                  recall_row, lift_row,       transpose};

}  // namespace latentsr
