// scale_indexes.h - from predicted scales to the rows of the Gaussian tables.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr {

// An index is one byte, so a scale table has at most 256 entries, 255 thresholds between them.
inline constexpr std::size_t kMaxThresholds = 255;

// out[i] = number of thresholds below scales[i] (a scale equal to a threshold does not pass
// it). `thresholds` are ascending, threshold_count <= kMaxThresholds. Fails with not_a_number
// at the first NaN, which has no place in the order. `isa` must be supported; all agree.
Result scale_indexes(const float* scales, std::size_t count, const float* thresholds,
                     std::size_t threshold_count, std::uint8_t* out, Isa isa);

}  // namespace latentsr
