// lane_tables.h - the distributions of CdfTables, laid out for the coders of the `lanes` form.
#pragma once

#include <cstdint>
#include <vector>

#include "latentsr/cdf_tables.h"

namespace latentsr {

// One slot as a decoder needs it, side by side so that one cache line answers everything.
struct LaneSlot {
  std::uint32_t range;  // start | frequency << 16, as in CdfTables::slots
  std::int32_t value;   // the symbol, or kEscapeValue
};

// Marks the escape slot. No ordinary value is this small: |offset| <= 2^24.
inline constexpr std::int32_t kEscapeValue = INT32_MIN;

// Where a row's buckets start and how wide they are, in one word: base << 4 | shift.
// A bucket covers 2^shift states; rows with narrow slots get narrow buckets, so that the search
// seldom takes a step while flat and certain rows stay small enough for the cache.
inline constexpr int kShiftBits = 4;

// Read-only after build(), so any number of threads may share one.
struct LaneTables {
  std::vector<std::uint32_t> buckets_of_row;
  // For each bucket the slot of its first state: a copy, which answers most searches with one
  // load, and its number in `slots`, where the search goes on.
  std::vector<LaneSlot> buckets;
  std::vector<std::uint32_t> bucket_slots;
  std::vector<LaneSlot> slots;              // of all rows
  std::vector<std::uint64_t> reciprocals;   // ceil(2^48 / frequency), for each slot
  std::vector<CdfRow> rows;

  // Copies what it needs. False beyond 2^28 buckets or 2^31 slots, the reach of the indexes.
  bool build(const CdfTables& tables);
};

}  // namespace latentsr
