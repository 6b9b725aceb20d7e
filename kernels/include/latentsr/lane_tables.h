// lane_tables.h - the distributions of CdfTables, laid out for the coders of the `lanes` form.
#pragma once

#include <cstdint>
#include <vector>

#include "latentsr/cdf_tables.h"

namespace latentsr {

// The two slots that hold the first states of a bucket, which nearly all states of it are in: one
// load of 64 bits answers most searches, without a jump that depends on coded bits. All slots
// after the first follow it without gaps, so the second one starts where the first one ends.
struct LaneBucket {
  std::uint32_t range;   // start | frequency << 16 of the first slot, as in CdfTables::slots
  std::uint32_t second;  // frequency of the second slot, 0 for none | number of the first << 16
};

// Of one row, side by side for the same reason: where its buckets start and how wide they are,
// base << 4 | shift, and the value of slot 0. A bucket covers 2^shift states; rows with narrow
// slots get narrow buckets, so that the search seldom goes on and tables stay in the cache.
struct LaneRow {
  std::uint32_t buckets;
  std::int32_t offset;
};

inline constexpr int kShiftBits = 4;

// Read-only after build(), so any number of threads may share one.
struct LaneTables {
  std::vector<LaneRow> lane_rows;
  std::vector<LaneBucket> buckets;
  std::vector<std::uint32_t> slots;        // of all rows, as in CdfTables
  std::vector<std::uint64_t> reciprocals;  // ceil(2^48 / frequency), for each slot
  std::vector<CdfRow> rows;

  // Copies what it needs. False beyond 2^28 buckets or 2^31 slots, the reach of the indexes.
  bool build(const CdfTables& tables);
};

}  // namespace latentsr
