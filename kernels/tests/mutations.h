// mutations.h - ways to damage a stream, each drawn from a seed.
#pragma once

#include "seeded_cases.h"

namespace drivers {

inline constexpr const char* kMutationNames[] = {"truncate", "flip_one",  "flip_few", "splice",
                                                 "insert",   "remove",    "overwrite", "random"};
inline constexpr int kMutations = 8;

inline Bytes random_bytes(Random& random, std::size_t count) {
  Bytes made;
  const std::size_t kind = random.below(4);  // runs of one value reach the ends of all ranges
  for (std::size_t i = 0; i < count; ++i) {
    const auto any = static_cast<std::uint8_t>(random.next());
    made.push_back(kind == 0 ? std::uint8_t{0} : kind == 1 ? std::uint8_t{0xff} : any);
  }
  return made;
}

inline std::ptrdiff_t place(Random& random, std::size_t size) {
  return static_cast<std::ptrdiff_t>(random.below(size + 1));
}

inline void flip(Random& random, Bytes& data, std::size_t bits) {
  for (; bits > 0 && !data.empty(); --bits) {
    data[random.below(data.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
  }
}

// Puts random bytes over some of the data; half of the time over its head, where the counts are.
inline void overwrite(Random& random, Bytes& data) {
  const std::size_t first = random.below(2) == 0 ? 0 : random.below(data.size());
  const std::size_t room = data.size() - first;
  const Bytes fresh = random_bytes(random, 1 + random.below(std::min<std::size_t>(room, 24)));
  std::copy(fresh.begin(), fresh.end(), data.begin() + static_cast<std::ptrdiff_t>(first));
}

// Nothing of the stream, or nothing but its head.
inline Bytes replaced(Random& random, const Bytes& stream) {
  const std::size_t kept = random.below(2) == 0 ? 0 : random.below(std::min<std::size_t>(
                                                          stream.size() + 1, 80));
  Bytes data = random_bytes(random, kept + random.below(2 * stream.size()));
  std::copy_n(stream.begin(), kept, data.begin());
  return data;
}

inline Bytes damaged(Random& random, int kind, const Bytes& stream, const Bytes& other) {
  Bytes data = stream;
  switch (kind) {
    case 0:
      data.resize(random.below(data.size()));
      return data;
    case 1:
      flip(random, data, 1);
      return data;
    case 2:
      flip(random, data, 2 + random.below(7));
      return data;
    case 3:
      data.erase(data.begin() + place(random, data.size()), data.end());
      data.insert(data.end(), other.begin() + place(random, other.size()), other.end());
      return data;
    case 4: {
      const Bytes fresh = random_bytes(random, 1 + random.below(8));
      data.insert(data.begin() + place(random, data.size()), fresh.begin(), fresh.end());
      return data;
    }
    case 5: {
      const std::size_t first = random.below(data.size());
      const std::size_t gone = std::min(data.size() - first, 1 + random.below(8));
      const auto at = data.begin() + static_cast<std::ptrdiff_t>(first);
      data.erase(at, at + static_cast<std::ptrdiff_t>(gone));
      return data;
    }
    case 6:
      overwrite(random, data);
      return data;
    default:
      return replaced(random, stream);
  }
}

// A damaged copy of `stream`, which is not empty; `other` lends bytes to the splice. It may, by
// chance, equal the stream. Most sizes are kept to whole words of `unit` bytes: streams of odd
// size are refused at once and test little.
inline Bytes mutate(Random& random, int kind, const Bytes& stream, const Bytes& other,
                    std::size_t unit) {
  Bytes data = damaged(random, kind, stream, other);
  if (random.below(8) != 0) {
    const std::size_t beyond = (data.size() + unit - stream.size() % unit) % unit;
    data.resize(data.size() - std::min(data.size(), beyond));
  }
  return data;
}

}  // namespace drivers
