// certain_rows.h - leaves out the symbols of certain rows before coding, and puts them back.
//
// Rows below `skip` are certain; an index is compared as an unsigned number, so that a negative
// one is kept and found invalid by the coder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/rans_lanes.h"

namespace latentsr {

// Copies the indexes that are not certain to `kept`, which has room for `count`. Returns their
// number. `isa` must be supported.
template <class Index>
std::size_t keep_indexes(const Index* indexes, std::size_t count, std::uint32_t skip, Index* kept,
                         Isa isa);

// Copies the symbols that are not certain to `kept`, which has room for `count`. Returns the
// position of the first certain symbol that is not 0, or `count` when all are.
template <class Index>
std::size_t keep_symbols(const std::int32_t* symbols, const Index* indexes, std::size_t count,
                         std::uint32_t skip, std::int32_t* kept);

// The opposite: the last `kept` of the `count` elements of `out` move to the places of the
// indexes that are not certain; all others become 0.
template <class Index>
void spread_symbols(const Index* indexes, std::size_t count, std::uint32_t skip, std::size_t kept,
                    std::int32_t* out, Isa isa);

// Place among all symbols of kept symbol number `ordinal`, or `count` when there are not as many.
template <class Index>
std::size_t place_of_kept(const Index* indexes, std::size_t count, std::uint32_t skip,
                          std::size_t ordinal);

// The beginnings of keep_indexes and spread_symbols with wide registers, for processors with the
// vbmi2, bw and f parts of AVX-512. They stop before the end and say in `done` how many indexes
// they took; they return how many they kept, or the next symbol to read (at first `next`).
std::size_t keep_most_indexes_avx512(const std::uint8_t* indexes, std::size_t count,
                                     std::uint32_t skip, std::uint8_t* kept, std::size_t& done);
std::size_t keep_most_indexes_avx512(const std::int32_t* indexes, std::size_t count,
                                     std::uint32_t skip, std::int32_t* kept, std::size_t& done);
template <class Index>
std::size_t spread_most_symbols_avx512(const Index* indexes, std::size_t count,
                                       std::uint32_t skip, std::size_t next, std::int32_t* out,
                                       std::size_t& done);

}  // namespace latentsr
