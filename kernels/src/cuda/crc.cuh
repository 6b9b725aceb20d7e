// crc.cuh - the CRC-32 of symbols where they lie, so that they need not cross the bus for it.
//
// With states as polynomials over two elements (bit 31 is x^0), n words w leave the state
//   start x^(32 n) + w[0] x^(32 n) + w[1] x^(32 (n - 1)) + ... + w[n - 1] x^32   mod P.
// Thread t of T adds up the words t, t + T, t + 2 T ... by Horner's rule with the factor x^(32 T),
// and shifts the sum to its place; sums of all threads are added in any order.
#pragma once

#include <cstdint>

#include "latentsr/cuda/lane_batch.h"
#include "warp.cuh"

namespace latentsr::cuda {

inline constexpr std::uint32_t kCrcPolynomial = 0xedb88320;

// Threads that share one stream's symbols.
inline constexpr std::uint32_t kCrcThreads = 1u << 14;

// a b mod P.
LATENTSR_BOTH std::uint32_t crc_multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= a >> 31 != 0 ? b : 0;
    b = b >> 1 ^ ((b & 1) != 0 ? kCrcPolynomial : 0);
  }
  return product;
}

// x^(32 n) mod P.
LATENTSR_BOTH std::uint32_t crc_power(std::uint64_t n) {
  std::uint32_t power = 1u << 31;
  std::uint32_t square = kCrcPolynomial;  // x^32 mod P
  for (; n != 0; n >>= 1) {
    power = (n & 1) != 0 ? crc_multiply(power, square) : power;
    square = crc_multiply(square, square);
  }
  return power;
}

// Products of a factor with each byte at each of the four places of a state.
inline constexpr std::uint32_t kCrcTable = 4 * 256;

LATENTSR_DEVICE std::uint32_t crc_table_entry(std::uint32_t factor, std::uint32_t i) {
  return crc_multiply((i & 255) << (8 * (i >> 8)), factor);
}

LATENTSR_DEVICE std::uint32_t crc_shift(const std::uint32_t* table, std::uint32_t state) {
  return table[state & 255] ^ table[256 + (state >> 8 & 255)] ^
         table[512 + (state >> 16 & 255)] ^ table[768 + (state >> 24)];
}

// What the symbols leave of the CRC before them, to which the sums of all threads are added.
LATENTSR_DEVICE std::uint32_t crc_begin(std::uint32_t start, std::uint32_t count) {
  return ~crc_multiply(~start, crc_power(count));
}

// The sum of one thread's words. `table` holds the products with x^(32 kCrcThreads).
LATENTSR_DEVICE std::uint32_t crc_sum(const std::int32_t* symbols, std::uint32_t count,
                                      std::uint32_t thread, const std::uint32_t* table) {
  if (thread >= count) {
    return 0;
  }
  std::uint32_t state = 0;
  std::uint64_t last = thread;
  for (std::uint64_t i = thread; i < count; i += kCrcThreads) {
    state = crc_shift(table, state) ^ static_cast<std::uint32_t>(symbols[i]);
    last = i;
  }
  return crc_multiply(state, crc_power(count - last));
}

}  // namespace latentsr::cuda
