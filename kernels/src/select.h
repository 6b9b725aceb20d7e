// select.h - choices that hang on random bits, made without a branch.
#pragma once

namespace latentsr {

// a < b ? yes : no. Where a and b come from coded bits, a branch is mispredicted up to half of
// the time, which costs more than a whole symbol. Compilers cannot know that and write branches,
// hints notwithstanding (GCC 12), so the conditional move is spelled out where there is one.
template <class T>
inline T select_below(T a, T b, T yes, T no) {
#if defined(__x86_64__) && defined(__GNUC__)
  __asm__("cmp %[b], %[a]\n\tcmovb %[yes], %[no]"
          : [no] "+r"(no)
          : [a] "r"(a), [b] "r"(b), [yes] "r"(yes)
          : "cc");
  return no;
#else
  return a < b ? yes : no;
#endif
}

// Keeps the compiler from taking the value apart: sums that are ready early stay apart from
// those that wait for a symbol.
template <class T>
inline void keep_whole(T& value) {
#if defined(__GNUC__)
  __asm__("" : "+r"(value));
#else
  (void)value;
#endif
}

}  // namespace latentsr
