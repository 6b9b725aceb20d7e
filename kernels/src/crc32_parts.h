// crc32_parts.h - the SIMD parts of the CRC-32; raw pointers only, as in latent_steps_parts.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

inline constexpr std::size_t kFoldLeast = 64;
inline constexpr std::size_t kWideFoldLeast = 256;

// What a block of 16 bytes is multiplied by when it is added to the block so many bytes further
// on: x^(n + 32) mod P for its first half, x^(n - 32) mod P for its second, n the distance in
// bits; bits reversed, and shifted by one because a product of two reversed numbers of 64 bits
// has 127 bits, not 128. crc32.cpp proves them.
struct FoldFactors {
  long long first;
  long long second;
};
inline constexpr FoldFactors kFold16 = {0x1751997d0, 0x0ccaa009e};
inline constexpr FoldFactors kFold64 = {0x154442bd4, 0x1c6e41596};
inline constexpr FoldFactors kFold256 = {0x11542778a, 0x1322d1430};

// Fold `size` bytes (at least kFoldLeast, or kWideFoldLeast), with the CRC's state put in front,
// into 16 bytes that have the same remainder. Return how many bytes were folded: all but the
// last 0 to 15, or 0 to 63.
std::size_t crc32_fold(const std::uint8_t* data, std::size_t size, std::uint32_t state,
                       std::uint8_t folded[16]);
std::size_t crc32_fold_wide(const std::uint8_t* data, std::size_t size, std::uint32_t state,
                            std::uint8_t folded[16]);

}  // namespace latentsr
