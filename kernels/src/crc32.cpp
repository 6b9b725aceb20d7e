// crc32.cpp - the CRC-32 by tables, eight bytes at once, and the choice of something faster.
//
// Slicing-by-8: Kounavis and Berry, "A Systematic Approach to Building High Performance
// Software-based CRC Generators", ISCC 2005.
#include "latentsr/crc32.h"

#include <array>
#include <bit>
#include <cstring>

#include "crc32_parts.h"

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded in host order");

constexpr std::uint32_t kPolynomial = 0xedb88320;  // P with bits reversed: bit 31 is x^0

constexpr bool proved(const FoldFactors& factors, int bytes) {
  std::uint32_t power = 1u << 31;  // x^n mod P
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  for (int n = 0; n <= 8 * bytes + 32; ++n) {
    second = n == 8 * bytes - 32 ? power : second;
    first = power;
    power = (power >> 1) ^ ((power & 1) != 0 ? kPolynomial : 0);
  }
  return factors.first == 2LL * first && factors.second == 2LL * second;
}

static_assert(proved(kFold16, 16) && proved(kFold64, 64) && proved(kFold256, 256));

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: the state after byte b and k zero bytes, from state 0.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit) {
      state = (state >> 1) ^ ((state & 1) != 0 ? kPolynomial : 0);
    }
    tables[0][byte] = state;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

std::uint32_t slice(const std::uint8_t* data, std::size_t size, std::uint32_t state) {
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= state;
    state = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      state ^= kTables[7 - k][word >> (8 * k) & 255];
    }
  }
  for (; size != 0; ++data, --size) {
    state = (state >> 8) ^ kTables[0][(state ^ *data) & 255];
  }
  return state;
}

// Carry-less products are no part of AVX2 and AVX-512, so they are asked for apart.
std::size_t fold([[maybe_unused]] const std::uint8_t* data, [[maybe_unused]] std::size_t size,
                 [[maybe_unused]] std::uint32_t state, [[maybe_unused]] std::uint8_t folded[16],
                 [[maybe_unused]] Isa isa) {
#ifdef LATENTSR_X86_KERNELS
  if (isa == Isa::scalar || size < kFoldLeast || !__builtin_cpu_supports("pclmul")) {
    return 0;
  }
  if (isa == Isa::avx512 && size >= kWideFoldLeast && __builtin_cpu_supports("vpclmulqdq")) {
    return crc32_fold_wide(data, size, state, folded);
  }
  return crc32_fold(data, size, state, folded);
#else
  return 0;
#endif
}

}  // namespace

std::uint32_t crc32(const std::uint8_t* data, std::size_t size, std::uint32_t start, Isa isa) {
  std::uint32_t state = ~start;
  std::uint8_t folded[16];
  const std::size_t done = fold(data, size, state, folded, isa);
  if (done != 0) {
    state = slice(folded, sizeof folded, 0);
  }
  return ~slice(data + done, size - done, state);
}

}  // namespace latentsr
