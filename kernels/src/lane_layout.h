// lane_layout.h - the head of a `lanes` stream and the numbers in it. See rans_lanes.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "latentsr/status.h"

namespace latentsr {

// Bytes of the longest number.
inline constexpr int kMaxVarint = 5;

// Takes one number from [at, end). Returns the bytes it took, or 0 when it has another spelling
// than an encoder's or does not end; `at` is then unspecified.
int take_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& number);

void put_varint(std::vector<std::uint8_t>& bytes, std::uint64_t number);

// One part: its bytes, and which symbols it holds.
struct LanePart {
  const std::uint8_t* data;
  std::size_t size;
  std::size_t first;
  std::size_t count;
};

struct LaneLayout {
  unsigned lanes = 1;
  bool has_side = false;
  std::vector<LanePart> parts;
};

// Reads the head of a stream of `count` symbols; the parts lie inside data[0, size).
Result read_layout(const std::uint8_t* data, std::size_t size, std::size_t count,
                   LaneLayout& layout);

// Begins a stream: everything before the first part, with room for all of them. `sizes` are the
// parts' bytes.
void write_head(unsigned lanes, bool has_side, const std::vector<std::size_t>& sizes,
                std::vector<std::uint8_t>& stream);

}  // namespace latentsr
