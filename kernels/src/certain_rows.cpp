// certain_rows.cpp - compaction without branches: which rows are certain is never foreseen.
#include "certain_rows.h"

namespace latentsr {
namespace {

template <class Index>
bool kept_row(Index index, std::uint32_t skip) {
  return static_cast<std::uint32_t>(index) >= skip;
}

}  // namespace

template <class Index>
std::size_t keep_indexes(const Index* indexes, std::size_t count, std::uint32_t skip,
                         Index* kept) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    kept[next] = indexes[i];
    next += kept_row(indexes[i], skip) ? 1 : 0;
  }
  return next;
}

template <class Index>
std::size_t keep_symbols(const std::int32_t* symbols, const Index* indexes, std::size_t count,
                         std::uint32_t skip, std::int32_t* kept) {
  std::size_t next = 0;
  std::uint32_t lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool keep = kept_row(indexes[i], skip);
    kept[next] = symbols[i];
    next += keep ? 1 : 0;
    lost |= keep ? 0 : static_cast<std::uint32_t>(symbols[i]);
  }
  if (lost == 0) {
    return count;
  }
  std::size_t first = 0;
  while (symbols[first] == 0 || kept_row(indexes[first], skip)) {
    ++first;
  }
  return first;
}

template <class Index>
void spread_symbols(const Index* indexes, std::size_t count, std::uint32_t skip, std::size_t kept,
                    std::int32_t* out) {
  // As many places are left as symbols or more, so reading never falls behind writing; past the
  // last symbol it stays on an element that is written last or never.
  std::size_t next = count - kept;
  for (std::size_t i = 0; i < count; ++i) {
    const bool keep = kept_row(indexes[i], skip);
    const std::int32_t symbol = out[next < count ? next : count - 1];
    out[i] = keep ? symbol : 0;
    next += keep ? 1 : 0;
  }
}

template <class Index>
std::size_t place_of_kept(const Index* indexes, std::size_t count, std::uint32_t skip,
                          std::size_t ordinal) {
  for (std::size_t i = 0; i < count; ++i) {
    if (kept_row(indexes[i], skip) && ordinal-- == 0) {
      return i;
    }
  }
  return count;
}

template std::size_t keep_indexes(const std::uint8_t*, std::size_t, std::uint32_t, std::uint8_t*);
template std::size_t keep_indexes(const std::int32_t*, std::size_t, std::uint32_t, std::int32_t*);
template std::size_t keep_symbols(const std::int32_t*, const std::uint8_t*, std::size_t,
                                  std::uint32_t, std::int32_t*);
template std::size_t keep_symbols(const std::int32_t*, const std::int32_t*, std::size_t,
                                  std::uint32_t, std::int32_t*);
template void spread_symbols(const std::uint8_t*, std::size_t, std::uint32_t, std::size_t,
                             std::int32_t*);
template void spread_symbols(const std::int32_t*, std::size_t, std::uint32_t, std::size_t,
                             std::int32_t*);
template std::size_t place_of_kept(const std::uint8_t*, std::size_t, std::uint32_t, std::size_t);
template std::size_t place_of_kept(const std::int32_t*, std::size_t, std::uint32_t, std::size_t);

}  // namespace latentsr
