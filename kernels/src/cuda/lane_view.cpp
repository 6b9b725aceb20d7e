// lane_view.cpp - puts the arrays of a LaneTables one behind the other. See lane_view.h.
#include "latentsr/cuda/lane_view.h"

#include <cstring>

namespace latentsr::cuda {
namespace {

// What device allocators align to, so that each array starts on a cache line of its own.
constexpr std::size_t kAlignment = 256;

template <class T>
std::size_t append(std::vector<std::uint8_t>& bytes, const std::vector<T>& array) {
  const std::size_t offset = (bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  bytes.resize(offset + array.size() * sizeof(T));
  if (!array.empty()) {
    std::memcpy(bytes.data() + offset, array.data(), array.size() * sizeof(T));
  }
  return offset;
}

}  // namespace

PackedTables pack(const LaneTables& tables) {
  PackedTables made;
  made.lane_rows = append(made.bytes, tables.lane_rows);
  made.buckets = append(made.bytes, tables.buckets);
  made.slots = append(made.bytes, tables.slots);
  made.reciprocals = append(made.bytes, tables.reciprocals);
  made.rows = append(made.bytes, tables.rows);
  made.row_count = static_cast<std::uint32_t>(tables.rows.size());
  return made;
}

LaneView PackedTables::at(std::uintptr_t base) const {
  return {reinterpret_cast<const LaneRow*>(base + lane_rows),
          reinterpret_cast<const LaneBucket*>(base + buckets),
          reinterpret_cast<const std::uint32_t*>(base + slots),
          reinterpret_cast<const std::uint64_t*>(base + reciprocals),
          reinterpret_cast<const CdfRow*>(base + rows), row_count};
}

}  // namespace latentsr::cuda
