// lane_layout.cpp - reads and writes the head of a `lanes` stream, trusting no byte of it.
#include "lane_layout.h"

#include <algorithm>
#include <bit>

#include "lane_plan.h"

namespace latentsr {
namespace {

constexpr unsigned kLaneBits = 7;
constexpr unsigned kNoSide = 8;
constexpr unsigned kMaxLaneLog = 5;
constexpr unsigned kMaxPartLog = 8;

}  // namespace

int take_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& number) {
  number = 0;
  for (int taken = 0; taken < kMaxVarint && at != end; ++taken) {
    const std::uint8_t byte = *at++;
    number |= std::uint64_t{byte & 127u} << (7 * taken);
    if (byte < 128) {
      return byte == 0 && taken > 0 ? 0 : taken + 1;
    }
  }
  return 0;
}

void put_varint(std::vector<std::uint8_t>& bytes, std::uint64_t number) {
  for (; number >= 128; number >>= 7) {
    bytes.push_back(static_cast<std::uint8_t>(number | 128));
  }
  bytes.push_back(static_cast<std::uint8_t>(number));
}

Result read_layout(const std::uint8_t* data, std::size_t size, std::size_t count,
                   LaneLayout& layout) {
  const auto bytes = static_cast<std::int64_t>(size);
  if (size == 0) {
    return {Status::truncated, 0, bytes};
  }
  const unsigned lane_log = data[0] & kLaneBits;
  const unsigned part_log = data[0] >> 4;
  if (lane_log > kMaxLaneLog || part_log > kMaxPartLog) {
    return {Status::bad_header, 0, data[0]};
  }
  layout.lanes = 1u << lane_log;
  layout.has_side = (data[0] & kNoSide) == 0;
  const unsigned parts = 1u << part_log;
  const std::size_t each = symbols_per_part(count, parts);
  const std::uint8_t* at = data + 1;
  const std::uint8_t* end = data + size;
  std::uint64_t claimed = 0;
  for (unsigned p = 0; p < parts; ++p) {
    std::uint64_t length = 0;
    if (p + 1 < parts && take_varint(at, end, length) == 0) {
      return {at == end ? Status::truncated : Status::bad_header, 0, at == end ? bytes : -1};
    }
    const std::size_t first = std::min(p * each, count);
    layout.parts.push_back({nullptr, static_cast<std::size_t>(length), first,
                            std::min(each, count - first)});
    claimed += length;  // 255 lengths below 2^35: no overflow
  }
  auto left = static_cast<std::size_t>(end - at);
  if (claimed > left) {
    return {Status::truncated, 0, bytes};
  }
  layout.parts.back().size = left - static_cast<std::size_t>(claimed);
  for (LanePart& part : layout.parts) {
    part.data = at;
    at += part.size;
  }
  return {};
}

void write_head(unsigned lanes, bool has_side, const std::vector<std::size_t>& sizes,
                std::vector<std::uint8_t>& stream) {
  const unsigned logs = static_cast<unsigned>(std::countr_zero(lanes)) |
                        static_cast<unsigned>(std::countr_zero(sizes.size())) << 4;
  std::size_t total = 1 + kMaxVarint * sizes.size();
  for (const std::size_t size : sizes) {
    total += size;
  }
  stream.clear();
  stream.reserve(total);
  stream.push_back(static_cast<std::uint8_t>(logs | (has_side ? 0 : kNoSide)));
  for (std::size_t p = 0; p + 1 < sizes.size(); ++p) {
    put_varint(stream, sizes[p]);
  }
}

}  // namespace latentsr
