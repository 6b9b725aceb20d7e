// rans.h - READ ME FIRST: the `compressai` stream form and the functions that code it.
//
// The form is bit-identical with the strings of CompressAI's `ans` coder. A stream is a
// sequence of 32-bit little-endian words: the final encoder state (low word first), then the
// renormalisation words in the order in which a decoder needs them. There is no header and no
// symbol count: the decoder brings the indexes, one a symbol.
//
// The coder is rANS: one unsigned integer x holds all that was coded. For a slot with start s
// and frequency f (out of 2^16) and a state x
//   encode:  if x >= f * 2^47, emit the low 32 bits of x and shift x right by 32;
//            x = (x / f) * 2^16 + s + x mod f
//   decode:  the slot is the one that holds x mod 2^16;  x = f * (x / 2^16) + x mod 2^16 - s;
//            if x < 2^31, x = x * 2^32 + next word
// A decoder undoes the encoder's steps in reverse, so the encoder runs from the last symbol to
// the first, and a correct decode ends in the state the encoder began with, with no word left.
//
// Value -> slot: v = symbol - offset. Values 0 ... n-1 have slots of their own; the last slot,
// n, is the escape. After it the value follows in the open, in 4-bit groups of frequency
// 2^16 / 16: first the number of groups, then the groups, low bits first, of the raw value
//   raw = 2 * (v - n)  for v >= n,      raw = -2 * v - 1  for v < 0.
// raw = 0 has no groups; otherwise the highest group is never zero.
//
// Limits: CompressAI itself codes raw < 2^28 (its group count loop does not end above). Any
// int32 symbol is coded here, with up to 9 groups; readers refuse more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "latentsr/cdf_tables.h"
#include "latentsr/status.h"

namespace latentsr {

// Probabilities are in units of 2^-16: what CompressAI's `update()` writes by default.
inline constexpr int kProbabilityBits = 16;
// Lower end of the state between two steps. With 32-bit words and 16-bit probabilities 2^31
// keeps the state under 2^63 and the loss by rounding under 2^-15 of a bit a symbol.
inline constexpr std::uint64_t kStateLow = std::uint64_t{1} << 31;
// States lie below kStateLow * 2^32; a stream that begins with more is not a stream.
inline constexpr std::uint64_t kStateEnd = kStateLow << 32;
// Width of one group of an escaped value, CompressAI's `bypass_precision`.
inline constexpr int kGroupBits = 4;
// Groups that the widest raw value needs: |v| <= 2^31 + 2^24 gives raw < 2^33, 9 groups of 4
// bits. Fewer than 15, hence the count itself always fits one group.
inline constexpr int kMaxGroups = 9;

// Writes a stream from its end: each put() codes symbols that a decoder reads before those of the
// puts made earlier. One object, one stream.
class CompressaiEncoder {
 public:
  // Codes `count` symbols, last one first. Index is uint8_t or int32_t. Fails with bad_index
  // only; the encoder is of no use then.
  template <class Index>
  Result put(const CdfTables& tables, const std::int32_t* symbols, const Index* indexes,
             std::size_t count);

  // Ends the stream with the state and shows its words; valid until the encoder goes.
  std::span<const std::uint32_t> finish();

 private:
  void reserve(std::size_t words);
  void put_group(std::uint32_t group);
  void put_raw(std::uint64_t raw);

  // Filled from its end, because decoders read last words first; next_ is the newest word.
  std::unique_ptr<std::uint32_t[]> buffer_;
  std::size_t capacity_ = 0;
  std::uint32_t* next_ = nullptr;
  std::uint64_t state_ = kStateLow;
};

// Where a decoder stands in a stream: its state, and the byte that the next word starts at.
// Positions that were saved may be gone back to; made-up ones decode to something or fail.
struct CompressaiCursor {
  std::uint64_t state = 0;
  std::size_t next = 0;
};

// Sets the cursor to the first symbol of a stream of `size` bytes.
Result open_compressai(const std::uint8_t* data, std::size_t size, CompressaiCursor& cursor);

// Whether decoding may start at the cursor: a possible state, and a word inside the stream.
bool valid_cursor(const CompressaiCursor& cursor, std::size_t size);

// Decodes the next `count` symbols from a valid cursor and moves it behind them. Reads no byte
// outside data[0, size) and writes only out[0, count), whatever the bytes are. On failure the
// cursor stays, and `out` holds the symbols before Result::position, which are not to be trusted.
template <class Index>
Result read_compressai(const CdfTables& tables, const std::uint8_t* data, std::size_t size,
                       CompressaiCursor& cursor, const Index* indexes, std::size_t count,
                       std::int32_t* out);

// The one check of the form itself: everything that the encoder put in has come out. `count` is
// the Result's position.
Result close_compressai(const CompressaiCursor& cursor, std::size_t size, std::size_t count);

// Open, read and close: one whole stream of `count` symbols.
template <class Index>
Result decode_compressai(const CdfTables& tables, const std::uint8_t* data, std::size_t size,
                         const Index* indexes, std::size_t count, std::int32_t* out);

}  // namespace latentsr
