// cdf_tables.cpp - checks quantised distributions and lays them out for the coders.
#include "latentsr/cdf_tables.h"

#include <algorithm>
#include <limits>

namespace latentsr {
namespace {

constexpr std::int32_t kTotal = 1 << 16;
constexpr int kWidest = 10;
constexpr int kNarrowest = 4;
// Share of a row's states that may need a third slot, as a divisor. Measured (see
// benchmarks/entropy.py): a smaller share costs more in the cache than it saves in searches.
constexpr std::uint64_t kStatesPerSearch = 16;
// Buckets (8 bytes) that all rows together may have before new rows get wide ones only. Tables
// with a row for each symbol, as mixture models make them, would otherwise fill the memory.
constexpr std::size_t kBucketBudget = std::size_t{1} << 18;
// Keeps the number of a bucket inside 32 bits: 64 wide ones a row, and the budget.
constexpr std::size_t kMostRows = std::size_t{1} << 25;
constexpr std::size_t kMostSlots = std::numeric_limits<std::uint32_t>::max();

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

// States of a row that need a third slot when a bucket has 2^shift states. One state of each
// slot is left out: it is there to keep the slot from being empty, not because symbols of a wide
// row's ends occur that often.
std::uint64_t states_to_search(const std::int32_t* cdf, std::int32_t slots, int shift) {
  std::uint64_t states = 0;
  std::int32_t first = 0;  // slot that holds the first state of the bucket of slot `at`
  for (std::int32_t at = 0; at < slots; ++at) {
    const std::int32_t bucket_start = cdf[at] >> shift << shift;
    while (cdf[first + 1] <= bucket_start) {
      ++first;
    }
    if (at - first > 1) {
      const std::int32_t room = bucket_start + (1 << shift) - cdf[at];
      states += static_cast<std::uint64_t>(std::min(cdf[at + 1] - cdf[at] - 1, room));
    }
  }
  return states;
}

int bucket_shift(const std::int32_t* cdf, std::int32_t slots) {
  int shift = kWidest;
  while (shift > kNarrowest &&
         states_to_search(cdf, slots, shift) * kStatesPerSearch > std::uint64_t{kTotal}) {
    --shift;
  }
  return shift;
}

void append_buckets(std::vector<CdfBucket>& buckets, const std::int32_t* cdf,
                    std::int32_t slots, int shift) {
  std::int32_t slot = 0;
  for (std::int32_t state = 0; state < kTotal; state += 1 << shift) {
    while (cdf[slot + 1] <= state) {
      ++slot;
    }
    // The last slot has none beside it: it becomes the second of the pair.
    const std::int32_t at = std::min(slot, slots - 2);
    buckets.push_back({static_cast<std::uint16_t>(cdf[at + 1]),
                       static_cast<std::uint16_t>(cdf[at + 1] - cdf[at]),
                       static_cast<std::uint16_t>(cdf[at + 2] - cdf[at + 1]),
                       static_cast<std::uint16_t>(at)});
  }
}

void append_row(CdfTables& tables, const std::int32_t* cdf, std::int32_t length,
                std::int32_t offset) {
  const std::int32_t slots = length - 1;
  const auto first = static_cast<std::uint32_t>(tables.slots.size());
  for (std::int32_t i = 0; i < slots; ++i) {
    const auto start = static_cast<std::uint32_t>(cdf[i]);
    const auto frequency = static_cast<std::uint32_t>(cdf[i + 1] - cdf[i]);
    tables.slots.push_back(start | frequency << 16);
  }
  const int shift =
      tables.buckets.size() < kBucketBudget ? bucket_shift(cdf, slots) : kWidest;
  const auto base = static_cast<std::uint32_t>(tables.buckets.size());
  append_buckets(tables.buckets, cdf, slots, shift);
  tables.rows.push_back({first, slots - 1, offset});
  tables.scans.push_back({base, first, offset, static_cast<std::uint16_t>(slots - 1),
                          static_cast<std::uint16_t>(shift)});
}

}  // namespace

std::string CdfTables::append(const std::int32_t* cdf, std::size_t columns,
                              std::int32_t length, std::int32_t offset) {
  if (rows.size() >= kMostRows || slots.size() + columns > kMostSlots) {
    return "more than 2^25 rows or 2^32 entries";
  }
  const std::string fault = row_fault(cdf, columns, length, offset);
  if (fault.empty()) {
    append_row(*this, cdf, length, offset);
  }
  return fault;
}

std::string CdfTables::build(const std::int32_t* cdf, std::size_t row_count,
                             std::size_t columns, const std::int32_t* length,
                             const std::int32_t* offset) {
  *this = {};
  for (std::size_t row = 0; row < row_count; ++row) {
    const std::string fault = append(cdf + row * columns, columns, length[row], offset[row]);
    if (!fault.empty()) {
      return "row " + std::to_string(row) + ": found " + fault;
    }
  }
  return {};
}

}  // namespace latentsr
