// rans_lanes.h - READ ME FIRST: the `lanes` stream form and the functions that code it.
//
// Many small rANS coders (lanes) take turns and share one sequence of words, so that a decoder
// works on many symbols at once. A long stream consists of parts that do not need each other, so
// that threads do.
//
//   byte            bits 0-2: log2 N, 0 to 5, so N is 1, 2, 4, 8, 16 or 32 lanes;
//                   bit 3: set when no part has a side section; bits 4-7: log2 P, 0 to 8
//   P - 1 varints   the lengths in bytes of all P parts but the last
//   P parts         without gaps; the last one ends where the stream does
//
// and a part of
//
//   varint          S, the length of its side section in bytes; absent when bit 3 is set
//   N x 4 bytes     the states from which the decoder starts, lane 0 first, each >= 2^16
//   W x 2 bytes     the words, in the order in which a decoder needs them
//   S bytes         side section: one varint for each escaped symbol, in symbol order
//
// Numbers are little-endian. W is what the part's size leaves over; that must be even. The
// symbol count is not stored: the decoder brings the indexes. A varint is LEB128 (7 bits a byte,
// low bits first, high bit set on all bytes but the last) of at most 5 bytes, the last of which
// is not zero unless it is the only one, so a number has one spelling; S and lengths lie below
// 2^35.
//
// Of `count` symbols part p holds the numbers p K ... (p + 1) K - 1, with K = 64 ceil(count /
// (64 P)); the last parts may hold fewer or none. Rows below `skip`, a number that both sides
// know, are certain: their symbols are 0 and leave no trace. Symbol j of those that remain of a
// part belongs to lane j mod N.
//
// A lane is an integer x in [2^16, 2^32). For a slot with start s and frequency f (out of 2^16)
//   encode:  if x >= f * 2^16, emit the low 16 bits of x and shift x right by 16;
//            x = (x / f) * 2^16 + s + x mod f
//   decode:  the slot is the one that holds x mod 2^16;  x = f * (x / 2^16) + x mod 2^16 - s;
//            if x < 2^16, x = x * 2^16 + next word
// One word always suffices, because f * (x / 2^16) >= 1. Encoders start every lane at 2^16 and
// run from the last symbol to the first. A decode is right when every lane ends at 2^16 with no
// word and no side byte left; readers MUST refuse anything else.
//
// Why 2^16 for both the state's lower end and the probabilities: the tables are used as they
// are, without a second quantisation, and rounding then costs 0.06 to 0.15 % of the bits; 15 or
// 14 bits would save at most 0.1 % of that at low rates and cost up to 0.25 % more at high ones.
//
// Value -> slot: v = symbol - offset. Values 0 ... n-1 have slots of their own; the last slot,
// n, is the escape, and the side section holds raw = 2 * (v - n) for v >= n, -2 * v - 1 below 0.
// The value must be an int32.
//
// Choice of N and P by the encoder (a reader takes any): see lane_plan.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "latentsr/lane_tables.h"
#include "latentsr/status.h"

namespace latentsr {

inline constexpr std::uint32_t kLaneLow = 1u << 16;
inline constexpr unsigned kMaxLanes = 32;
inline constexpr unsigned kMaxParts = 256;

// Instruction sets with a decoder of their own. All give the same symbols and the same faults.
enum class Isa : int { scalar = 0, avx2, avx512, neon };

// True when this build has the decoder and this processor runs it.
bool isa_supported(Isa isa);

// How to encode. None of it but `threads` is free to differ at the decoder: N and P travel in
// the stream, `skip` must be brought.
struct LaneEncoding {
  unsigned lanes = 0;      // a power of two up to kMaxLanes, or 0 for the encoder's choice
  unsigned parts = 0;      // a power of two up to kMaxParts, or 0 likewise
  std::uint32_t skip = 0;  // rows below it are certain
  unsigned threads = 1;    // at least 1; never changes the bytes
};

struct LaneDecoding {
  std::uint32_t skip = 0;
  unsigned threads = 1;
  Isa isa = Isa::scalar;  // must be supported
};

// Codes `count` symbols as one stream into `stream`, whose old content is lost. Fails with
// bad_index, or not_zero for a symbol of a certain row.
template <class Index>
Result encode_lanes(const LaneTables& tables, const std::int32_t* symbols, const Index* indexes,
                    std::size_t count, const LaneEncoding& how, std::vector<std::uint8_t>& stream);

// Decodes `count` symbols from `size` bytes. Reads no byte outside data[0, size) and writes only
// out[0, count), whatever the bytes are. On failure the content of `out` is not to be trusted.
template <class Index>
Result decode_lanes(const LaneTables& tables, const std::uint8_t* data, std::size_t size,
                    const Index* indexes, std::size_t count, std::int32_t* out,
                    const LaneDecoding& how);

}  // namespace latentsr
