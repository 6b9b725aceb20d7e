// lane_tables.cpp - chooses the bucket width of each row and fills the arrays of LaneTables.
#include "latentsr/lane_tables.h"

namespace latentsr {
namespace {

constexpr std::uint32_t kTotal = 1u << 16;
constexpr int kWidest = 10;
constexpr int kNarrowest = 4;
// Share of a row's symbols whose search may go beyond a bucket's two slots, as a divisor:
// measured, see benchmarks/entropy.py. Fewer cost more cache.
constexpr std::uint64_t kSymbolsPerSearch = 128;

std::uint32_t start_of(std::uint32_t range) { return range & 0xffff; }
std::uint32_t frequency_of(std::uint32_t range) { return range >> 16; }

// Number of the slot that holds the first state of each bucket.
std::vector<std::uint32_t> bucket_starts(const std::uint32_t* slots, int shift) {
  std::vector<std::uint32_t> found(kTotal >> shift);
  std::uint32_t at = 0;
  for (std::uint32_t bucket = 0; bucket < found.size(); ++bucket) {
    const std::uint32_t state = bucket << shift;
    while (state - start_of(slots[at]) >= frequency_of(slots[at])) {
      ++at;
    }
    found[bucket] = at;
  }
  return found;
}

// States, out of all 2^16 of a row, in which the search goes on. A slot is reached that way only
// within the bucket that it starts in; it is the first one of every later bucket. One state of
// each slot is left out: it is there to keep the slot from being empty, not because symbols of
// a wide row's ends occur that often.
std::uint64_t searches(const std::uint32_t* slots, std::uint32_t slot_count, int shift,
                       const std::vector<std::uint32_t>& starts) {
  std::uint64_t states = 0;
  for (std::uint32_t at = 0; at < slot_count; ++at) {
    const std::uint32_t start = start_of(slots[at]);
    if (at - starts[start >> shift] < 2) {
      continue;
    }
    const std::uint32_t room = (((start >> shift) + 1) << shift) - start;
    const std::uint32_t frequency = frequency_of(slots[at]) - 1;
    states += frequency < room ? frequency : room;
  }
  return states;
}

}  // namespace

bool LaneTables::build(const CdfTables& tables) {
  rows = tables.rows;
  slots = tables.slots;
  for (const std::uint32_t range : slots) {
    const std::uint64_t frequency = frequency_of(range);
    reciprocals.push_back(((std::uint64_t{1} << 48) + frequency - 1) / frequency);
  }
  for (const CdfRow& row : rows) {
    const auto count = static_cast<std::uint32_t>(row.escape) + 1;
    const std::uint32_t* first = slots.data() + row.first;
    int shift = kWidest;
    std::vector<std::uint32_t> starts = bucket_starts(first, shift);
    while (shift > kNarrowest &&
           searches(first, count, shift, starts) * kSymbolsPerSearch > kTotal) {
      starts = bucket_starts(first, --shift);
    }
    if (buckets.size() >> (32 - kShiftBits) != 0 || slots.size() >> 31 != 0) {
      return false;
    }
    lane_rows.push_back({static_cast<std::uint32_t>(buckets.size()) << kShiftBits |
                             static_cast<std::uint32_t>(shift),
                         row.offset});
    for (const std::uint32_t at : starts) {
      const std::uint32_t second = at + 1 < count ? frequency_of(first[at + 1]) : 0;
      buckets.push_back({first[at], second | at << 16});
    }
  }
  return true;
}

}  // namespace latentsr
