// rans_scalar_decode.cpp - reads the `compressai` form, trusting no byte of it. See rans.h.
//
// A symbol's state is made from the one before: bits of the state choose a bucket, the bucket is
// loaded, its frequency multiplied, the sum is the new state. These steps, about twelve cycles,
// are the whole time that a symbol takes; everything else (indexes, rows, stores, checks) is
// arranged so that it runs beside them.
#include "latentsr/rans.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "select.h"

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded in host order");

constexpr std::uint32_t kSlotMask = (1u << kProbabilityBits) - 1;
constexpr std::uint32_t kGroupMask = (1u << kGroupBits) - 1;
// Indexes are checked this many at a time, ahead of the symbols.
constexpr std::size_t kBlock = 4096;
// From one word in this many symbols on, taking words in without a branch is the faster way.
constexpr std::size_t kDenseSymbols = 12;

std::uint32_t load_word(const std::uint8_t* from) {
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);  // streams are slices of files: no alignment
  return word;
}

// The state and the words that are left, as the loops hold them in registers.
struct Walk {
  std::uint64_t state;
  const std::uint8_t* next;
  const std::uint8_t* end;

  std::size_t words_left() const { return static_cast<std::size_t>(end - next) / 4; }

  // Makes the state large enough again; false when that takes a word and none is left.
  bool refill() {
    if (state >= kStateLow) [[likely]] {
      return true;
    }
    if (next == end) {
      return false;
    }
    state = state << 32 | load_word(next);
    next += 4;
    return true;
  }

  // The same without a branch. A word must be left, whether it is needed or not.
  void refill_dense() {
    const std::uint64_t filled = state << 32 | load_word(next);
    next += state < kStateLow ? 4 : 0;
    state = select_below(state, kStateLow, filled, state);
  }

  bool take_group(std::uint32_t& group) {
    group = static_cast<std::uint32_t>(state) & kGroupMask;
    state >>= kGroupBits;
    return refill();
  }
};

enum class Stop { end, escape, truncated };

// Takes slots until `end`, or until one is the escape or needs a word that is not there; `at` is
// then that symbol.
//
// Dense streams, of many bits a symbol, are read without branches that depend on those bits, and
// need a word for each symbol to be left, taken or not. In sparse ones the branches are foreseen
// nearly always, and cost less than the moves that would replace them. At 0.7 bit a symbol the
// dense way is a quarter slower, at 4.6 the sparse way is.
template <bool kDense, class Index>
Stop take_slots(const CdfTables& tables, const Index* indexes, std::size_t& at, std::size_t end,
                std::int32_t* out, Walk& kept) {
  const CdfScan* scans = tables.scans.data();
  const CdfBucket* buckets = tables.buckets.data();
  Walk walk = kept;
  Stop stop = Stop::end;
  std::size_t i = at;
  for (; i < end; ++i) {
    const CdfScan& scan = scans[static_cast<std::size_t>(indexes[i])];
    const CdfBucket* row = buckets + scan.base;
    keep_whole(row);
    const std::uint32_t low = static_cast<std::uint32_t>(walk.state) & kSlotMask;
    const std::uint64_t high = walk.state >> kProbabilityBits;
    const CdfBucket& bucket = row[low >> scan.shift];
    const std::uint32_t split = bucket.split;
    const std::uint32_t below = bucket.below;
    std::uint32_t frequency = bucket.above;
    std::uint32_t rest = low - split;
    std::uint32_t slot = bucket.slot;
    if constexpr (kDense) {
      rest += select_below(low, split, below, 0u);
      frequency = select_below(low, split, below, frequency);
      slot += low >= split;
    } else if (low < split) {
      rest += below;
      frequency = below;
    } else {
      ++slot;
    }
    if (rest >= frequency) [[unlikely]] {  // a third slot; ends, as the last one reaches 65536
      const std::uint32_t* slots = tables.slots.data() + scan.first;
      do {
        ++slot;
        frequency = slots[slot] >> 16;
        rest = low - (slots[slot] & kSlotMask);
      } while (rest >= frequency);
    }
    walk.state = high * frequency + rest;
    out[i] = scan.offset + static_cast<std::int32_t>(slot);
    if constexpr (kDense) {
      walk.refill_dense();
    } else if (!walk.refill()) {
      stop = Stop::truncated;
      break;
    }
    if (slot == scan.escape) [[unlikely]] {
      stop = Stop::escape;
      break;
    }
  }
  at = i;
  kept = walk;
  return stop;
}

// Reads an escaped value and checks that an encoder could have written it.
Result take_escaped(Walk& walk, const CdfScan& scan, std::int32_t& symbol) {
  std::uint32_t groups = 0;
  if (!walk.take_group(groups)) {
    return {Status::truncated};
  }
  if (groups > kMaxGroups) {
    return {Status::bad_escape, 0, groups};
  }
  std::uint64_t raw = 0;
  std::uint32_t group = 1;
  for (std::uint32_t i = 0; i < groups; ++i) {
    if (!walk.take_group(group)) {
      return {Status::truncated};
    }
    raw |= std::uint64_t{group} << (i * kGroupBits);
  }
  const auto half = static_cast<std::int64_t>(raw >> 1);
  const std::int64_t value = ((raw & 1) != 0 ? -half - 1 : half + scan.escape) + scan.offset;
  if (group == 0 || value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    return {Status::bad_escape, 0, groups};
  }
  symbol = static_cast<std::int32_t>(value);
  return {};
}

// Symbols at..end, whose indexes are good.
template <class Index>
Result take_symbols(const CdfTables& tables, bool dense, const Index* indexes, std::size_t at,
                    std::size_t end, std::int32_t* out, Walk& walk) {
  while (at < end) {
    const std::size_t sure = std::min(end - at, walk.words_left());
    Stop stop;
    if (dense && sure > 0) {
      stop = take_slots<true>(tables, indexes, at, at + sure, out, walk);
    } else {
      stop = take_slots<false>(tables, indexes, at, end, out, walk);
    }
    if (stop == Stop::truncated) {
      return {Status::truncated, at};
    }
    if (stop == Stop::escape) {
      const CdfScan& scan = tables.scans[static_cast<std::size_t>(indexes[at])];
      Result result = take_escaped(walk, scan, out[at]);
      if (result.status != Status::ok) {
        result.position = at;
        return result;
      }
      ++at;
    }
  }
  return {};
}

// The first of indexes[at, end) that names no row, or end.
template <class Index>
std::size_t good_until(const Index* indexes, std::size_t at, std::size_t end, std::size_t rows) {
  using Unsigned = std::make_unsigned_t<Index>;  // negative becomes huge
  Unsigned largest = 0;
  for (std::size_t i = at; i < end; ++i) {
    largest = std::max(largest, static_cast<Unsigned>(indexes[i]));
  }
  if (largest < rows || at == end) {
    return end;
  }
  while (static_cast<Unsigned>(indexes[at]) < rows) {
    ++at;
  }
  return at;
}

}  // namespace

Result open_compressai(const std::uint8_t* data, std::size_t size, CompressaiCursor& cursor) {
  if (size % 4 != 0) {
    return {Status::odd_size, 0, static_cast<std::int64_t>(size)};
  }
  if (size < 8) {
    return {Status::truncated, 0, static_cast<std::int64_t>(size)};
  }
  const std::uint64_t state = std::uint64_t{load_word(data + 4)} << 32 | load_word(data);
  if (state < kStateLow || state >= kStateEnd) {
    return {Status::bad_start, 0, static_cast<std::int64_t>(state)};
  }
  cursor = {state, 8};
  return {};
}

bool valid_cursor(const CompressaiCursor& cursor, std::size_t size) {
  return cursor.state >= kStateLow && cursor.state < kStateEnd && cursor.next >= 8 &&
         cursor.next <= size && cursor.next % 4 == 0 && size % 4 == 0;
}

template <class Index>
Result read_compressai(const CdfTables& tables, const std::uint8_t* data, std::size_t size,
                       CompressaiCursor& cursor, const Index* indexes, std::size_t count,
                       std::int32_t* out) {
  Walk walk{cursor.state, data + cursor.next, data + size};
  for (std::size_t at = 0; at < count;) {
    const std::size_t end = std::min(count, at + kBlock);
    const std::size_t good = good_until(indexes, at, end, tables.scans.size());
    const bool dense = walk.words_left() > (count - at) / kDenseSymbols;
    Result result = take_symbols(tables, dense, indexes, at, good, out, walk);
    if (result.status == Status::truncated) {
      result.detail = static_cast<std::int64_t>(size);
    }
    if (result.status != Status::ok) {
      return result;
    }
    if (good != end) {
      return {Status::bad_index, good, static_cast<std::int64_t>(indexes[good])};
    }
    at = end;
  }
  cursor = {walk.state, static_cast<std::size_t>(walk.next - data)};
  return {};
}

Result close_compressai(const CompressaiCursor& cursor, std::size_t size, std::size_t count) {
  if (cursor.next != size) {
    return {Status::trailing, count, static_cast<std::int64_t>((size - cursor.next) / 4)};
  }
  if (cursor.state != kStateLow) {
    return {Status::bad_end, count, static_cast<std::int64_t>(cursor.state)};
  }
  return {};
}

template <class Index>
Result decode_compressai(const CdfTables& tables, const std::uint8_t* data, std::size_t size,
                         const Index* indexes, std::size_t count, std::int32_t* out) {
  CompressaiCursor cursor;
  Result result = open_compressai(data, size, cursor);
  if (result.status == Status::ok) {
    result = read_compressai(tables, data, size, cursor, indexes, count, out);
  }
  return result.status == Status::ok ? close_compressai(cursor, size, count) : result;
}

template Result read_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                CompressaiCursor&, const std::uint8_t*, std::size_t,
                                std::int32_t*);
template Result read_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                CompressaiCursor&, const std::int32_t*, std::size_t,
                                std::int32_t*);
template Result decode_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                  const std::uint8_t*, std::size_t, std::int32_t*);
template Result decode_compressai(const CdfTables&, const std::uint8_t*, std::size_t,
                                  const std::int32_t*, std::size_t, std::int32_t*);

}  // namespace latentsr
