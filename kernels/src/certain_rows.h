// certain_rows.h - leaves out the symbols of certain rows before coding, and puts them back.
//
// Rows below `skip` are certain; an index is compared as an unsigned number, so that a negative
// one is kept and found invalid by the coder.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

// Copies the indexes that are not certain to `kept`, which has room for `count`. Returns their
// number.
template <class Index>
std::size_t keep_indexes(const Index* indexes, std::size_t count, std::uint32_t skip, Index* kept);

// Copies the symbols that are not certain to `kept`, which has room for `count`. Returns the
// position of the first certain symbol that is not 0, or `count` when all are.
template <class Index>
std::size_t keep_symbols(const std::int32_t* symbols, const Index* indexes, std::size_t count,
                         std::uint32_t skip, std::int32_t* kept);

// The opposite: the last `kept` of the `count` elements of `out` move to the places of the
// indexes that are not certain; all others become 0.
template <class Index>
void spread_symbols(const Index* indexes, std::size_t count, std::uint32_t skip, std::size_t kept,
                    std::int32_t* out);

// Place among all symbols of kept symbol number `ordinal`, or `count` when there are not as many.
template <class Index>
std::size_t place_of_kept(const Index* indexes, std::size_t count, std::uint32_t skip,
                          std::size_t ordinal);

}  // namespace latentsr
