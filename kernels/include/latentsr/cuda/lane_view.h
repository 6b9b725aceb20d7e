// lane_view.h - the tables of the `lanes` form as one block of device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "latentsr/lane_tables.h"

namespace latentsr::cuda {

// Where the arrays of a LaneTables lie; kernels get it by value.
struct LaneView {
  const LaneRow* lane_rows = nullptr;            // row_count
  const LaneBucket* buckets = nullptr;           // as lane_rows name them
  const std::uint32_t* slots = nullptr;          // as rows name them
  const std::uint64_t* reciprocals = nullptr;    // one for each slot
  const CdfRow* rows = nullptr;                  // row_count
  std::uint32_t row_count = 0;
};

// The arrays one behind the other, each at a multiple of 256 bytes.
struct PackedTables {
  std::vector<std::uint8_t> bytes;  // to be copied to the device as they are
  std::size_t lane_rows = 0;        // offsets of the arrays
  std::size_t buckets = 0;
  std::size_t slots = 0;
  std::size_t reciprocals = 0;
  std::size_t rows = 0;
  std::uint32_t row_count = 0;

  // Device pointers for a copy of `bytes` that starts at `base`, a multiple of 16.
  LaneView at(std::uintptr_t base) const;
};

PackedTables pack(const LaneTables& tables);

}  // namespace latentsr::cuda
