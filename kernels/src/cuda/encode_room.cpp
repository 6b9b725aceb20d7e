// encode_room.cpp - how much memory an encode takes at most. See encode_room.h and calls.h.
#include "encode_room.h"

#include "latentsr/cuda/calls.h"

namespace latentsr::cuda {
namespace {

// What device allocators align to.
constexpr std::size_t rounded_up(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// A head's lengths, a part's side length and an escaped value.
constexpr std::uint64_t kLongestNumber = 5;

}  // namespace

EncodeRoom encode_room(std::uint64_t symbols, std::uint32_t targets, std::uint32_t most_parts) {
  EncodeRoom made{};
  made.parts = rounded_up(targets * sizeof(PlanRecord));
  made.words = made.parts + rounded_up(std::size_t{targets} * most_parts * sizeof(PartRecord));
  made.side = made.words + rounded_up(symbols * sizeof(std::uint16_t));
  made.end = made.side + rounded_up(symbols * kLongestNumber);
  return made;
}

std::size_t encode_scratch(std::uint64_t symbol_count, std::uint32_t target_count,
                           std::uint32_t most_parts) {
  return encode_room(symbol_count, target_count, most_parts).end;
}

std::uint64_t encode_bound(std::uint32_t count, std::uint32_t lanes, std::uint32_t parts) {
  return 1 + std::uint64_t{parts} * (2 * kLongestNumber + 4 * std::uint64_t{lanes}) +
         (sizeof(std::uint16_t) + kLongestNumber) * std::uint64_t{count};
}

}  // namespace latentsr::cuda
