// lane_tables.cpp - chooses the bucket width of each row and fills the arrays of LaneTables.
#include "latentsr/lane_tables.h"

namespace latentsr {
namespace {

constexpr std::uint32_t kTotal = 1u << 16;
constexpr int kWidest = 10;
constexpr int kNarrowest = 4;
// Steps of the search that a row may cost on average, as a divisor: measured, see
// benchmarks/entropy.py. Fewer steps cost more cache: 32 was a tenth or more faster than 16 with
// the tables in the cache, and up to a third slower after something else had used it.
constexpr std::uint64_t kSymbolsPerStep = 16;

// Number of the slot that holds the first state of each bucket.
std::vector<std::uint32_t> bucket_starts(const LaneSlot* slots, int shift) {
  std::vector<std::uint32_t> found(kTotal >> shift);
  std::uint32_t at = 0;
  for (std::uint32_t bucket = 0; bucket < found.size(); ++bucket) {
    const std::uint32_t state = bucket << shift;
    while (state - (slots[at].range & 0xffff) >= slots[at].range >> 16) {
      ++at;
    }
    found[bucket] = at;
  }
  return found;
}

// Steps that the search takes over all 2^16 states of a row. A slot is reached by steps only
// within the bucket that it starts in; it is the first one of every later bucket. One state of
// each slot is left out: it is there to keep the slot from being empty, not because symbols of
// a wide row's ends occur that often.
std::uint64_t search_steps(const LaneSlot* slots, std::uint32_t slot_count, int shift,
                           const std::vector<std::uint32_t>& starts) {
  std::uint64_t steps = 0;
  for (std::uint32_t at = 0; at < slot_count; ++at) {
    const std::uint32_t start = slots[at].range & 0xffff;
    const std::uint32_t bucket_end = ((start >> shift) + 1) << shift;
    const std::uint32_t room = bucket_end - start;
    const std::uint32_t frequency = (slots[at].range >> 16) - 1;
    steps += std::uint64_t{at - starts[start >> shift]} * (frequency < room ? frequency : room);
  }
  return steps;
}

}  // namespace

bool LaneTables::build(const CdfTables& tables) {
  rows = tables.rows;
  for (const CdfRow& row : rows) {
    const auto count = static_cast<std::uint32_t>(row.escape) + 1;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t range = tables.slots[row.first + i];
      const bool escape = i + 1 == count;
      slots.push_back({range, escape ? kEscapeValue : row.offset + static_cast<std::int32_t>(i)});
      const std::uint64_t frequency = range >> 16;
      reciprocals.push_back(((std::uint64_t{1} << 48) + frequency - 1) / frequency);
    }
    const LaneSlot* first = slots.data() + row.first;
    int shift = kWidest;
    std::vector<std::uint32_t> starts = bucket_starts(first, shift);
    while (shift > kNarrowest &&
           search_steps(first, count, shift, starts) * kSymbolsPerStep > kTotal) {
      starts = bucket_starts(first, --shift);
    }
    if (buckets.size() >> (32 - kShiftBits) != 0 || slots.size() >> 31 != 0) {
      return false;
    }
    buckets_of_row.push_back(static_cast<std::uint32_t>(buckets.size()) << kShiftBits |
                             static_cast<std::uint32_t>(shift));
    for (const std::uint32_t start : starts) {
      buckets.push_back(first[start]);
      bucket_slots.push_back(row.first + start);
    }
  }
  return true;
}

}  // namespace latentsr
