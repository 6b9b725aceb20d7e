// cdf_tables.cpp - checks quantised distributions and lays them out for the coders.
#include "latentsr/cdf_tables.h"

#include <limits>

namespace latentsr {
namespace {

constexpr std::int32_t kTotal = 1 << 16;
constexpr std::size_t kBuckets = 256;

// Empty when the row may be used, otherwise the fault.
std::string row_fault(const std::int32_t* cdf, std::size_t columns, std::int32_t length,
                      std::int32_t offset) {
  if (length < 3 || static_cast<std::size_t>(length) > columns) {
    return "length " + std::to_string(length) + ", expected 3 to " + std::to_string(columns);
  }
  if (offset < -kMaxOffset || offset > kMaxOffset) {
    return "offset " + std::to_string(offset) + ", expected at most 2^24 either way";
  }
  if (cdf[0] != 0 || cdf[length - 1] != kTotal) {
    return "distribution that does not run from 0 to 65536";
  }
  for (std::int32_t i = 1; i < length; ++i) {
    if (cdf[i] <= cdf[i - 1]) {
      return "distribution that does not rise at entry " + std::to_string(i);
    }
  }
  return {};
}

void append_row(CdfTables& tables, const std::int32_t* cdf, std::int32_t length,
                std::int32_t offset) {
  const std::int32_t escape = length - 2;
  tables.rows.push_back({static_cast<std::uint32_t>(tables.slots.size()), escape, offset});
  for (std::int32_t i = 0; i <= escape; ++i) {
    const auto start = static_cast<std::uint32_t>(cdf[i]);
    const auto frequency = static_cast<std::uint32_t>(cdf[i + 1] - cdf[i]);
    tables.slots.push_back(start | frequency << 16);
  }
  std::int32_t slot = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    while (cdf[slot + 1] <= static_cast<std::int32_t>(bucket << 8)) {
      ++slot;
    }
    tables.buckets.push_back(static_cast<std::uint16_t>(slot));
  }
}

}  // namespace

std::string CdfTables::build(const std::int32_t* cdf, std::size_t row_count,
                             std::size_t columns, const std::int32_t* length,
                             const std::int32_t* offset) {
  if (columns != 0 && row_count > std::numeric_limits<std::uint32_t>::max() / columns) {
    return "more than 2^32 entries";
  }
  slots.clear();
  rows.clear();
  buckets.clear();
  rows.reserve(row_count);
  buckets.reserve(row_count * kBuckets);
  for (std::size_t row = 0; row < row_count; ++row) {
    const std::int32_t* entries = cdf + row * columns;
    const std::string fault = row_fault(entries, columns, length[row], offset[row]);
    if (!fault.empty()) {
      return "row " + std::to_string(row) + ": found " + fault;
    }
    append_row(*this, entries, length[row], offset[row]);
  }
  return {};
}

}  // namespace latentsr
