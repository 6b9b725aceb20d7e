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

// What a decoder needs to know about one bucket, 2^shift neighbouring states of a row: two slots
// that lie side by side and meet at `split`. The first is the one that holds the bucket's first
// state, so the two answer most states of the bucket, and which of them it is can be told without
// a branch. Slots after the second are looked for in CdfTables::slots.
struct CdfBucket {
  std::uint16_t split;  // first state of the second slot
  std::uint16_t below;  // frequency of the first slot
  std::uint16_t above;  // frequency of the second slot
  std::uint16_t slot;   // number of the first slot in its row
};

// Where a row's buckets lie, with all of CdfRow that decoding uses, in a quarter of a cache line.
struct CdfScan {
  std::uint32_t base;   // index of the row's bucket 0 in CdfTables::buckets
  std::uint32_t first;  // as in CdfRow
  std::int32_t offset;
  std::uint16_t escape;
  std::uint16_t shift;
};

// All distributions of a coder in flat arrays. Read-only after build(), so any number of threads
// may share one.
struct CdfTables {
  // A slot is start | frequency << 16. Both fit 16 bits because every row has at least two
  // slots of frequency >= 1, so no frequency reaches 65536. One load answers "is the state in
  // this slot" and gives both numbers that the state update needs.
  std::vector<std::uint32_t> slots;
  std::vector<CdfRow> rows;
  // Rows with narrow slots get narrow buckets, so that a third slot is seldom asked for; flat
  // and certain rows get wide ones, so that they stay in the cache. A table of all 65536 states
  // would need no search at all but falls out of every cache.
  std::vector<CdfBucket> buckets;
  std::vector<CdfScan> scans;  // one a row

  // Fills the arrays from CompressAI's layout: `cdf` is rows x columns, row r uses its first
  // length[r] entries, which rise strictly from 0 to 65536. Returns an empty string, or what is
  // wrong with the tables (they come from files and are not trusted).
  std::string build(const std::int32_t* cdf, std::size_t row_count, std::size_t columns,
                    const std::int32_t* length, const std::int32_t* offset);

  // Adds one row, of which `columns` entries are there. As build(), but says nothing of the row.
  std::string append(const std::int32_t* cdf, std::size_t columns, std::int32_t length,
                     std::int32_t offset);
};

// Sums of a value, an offset and a zig-zag bit then stay far inside 64 bits, and an escaped
// value inside 9 groups of 4 bits.
inline constexpr std::int32_t kMaxOffset = 1 << 24;

}  // namespace latentsr
