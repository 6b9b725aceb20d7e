// encode_room.h - where the arrays lie that an encode keeps in its scratch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr::cuda {

// Offsets in bytes; the plans lie at the start.
struct EncodeRoom {
  std::size_t parts;
  std::size_t words;
  std::size_t side;
  std::size_t end;
};

EncodeRoom encode_room(std::uint64_t symbols, std::uint32_t targets, std::uint32_t most_parts);

}  // namespace latentsr::cuda
