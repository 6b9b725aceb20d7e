// cdf_tables.h - quantised distributions, rearranged once so that decoding is a short look-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace latentsr {

// One distribution: where its slots start, which slot is the escape, what value slot 0 means.
struct CdfRow {
  std::uint32_t first;   // index of the row's slot 0 in CdfTables::slots
  std::int32_t escape;   // number of ordinary values = index of the escape slot (the last one)
  std::int32_t offset;   // value of slot 0; |offset| <= kMaxOffset
};

// All distributions of a coder in three flat arrays. Read-only after build(), so any number of
// threads may share one.
struct CdfTables {
  // A slot is start | frequency << 16. Both fit 16 bits because every row has at least two
  // slots of frequency >= 1, so no frequency reaches 65536. One load answers "is the state in
  // this slot" and gives both numbers that the state update needs.
  std::vector<std::uint32_t> slots;
  std::vector<CdfRow> rows;
  // 256 entries a row: the slot that holds the first state of each block of 256 states. The
  // search starts there and rarely takes more than one step; a table of all 65536 states would
  // be faster to index but falls out of the cache.
  std::vector<std::uint16_t> buckets;

  // Fills the arrays from CompressAI's layout: `cdf` is rows x columns, row r uses its first
  // length[r] entries, which rise strictly from 0 to 65536. Returns an empty string, or what is
  // wrong with the tables (they come from files and are not trusted).
  std::string build(const std::int32_t* cdf, std::size_t row_count, std::size_t columns,
                    const std::int32_t* length, const std::int32_t* offset);
};

// Sums of a value, an offset and a zig-zag bit then stay far inside 64 bits, and an escaped
// value inside 9 groups of 4 bits.
inline constexpr std::int32_t kMaxOffset = 1 << 24;

}  // namespace latentsr
