// lane_batch.h - many streams of the `lanes` form in device memory, coded by one call each way.
//
// Plain structs that lie in device memory; what they describe is in ../rans_lanes.h. Offsets
// count from pointers that the calls in launches.h take, so that a batch may be moved.
#pragma once

#include <cstdint>

#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr::cuda {

// One stream to decode.
struct LaneStream {
  std::uint64_t data;   // offset of its first byte
  std::uint64_t first;  // offset of its first index and of its first symbol, in elements
  std::uint32_t size;   // bytes
  std::uint32_t count;  // symbols
};

// One stream to encode.
struct LaneTarget {
  std::uint64_t first;  // as above
  std::uint64_t room;   // offset of the bytes that it may fill
  std::uint32_t size;   // their number
  std::uint32_t count;  // symbols, at most kMostEncoded
  std::uint32_t lanes;  // a power of two up to kMaxLanes, or 0 for the encoder's choice
  std::uint32_t parts;  // a power of two up to kMaxParts, or 0 likewise
};

// Bytes of a stream that may come to at most 7 a symbol are then counted in 32 bits.
inline constexpr std::uint32_t kMostEncoded = 1u << 29;

// What became of a LaneTarget.
struct LaneOutcome {
  Result result;       // as encode_lanes() has it; or truncated when the room does not suffice
  std::uint64_t size;  // bytes of the stream; also where they are more than there was room for
};

// Lanes, words and side bytes of one part between two kernels of an encode.
struct PartRecord {
  Result result;
  std::uint32_t states[kMaxLanes];
  std::uint32_t words;   // at the end of the part's room for words
  std::uint32_t side;    // bytes, at the end of the part's room for them
  std::uint32_t offset;  // of the part in the stream
};

// Lanes and parts of one stream, given or chosen.
struct PlanRecord {
  std::uint32_t lanes;
  std::uint32_t parts;
  std::uint32_t has_side;
  std::uint32_t fits;  // 0 when nothing may be written
};

static_assert(sizeof(Result) == 24 && sizeof(LaneStream) == 24 && sizeof(LaneTarget) == 32 &&
              sizeof(LaneOutcome) == 32 && sizeof(PlanRecord) == 16);

}  // namespace latentsr::cuda
