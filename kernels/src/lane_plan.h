// lane_plan.h - how many lanes and parts a stream of the `lanes` form is worth.
//
// A lane costs about 3 bytes: its 4-byte state less the 8 bits that it holds on average. N is
// the largest for which 1500 N bytes are expected, so that lanes cost at most 0.2 %, and P the
// largest for which 1500 * 32 P are, which doubles that at most. Expected is what up to 1024
// symbols at equal, odd distances let one expect, so that nothing must be coded twice.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/lane_tables.h"

namespace latentsr {

inline constexpr std::uint64_t kBytesPerLane = 1500;
inline constexpr std::size_t kSamples = 1024;

struct LanePlan {
  unsigned lanes;
  unsigned parts;
};

// The encoder's choice. Invalid indexes count as nothing: coding will name them.
template <class Index>
LanePlan plan_lanes(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                    std::size_t count, std::uint32_t skip);

// K: symbols in each part but the last ones.
std::size_t symbols_per_part(std::size_t count, unsigned parts);

}  // namespace latentsr
