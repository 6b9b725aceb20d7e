// context_steps.h - the inner loops of context models, one set for each instruction set.
//
// The SIMD files are compiled for processors that may not be there. They see raw pointers and
// plain functions only: an inline function from a shared header, compiled there, could be the
// copy that the linker keeps for everyone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

struct ContextLine;
struct ContextSpan;

// Positions that a product takes at once, at most. Weights are read once for all of them, and
// what a layer makes of them stays in the cache for the next one.
inline constexpr std::size_t kContextChunk = 32;

// out[p][o] = start[p][o] + the sum over pairs of weights times inputs, for positions p and all
// outputs o of blocks first ... last - 1. Steps are in elements from one position to the next.
struct ContextProduct {
  const ContextLine* lines;   // of block 0
  const ContextSpan* spans;
  std::size_t span_count;
  std::size_t pairs;          // of all spans
  const std::int16_t* input;
  std::ptrdiff_t input_step;
  const std::int32_t* start;
  std::ptrdiff_t start_step;
  std::int32_t* out;
  std::ptrdiff_t out_step;
  std::size_t positions;      // 1 ... kContextChunk
};

// out[o] = clamp(sums[o] >> shift[o], -top, top), and a negative one times leak / 2^16.
struct ContextRequantise {
  const std::int32_t* shift;
  std::int32_t top;
  std::int32_t leak;          // 2^16 for no activation
};

struct ContextSteps {
  void (*multiply)(const ContextProduct& product, std::size_t first, std::size_t last);
  void (*requantise)(const ContextRequantise& how, const std::int32_t* sums, std::size_t count,
                     std::int16_t* out);
  // The last layer's results, clamped to +-2^20, times `unit`, a power of two: exact in float32.
  void (*settle)(const std::int32_t* sums, const std::int32_t* shift, std::size_t count,
                 float unit, float* out);
  // out = clamp((symbol << mean_bits) + mean, -top, top); means are 2^-mean_bits times integers.
  void (*recall)(const std::int32_t* symbols, const float* means, std::size_t count,
                 std::int32_t mean_bits, std::int32_t top, std::int16_t* out);
  // out = (clamp(features, -top, top) << lift) + half; false when one is not finite. Fractions,
  // which exact graphs do not make, are cut off.
  bool (*lift)(const float* features, std::size_t count, float top, std::int32_t lift,
               std::int32_t half, std::int32_t* out);
  // Number i of row j becomes number j of row i: 8 rows of 8 numbers of 4 bytes.
  void (*transpose)(const unsigned char* const* from, unsigned char* const* to);
};

extern const ContextSteps kContextScalar;
extern const ContextSteps kContextAvx2;
extern const ContextSteps kContextAvx512;  // AVX-512BW

void multiply_context_vnni(const ContextProduct& product, std::size_t first, std::size_t last);

}  // namespace latentsr
