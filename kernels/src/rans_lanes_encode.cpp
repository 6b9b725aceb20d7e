// rans_lanes_encode.cpp - writes the `lanes` form. See rans_lanes.h.
#include "latentsr/rans_lanes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace latentsr {
namespace {

void put_varint(std::vector<std::uint8_t>& bytes, std::uint64_t number) {
  for (; number >= 128; number >>= 7) {
    bytes.push_back(static_cast<std::uint8_t>(number | 128));
  }
  bytes.push_back(static_cast<std::uint8_t>(number));
}

// Lanes, words and side bytes of one attempt. A symbol emits at most one word.
struct Attempt {
  explicit Attempt(std::size_t count)
      : buffer(new std::uint16_t[count + 1]), word(buffer.get() + count), end(word) {}

  std::size_t word_bytes() const { return static_cast<std::size_t>(end - word) * 2; }

  std::array<std::uint32_t, kMaxLanes> states;
  std::unique_ptr<std::uint16_t[]> buffer;  // filled from its end: decoders read last words first
  std::uint16_t* word;
  std::uint16_t* end;
  std::vector<std::uint8_t> side;
};

// x / f by a product. f * r - 2^48 lies in [0, f) and x < f * 2^16 <= 2^32, which keeps the
// error under 1 / f and the product under 2^64.
std::uint32_t divide(std::uint32_t x, std::uint64_t reciprocal) {
  return static_cast<std::uint32_t>(x * reciprocal >> 48);
}

template <class Index>
Result attempt(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
               std::size_t count, unsigned lanes, Attempt& made) {
  made.states.fill(kLaneLow);
  std::vector<std::uint8_t> raw_bytes;
  for (std::size_t i = count; i-- > 0;) {
    const auto index = static_cast<std::size_t>(indexes[i]);  // negative becomes huge
    if (index >= tables.rows.size()) {
      return {Status::bad_index, i, static_cast<std::int64_t>(indexes[i])};
    }
    const CdfRow& row = tables.rows[index];
    std::int64_t value = std::int64_t{symbols[i]} - row.offset;
    if (value < 0 || value >= row.escape) {
      raw_bytes.clear();
      put_varint(raw_bytes, static_cast<std::uint64_t>(value < 0 ? -2 * value - 1
                                                                 : 2 * (value - row.escape)));
      made.side.insert(made.side.end(), raw_bytes.rbegin(), raw_bytes.rend());
      value = row.escape;
    }
    const std::size_t at = row.first + static_cast<std::size_t>(value);
    const std::uint32_t range = tables.slots[at].range;
    const std::uint32_t frequency = range >> 16;
    std::uint32_t x = made.states[i & (lanes - 1)];
    const bool full = x >= frequency << 16;
    made.word[-1] = static_cast<std::uint16_t>(x);  // kept only when full: no branch to mispredict
    made.word -= full;
    x = full ? x >> 16 : x;
    const std::uint32_t quotient = divide(x, tables.reciprocals[at]);
    made.states[i & (lanes - 1)] =
        (quotient << 16) + (range & 0xffff) + (x - quotient * frequency);
  }
  std::reverse(made.side.begin(), made.side.end());
  return {};
}

unsigned lanes_worth(std::size_t bytes) {
  unsigned lanes = kMaxLanes;
  while (lanes > 1 && lanes * kBytesPerLane > bytes) {
    lanes /= 2;
  }
  return lanes;
}

void write(const Attempt& made, unsigned lanes, std::vector<std::uint8_t>& stream) {
  unsigned exponent = 0;
  while (1u << exponent < lanes) {
    ++exponent;
  }
  stream.clear();
  stream.reserve(6 + lanes * 4 + made.word_bytes() + made.side.size());
  stream.push_back(static_cast<std::uint8_t>(exponent));
  put_varint(stream, made.side.size());
  const auto* states = reinterpret_cast<const std::uint8_t*>(made.states.data());
  stream.insert(stream.end(), states, states + lanes * 4);
  const auto* words = reinterpret_cast<const std::uint8_t*>(made.word);
  stream.insert(stream.end(), words, words + made.word_bytes());
  stream.insert(stream.end(), made.side.begin(), made.side.end());
}

}  // namespace

template <class Index>
Result encode_lanes(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                    std::size_t count, unsigned lanes, std::vector<std::uint8_t>& stream) {
  unsigned used = lanes != 0 ? lanes : kMaxLanes;
  Attempt first(count);
  Result result = attempt(tables, symbols, indexes, count, used, first);
  if (result.status != Status::ok) {
    return result;
  }
  const unsigned worth = lanes_worth(first.word_bytes() + first.side.size());
  if (lanes != 0 || worth == used) {
    write(first, used, stream);
    return {};
  }
  Attempt second(count);  // short streams only, so the second run costs little
  result = attempt(tables, symbols, indexes, count, worth, second);
  write(second, worth, stream);
  return result;
}

template Result encode_lanes(const LaneTables&, const std::int32_t*, const std::uint8_t*,
                             std::size_t, unsigned, std::vector<std::uint8_t>&);
template Result encode_lanes(const LaneTables&, const std::int32_t*, const std::int32_t*,
                             std::size_t, unsigned, std::vector<std::uint8_t>&);

}  // namespace latentsr
