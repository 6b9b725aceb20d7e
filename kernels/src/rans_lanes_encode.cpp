// rans_lanes_encode.cpp - writes the `lanes` form. See rans_lanes.h.
#include "latentsr/rans_lanes.h"

#include <algorithm>
#include <array>
#include <memory>

#include "certain_rows.h"
#include "lane_layout.h"
#include "lane_plan.h"
#include "parallel.h"

namespace latentsr {
namespace {

// Lanes, words and side bytes of one part. A symbol emits at most one word. Apart by two cache
// lines, because neighbours are written by different threads.
struct alignas(128) EncodedPart {
  std::size_t word_bytes() const { return static_cast<std::size_t>(end - word) * 2; }

  std::array<std::uint32_t, kMaxLanes> states;
  std::uint16_t* word = nullptr;  // words are written from the end: decoders read the last first
  std::uint16_t* end = nullptr;
  std::vector<std::uint8_t> side;
};

// x / f by a product. f * r - 2^48 lies in [0, f) and x < f * 2^16 <= 2^32, which keeps the
// error under 1 / f and the product under 2^64.
std::uint32_t divide(std::uint32_t x, std::uint64_t reciprocal) {
  return static_cast<std::uint32_t>(x * reciprocal >> 48);
}

// Puts an escaped value's varint in front of those of later symbols: turned round, as all are
// until the end.
void put_escape(EncodedPart& made, std::int64_t value, std::int32_t escape) {
  auto raw = static_cast<std::uint64_t>(value < 0 ? -2 * value - 1 : 2 * (value - escape));
  std::array<std::uint8_t, kMaxVarint> bytes;
  auto first = bytes.end();
  for (; raw >= 128; raw >>= 7) {
    *--first = static_cast<std::uint8_t>(raw | 128);
  }
  *--first = static_cast<std::uint8_t>(raw);
  made.side.insert(made.side.end(), first, bytes.end());
}

// In front of `made.end` there must be room for count + 1 words.
template <class Index>
Result encode_symbols(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                      std::size_t count, unsigned lanes, EncodedPart& made) {
  std::array<std::uint32_t, kMaxLanes> states;
  states.fill(kLaneLow);
  std::uint16_t* word = made.end;
  for (std::size_t i = count; i-- > 0;) {
    const auto index = static_cast<std::size_t>(indexes[i]);  // negative becomes huge
    if (index >= tables.rows.size()) {
      return {Status::bad_index, i, static_cast<std::int64_t>(indexes[i])};
    }
    const CdfRow& row = tables.rows[index];
    std::int64_t value = std::int64_t{symbols[i]} - row.offset;
    if (value < 0 || value >= row.escape) {
      put_escape(made, value, row.escape);
      value = row.escape;
    }
    const std::size_t at = row.first + static_cast<std::size_t>(value);
    const std::uint32_t range = tables.slots[at];
    const std::uint32_t frequency = range >> 16;
    std::uint32_t x = states[i & (lanes - 1)];
    const bool full = x >= frequency << 16;
    word[-1] = static_cast<std::uint16_t>(x);  // kept only when full: no branch to mispredict
    word -= full;
    x = full ? x >> 16 : x;
    const std::uint32_t quotient = divide(x, tables.reciprocals[at]);
    states[i & (lanes - 1)] = (quotient << 16) + (range & 0xffff) + (x - quotient * frequency);
  }
  made.states = states;
  made.word = word;
  std::reverse(made.side.begin(), made.side.end());
  return {};
}

template <class Index>
Result encode_part(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                   std::size_t count, unsigned lanes, std::uint32_t skip, EncodedPart& made) {
  if (skip == 0) {
    return encode_symbols(tables, symbols, indexes, count, lanes, made);
  }
  const std::unique_ptr<std::int32_t[]> kept_symbols(new std::int32_t[count]);
  const std::unique_ptr<Index[]> kept(new Index[count]);
  const std::size_t wrong = keep_symbols(symbols, indexes, count, skip, kept_symbols.get());
  if (wrong != count) {
    return {Status::not_zero, wrong, symbols[wrong]};
  }
  const std::size_t left = keep_indexes(indexes, count, skip, kept.get(), Isa::scalar);
  Result result = encode_symbols(tables, kept_symbols.get(), kept.get(), left, lanes, made);
  if (result.status != Status::ok) {
    result.position = place_of_kept(indexes, count, skip, result.position);
  }
  return result;
}

// Joins the parts behind their head.
void write(const std::vector<EncodedPart>& parts, unsigned lanes,
           std::vector<std::uint8_t>& stream) {
  bool has_side = false;
  for (const EncodedPart& part : parts) {
    has_side |= !part.side.empty();
  }
  std::vector<std::vector<std::uint8_t>> heads(parts.size());
  std::vector<std::size_t> sizes;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (has_side) {
      put_varint(heads[p], parts[p].side.size());
    }
    sizes.push_back(heads[p].size() + 4 * lanes + parts[p].word_bytes() + parts[p].side.size());
  }
  write_head(lanes, has_side, sizes, stream);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const EncodedPart& part = parts[p];
    const auto* states = reinterpret_cast<const std::uint8_t*>(part.states.data());
    const auto* words = reinterpret_cast<const std::uint8_t*>(part.word);
    stream.insert(stream.end(), heads[p].begin(), heads[p].end());
    stream.insert(stream.end(), states, states + 4 * lanes);
    stream.insert(stream.end(), words, words + part.word_bytes());
    stream.insert(stream.end(), part.side.begin(), part.side.end());
  }
}

}  // namespace

template <class Index>
Result encode_lanes(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                    std::size_t count, const LaneEncoding& how,
                    std::vector<std::uint8_t>& stream) {
  LanePlan plan = plan_lanes(tables, symbols, indexes, count, how.skip);
  plan.lanes = how.lanes != 0 ? how.lanes : plan.lanes;
  plan.parts = how.parts != 0 ? how.parts : plan.parts;
  const std::size_t each = symbols_per_part(count, plan.parts);
  std::vector<EncodedPart> parts(plan.parts);
  // One block, taken here: memory that threads take themselves is given back when they end, and
  // touching it anew each time costs as much as they save.
  const std::unique_ptr<std::uint16_t[]> words(new std::uint16_t[count + plan.parts]);
  std::vector<Result> results(plan.parts);
  run_parallel(plan.parts, how.threads, [&](std::size_t p) {
    const std::size_t first = std::min(p * each, count);
    const std::size_t own = std::min(each, count - first);
    parts[p].end = words.get() + first + own + p + 1;
    results[p] = encode_part(tables, symbols + first, indexes + first, own, plan.lanes, how.skip,
                             parts[p]);
    results[p].position += first;
  });
  // Symbols are coded backwards, so the last fault is the one that one part alone would find.
  for (std::size_t p = plan.parts; p-- > 0;) {
    if (results[p].status != Status::ok) {
      return results[p];
    }
  }
  write(parts, plan.lanes, stream);
  return {};
}

template Result encode_lanes(const LaneTables&, const std::int32_t*, const std::uint8_t*,
                             std::size_t, const LaneEncoding&, std::vector<std::uint8_t>&);
template Result encode_lanes(const LaneTables&, const std::int32_t*, const std::int32_t*,
                             std::size_t, const LaneEncoding&, std::vector<std::uint8_t>&);

}  // namespace latentsr
