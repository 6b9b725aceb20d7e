// latent_steps.h - from a network's latent to the entropy coder's symbols, and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr {

// Residuals beyond 2^30 are refused: no trained network makes them, and an int32 must hold them.
inline constexpr float kSymbolLimit = 1073741824.0f;

// The mean of value i is values[(i / repeat) % count], or 0 when count is 0.
//   an array of the latent's shape: count = the number of values, repeat = 1
//   one value a channel:            count = channels, repeat = height * width
// The number of values coded must be a multiple of count * repeat, and repeat at least 1.
struct Means {
  const float* values = nullptr;
  std::size_t count = 0;
  std::size_t repeat = 1;
};

// symbols[i] = latent[i] - mean, rounded to float32 and then to an integer, half to even.
// restored[i] = float32(symbols[i]) + mean, the decoder's latent, unless `restored` is null.
// Fails with out_of_range at the first residual that is NaN or beyond kSymbolLimit; the content
// of the outputs is then not to be trusted. `isa` must be supported; all give the same bits.
Result symbols_from_latent(const float* latent, const Means& means, std::size_t count,
                           std::int32_t* symbols, float* restored, Isa isa);

// latent[i] = float32(symbols[i]) + mean, any int32. `isa` as above.
void latent_from_symbols(const std::int32_t* symbols, const Means& means, std::size_t count,
                         float* latent, Isa isa);

}  // namespace latentsr
