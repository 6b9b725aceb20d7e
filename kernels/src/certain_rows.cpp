// certain_rows.cpp - compaction without branches: which rows are certain is never foreseen.
#include "certain_rows.h"

namespace latentsr {
namespace {

#ifdef LATENTSR_X86_KERNELS
bool has_wide_compaction(Isa isa) {
  return isa == Isa::avx512 && __builtin_cpu_supports("avx512vbmi2") &&
         __builtin_cpu_supports("avx512bw");
}
#endif

// 1 or 0: sums and products of it, unlike choices by it, are never compiled to jumps.
template <class Index>
std::uint32_t kept_row(Index index, std::uint32_t skip) {
  return static_cast<std::uint32_t>(index) >= skip ? 1 : 0;
}

}  // namespace

template <class Index>
std::size_t keep_indexes(const Index* indexes, std::size_t count, std::uint32_t skip,
                         Index* kept, [[maybe_unused]] Isa isa) {
  std::size_t next = 0;
  std::size_t i = 0;
#ifdef LATENTSR_X86_KERNELS
  if (has_wide_compaction(isa)) {
    next = keep_most_indexes_avx512(indexes, count, skip, kept, i);
  }
#endif
  for (; i < count; ++i) {
    kept[next] = indexes[i];
    next += kept_row(indexes[i], skip);
  }
  return next;
}

template <class Index>
std::size_t keep_symbols(const std::int32_t* symbols, const Index* indexes, std::size_t count,
                         std::uint32_t skip, std::int32_t* kept) {
  std::size_t next = 0;
  std::uint32_t lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t keep = kept_row(indexes[i], skip);
    kept[next] = symbols[i];
    next += keep;
    lost |= static_cast<std::uint32_t>(symbols[i]) & (keep - 1);
  }
  if (lost == 0) {
    return count;
  }
  std::size_t first = 0;
  while (symbols[first] == 0 || kept_row(indexes[first], skip) != 0) {
    ++first;
  }
  return first;
}

template <class Index>
void spread_symbols(const Index* indexes, std::size_t count, std::uint32_t skip, std::size_t kept,
                    std::int32_t* out, [[maybe_unused]] Isa isa) {
  // As many places are left as symbols or more, so reading never falls behind writing; past the
  // last symbol it stays on an element that is written last.
  std::size_t next = count - kept;
  std::size_t i = 0;
#ifdef LATENTSR_X86_KERNELS
  if (has_wide_compaction(isa)) {
    next = spread_most_symbols_avx512(indexes, count, skip, next, out, i);
  }
#endif
  for (; i < count; ++i) {
    const std::uint32_t keep = kept_row(indexes[i], skip);
    const std::int32_t symbol = out[next - (next == count ? 1 : 0)];
    out[i] = symbol & -static_cast<std::int32_t>(keep);
    next += keep;
  }
}

template <class Index>
std::size_t place_of_kept(const Index* indexes, std::size_t count, std::uint32_t skip,
                          std::size_t ordinal) {
  for (std::size_t i = 0; i < count; ++i) {
    if (kept_row(indexes[i], skip) != 0 && ordinal-- == 0) {
      return i;
    }
  }
  return count;
}

template std::size_t keep_indexes(const std::uint8_t*, std::size_t, std::uint32_t,
                                  std::uint8_t*, Isa);
template std::size_t keep_indexes(const std::int32_t*, std::size_t, std::uint32_t,
                                  std::int32_t*, Isa);
template std::size_t keep_symbols(const std::int32_t*, const std::uint8_t*, std::size_t,
                                  std::uint32_t, std::int32_t*);
template std::size_t keep_symbols(const std::int32_t*, const std::int32_t*, std::size_t,
                                  std::uint32_t, std::int32_t*);
template void spread_symbols(const std::uint8_t*, std::size_t, std::uint32_t, std::size_t,
                             std::int32_t*, Isa);
template void spread_symbols(const std::int32_t*, std::size_t, std::uint32_t, std::size_t,
                             std::int32_t*, Isa);
template std::size_t place_of_kept(const std::uint8_t*, std::size_t, std::uint32_t, std::size_t);
template std::size_t place_of_kept(const std::int32_t*, std::size_t, std::uint32_t, std::size_t);

}  // namespace latentsr
