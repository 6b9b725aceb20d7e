// context_check.h - what the tensors of a context model must be; they come from files and are not
// trusted. See context.h.
#pragma once

#include <string>

#include "latentsr/context.h"

namespace latentsr {

// Bounds that keep every product of sizes, and every sum of theirs, far inside 64 bits.
inline constexpr std::size_t kMostContextLayers = 8;  // L
inline constexpr std::size_t kMostContextChannels = 1 << 14;
inline constexpr std::int32_t kContextReach = 16;     // of a tap, in positions

// Where the settings are in their tensor; the tops of layers 0 ... L - 1 follow.
enum ContextSetting : std::size_t { kMeanBits, kLeak, kInputTop, kFeatureTop, kTops };

// An empty string, or what is wrong: shapes, ranges, taps that are not causal, a channel whose
// sums could leave 32 bits.
std::string check_context(const ContextTensors& tensors);

}  // namespace latentsr
