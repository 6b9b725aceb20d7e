// reciprocal_edges.cpp - compares Reciprocal::advance with a division, for every frequency.
#include <cstdio>

#include "reciprocal.h"

namespace {

bool same(std::uint64_t x, std::uint32_t frequency) {
  const std::uint64_t expected = ((x / frequency) << 16) + x % frequency;
  const std::uint64_t found = latentsr::reciprocals()[frequency].advance(x, frequency);
  if (found != expected) {
    std::printf("x %llu frequency %u: found %llu, expected %llu\n",
                static_cast<unsigned long long>(x), frequency,
                static_cast<unsigned long long>(found),
                static_cast<unsigned long long>(expected));
  }
  return found == expected;
}

}  // namespace

int main() {
  constexpr int kRandom = 200;
  std::uint64_t random = 1;
  for (std::uint32_t frequency = 1; frequency < 1u << 16; ++frequency) {
    const std::uint64_t end = std::uint64_t{frequency} << 47;
    for (std::uint64_t x = 1; x <= 2 * std::uint64_t{frequency}; x += frequency / 3 + 1) {
      if (!same(x, frequency)) return 1;
    }
    // Multiples of the frequency and their neighbours, at every power of two and at both ends.
    for (int bit = 0; bit <= 47; ++bit) {
      const std::uint64_t multiple = std::uint64_t{frequency} << bit;
      for (const std::uint64_t near : {multiple - frequency, multiple, multiple + frequency}) {
        for (const std::uint64_t x : {near - 1, near, near + 1}) {
          if (x >= 1 && x < end && !same(x, frequency)) return 1;
        }
      }
    }
    for (int i = 0; i < kRandom; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const std::uint64_t x = (random >> 1) % end;
      const std::uint64_t multiple = x / frequency * frequency;
      if (x >= 1 && !same(x, frequency)) return 1;
      if (multiple >= 2 && (!same(multiple, frequency) || !same(multiple - 1, frequency))) return 1;
    }
  }
  return 0;
}
