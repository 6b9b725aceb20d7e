// lane_head.cuh - where the parts of a `lanes` stream lie, read on the device, trusting no byte.
//
// Plain code without lanes: all lanes of a warp do the same. The rules are those of
// ../lane_layout.cpp and of open_job() in ../rans_lanes_decode.cpp, fault for fault.
#pragma once

#include <cstdint>

#include "latentsr/cuda/lane_batch.h"
#include "warp.cuh"

namespace latentsr::cuda {

// One part of a stream: its bytes, and which symbols of the stream it holds.
struct PartPlace {
  const std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

struct StreamHead {
  Result fault;
  std::uint32_t lanes = 1;
  std::uint32_t parts = 1;
  bool has_side = false;
};

// Takes one number from [at, end). Returns the bytes it took, or 0 when it has another spelling
// than an encoder's or does not end.
LATENTSR_DEVICE int take_number(const std::uint8_t*& at, const std::uint8_t* end,
                                std::uint64_t& number) {
  constexpr int kMost = 5;
  number = 0;
  for (int taken = 0; taken < kMost && at != end; ++taken) {
    const std::uint8_t byte = *at++;
    number |= static_cast<std::uint64_t>(byte & 127u) << (7 * taken);
    if (byte < 128) {
      return byte == 0 && taken > 0 ? 0 : taken + 1;
    }
  }
  return 0;
}

// What to say where take_number() found none and stopped at `at`.
LATENTSR_DEVICE Result no_number(const std::uint8_t* at, const std::uint8_t* end,
                                 std::uint32_t bytes) {
  if (at == end) {
    return {Status::truncated, 0, static_cast<std::int64_t>(bytes)};
  }
  return {Status::bad_header, 0, -1};
}

LATENTSR_DEVICE std::uint64_t part_size(std::uint32_t count, std::uint32_t parts) {
  const std::uint64_t unit = 64 * static_cast<std::uint64_t>(parts);
  return 64 * ((count + unit - 1) / unit);
}

// Symbols first ... first + count - 1 are those of part number `part`.
LATENTSR_DEVICE void set_symbols(PartPlace& place, std::uint32_t count, std::uint32_t parts,
                                 std::uint32_t part) {
  const std::uint64_t each = part_size(count, parts);
  const std::uint64_t before = part * each < count ? part * each : count;
  const std::uint64_t left = count - before;
  place.first = static_cast<std::uint32_t>(before);
  place.count = static_cast<std::uint32_t>(each < left ? each : left);
}

// Reads the lengths in a stream's head and finds part number `part`, if it has so many.
LATENTSR_DEVICE void find_part(const std::uint8_t* data, std::uint32_t size, std::uint32_t part,
                               StreamHead& head, PartPlace& place) {
  const std::uint8_t* at = data + 1;
  const std::uint8_t* end = data + size;
  std::uint64_t claimed = 0;
  std::uint64_t before = 0;
  for (std::uint32_t p = 0; p + 1 < head.parts; ++p) {
    std::uint64_t length = 0;
    if (take_number(at, end, length) == 0) {
      head.fault = no_number(at, end, size);
      return;
    }
    before = p == part ? claimed : before;
    place.size = p == part ? static_cast<std::uint32_t>(length) : place.size;
    claimed += length;  // 255 lengths below 2^35: no overflow
  }
  const auto left = static_cast<std::uint64_t>(end - at);
  if (claimed > left) {
    head.fault = {Status::truncated, 0, static_cast<std::int64_t>(size)};
    return;
  }
  if (part + 1 == head.parts) {
    before = claimed;
    place.size = static_cast<std::uint32_t>(left - claimed);
  }
  place.data = at + before;
}

// Reads the head of a stream of `count` symbols; the part, if there are so many and there is no
// fault, then lies inside data[0, size). Streams of more than `most_parts` are a fault.
LATENTSR_DEVICE StreamHead read_head(const std::uint8_t* data, std::uint32_t size,
                                     std::uint32_t count, std::uint32_t most_parts,
                                     std::uint32_t part, PartPlace& place) {
  StreamHead head;
  if (size == 0) {
    head.fault = {Status::truncated, 0, 0};
    return head;
  }
  const std::uint32_t first = data[0];
  if ((first & 7) > 5 || first >> 4 > 8 || 1u << (first >> 4) > most_parts) {
    head.fault = {Status::bad_header, 0, static_cast<std::int64_t>(first)};
    return head;
  }
  head.lanes = 1u << (first & 7);
  head.parts = 1u << (first >> 4);
  head.has_side = (first & 8) == 0;
  find_part(data, size, part, head, place);
  set_symbols(place, count, head.parts, part);
  return head;
}

}  // namespace latentsr::cuda
