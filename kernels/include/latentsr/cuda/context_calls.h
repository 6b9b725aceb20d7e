// context_calls.h - what the kernels of context models are called with. See calls.h for what holds
// of all calls, and ../context.h for the models.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/cuda/context_view.h"
#include "latentsr/cuda/lane_view.h"
#include "latentsr/status.h"

namespace latentsr::cuda {

// Symbols of one latent, M H W; positions within the fronts are counted in 32 bits.
inline constexpr std::uint64_t kMostContextSymbols = 1u << 29;

// ContextModel::decode() of one latent: some launches for each of W + slope (H - 1) fronts.
struct ContextDecodeCall {
  ContextView model;            // from PackedContext::at(), of a copy in device memory
  LaneView tables;              // from PackedTables::at(); a row for each of the model's thresholds
  std::uint32_t height;
  std::uint32_t width;
  const std::uint8_t* data;     // size bytes, the stream; any alignment
  std::uint32_t size;
  const float* features;        // C1 x H x W
  void* scratch;                // context_scratch() bytes, aligned to 256
  std::int32_t* symbols;        // out: M x H x W
  float* latent;                // out: M x H x W
  Result* result;               // out: one, as ContextModel::decode() returns
};

// ContextModel::encode() of one latent; encode_lanes() takes what it puts in scan order, with
// one part.
struct ContextEncodeCall {
  ContextView model;
  std::uint32_t height;
  std::uint32_t width;
  const float* features;        // C1 x H x W
  const float* y;               // M x H x W
  void* scratch;                // context_scratch() bytes, aligned to 256
  std::int32_t* symbols;        // out: M x H x W
  float* latent;                // out: M x H x W
  std::int32_t* scan_symbols;   // out: H * W * M
  std::uint8_t* scan_indexes;   // out: H * W * M
  Result* result;               // out: one, as ContextModel::encode() returns
};

// Bytes of scratch for a latent of a model of these sizes.
std::size_t context_scratch(const ContextView& model, std::uint32_t height, std::uint32_t width);

}  // namespace latentsr::cuda
