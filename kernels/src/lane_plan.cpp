// lane_plan.cpp - estimates a stream's size from a few of its symbols. See lane_plan.h.
#include "lane_plan.h"

#include <bit>

#include "latentsr/rans_lanes.h"

namespace latentsr {
namespace {

constexpr std::uint64_t kEscapeBits = 16;

// Length of one slot's code in 1/256 bit: the logarithm by a straight line between powers of
// two, in whole numbers, so that every machine makes the same choice.
std::uint64_t code_length(std::uint32_t frequency) {
  const auto exponent = static_cast<std::uint32_t>(std::bit_width(frequency)) - 1;
  return 17 * 256 - 256 * exponent - ((frequency << 8) >> exponent);
}

template <class Index>
std::uint64_t symbol_length(const LaneTables& tables, std::int32_t symbol, Index index,
                            std::uint32_t skip) {
  const auto number = static_cast<std::size_t>(index);  // negative becomes huge
  if (number < skip || number >= tables.rows.size()) {
    return 0;
  }
  const CdfRow& row = tables.rows[number];
  const std::int64_t value = std::int64_t{symbol} - row.offset;
  const bool escaped = value < 0 || value >= row.escape;
  const auto slot = static_cast<std::size_t>(escaped ? row.escape : value);
  return code_length(tables.slots[row.first + slot] >> 16) +
         (escaped ? kEscapeBits * 256 : 0);
}

}  // namespace

template <class Index>
LanePlan plan_lanes(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                    std::size_t count, std::uint32_t skip) {
  // Odd: context models code the channels of a position side by side, and a distance that shares
  // its factors with their number would meet a few of them only.
  const std::size_t step = (count + kSamples - 1) / kSamples | 1;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < count; i += step) {
    length += symbol_length(tables, symbols[i], indexes[i], skip);
  }
  const std::uint64_t lanes_worth = length * step / (8 * 256) / kBytesPerLane;
  LanePlan plan{1, 1};
  while (plan.lanes < kMaxLanes && 2 * plan.lanes <= lanes_worth) {
    plan.lanes *= 2;
  }
  while (plan.parts < kMaxParts && 2 * plan.parts * kMaxLanes <= lanes_worth) {
    plan.parts *= 2;
  }
  return plan;
}

std::size_t symbols_per_part(std::size_t count, unsigned parts) {
  const std::size_t unit = std::size_t{64} * parts;
  return 64 * (count / unit + (count % unit != 0 ? 1 : 0));
}

template LanePlan plan_lanes(const LaneTables&, const std::int32_t*, const std::uint8_t*,
                             std::size_t, std::uint32_t);
template LanePlan plan_lanes(const LaneTables&, const std::int32_t*, const std::int32_t*,
                             std::size_t, std::uint32_t);

}  // namespace latentsr
