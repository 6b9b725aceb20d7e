// context_products.cpp - the products of context models, by every instruction that can make them.
//
// context_products [ROUNDS] [SEED]: seeded weights and inputs, the largest among them, for all
// numbers of positions. A processor with AVX512-VNNI never takes the products of AVX-512BW, so
// nothing else would compare them. Prints what was compared as one line of JSON.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../src/context_steps.h"
#include "latentsr/context.h"
#include "seeded_cases.h"

namespace {

using latentsr::ContextProduct;
using latentsr::ContextSpan;
using latentsr::kContextBlock;

struct Way {
  const char* name;
  void (*multiply)(const ContextProduct&, std::size_t, std::size_t);
};

std::vector<Way> ways() {
  std::vector<Way> found{{"scalar", latentsr::kContextScalar.multiply}};
#ifdef LATENTSR_X86_KERNELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) {
    found.push_back({"avx2", latentsr::kContextAvx2.multiply});
  }
  if (__builtin_cpu_supports("avx512bw")) {
    found.push_back({"avx512bw", latentsr::kContextAvx512.multiply});
    if (__builtin_cpu_supports("avx512vnni")) {
      found.push_back({"avx512vnni", latentsr::multiply_context_vnni});
    }
  }
#endif
  return found;
}

std::int16_t draw(drivers::Random& random, std::int32_t most) {
  const auto value = static_cast<std::int32_t>(random.below(2 * static_cast<std::size_t>(most) + 1));
  return static_cast<std::int16_t>(random.below(4) == 0 ? (value > most ? most : -most)
                                                        : value - most);
}

// One product in all ways; false, with the way's name said, where one differs.
bool agree(drivers::Random& random, std::size_t positions) {
  const std::size_t blocks = 1 + random.below(5);
  const std::vector<ContextSpan> spans{{0, 4 * (1 + random.below(3))},
                                       {64, 4 * (1 + random.below(20))}};
  const std::size_t pairs = spans[0].pairs + spans[1].pairs;
  std::vector<latentsr::ContextLine> lines(blocks * pairs);
  // So few that even the largest sums stay below 2^31.
  const std::int32_t most = static_cast<std::int32_t>(65535 / (2 * pairs));
  for (auto& line : lines) {
    for (auto& two : line.weights) {
      two[0] = draw(random, most);
      two[1] = draw(random, most);
    }
  }
  if (random.below(2) == 0) {  // one pair alone, the largest there are
    std::fill(lines.begin(), lines.end(), latentsr::ContextLine{});
    for (auto& two : lines[0].weights) {
      two[0] = two[1] = static_cast<std::int16_t>(random.below(2) == 0 ? -32768 : 32767);
    }
  }
  const std::ptrdiff_t step = 64 + 2 * static_cast<std::ptrdiff_t>(spans[1].pairs);
  std::vector<std::int16_t> input(positions * static_cast<std::size_t>(step));
  for (auto& value : input) {
    value = draw(random, 32767);
  }
  std::vector<std::int32_t> start(blocks * kContextBlock);
  for (auto& value : start) {
    value = draw(random, 30000);
  }
  std::vector<std::int32_t> expected;
  for (const Way& way : ways()) {
    std::vector<std::int32_t> out(positions * start.size(), 7);
    const ContextProduct product{lines.data(), spans.data(), spans.size(), pairs, input.data(),
                                 step, start.data(), 0, out.data(),
                                 static_cast<std::ptrdiff_t>(start.size()), positions};
    const std::size_t cut = random.below(blocks + 1);
    way.multiply(product, 0, cut);
    way.multiply(product, cut, blocks);
    if (expected.empty()) {
      expected = out;
    }
    if (out != expected) {
      std::fprintf(stderr, "%s: %zu positions, %zu blocks, %zu pairs\n", way.name, positions,
                   blocks, pairs);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 40;
  drivers::Random random(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  std::size_t products = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t positions = 1; positions <= latentsr::kContextChunk; ++positions) {
      if (!agree(random, positions)) {
        return 1;
      }
      ++products;
    }
  }
  std::string names;
  for (const Way& way : ways()) {
    names += (names.empty() ? "\"" : ", \"") + std::string(way.name) + '"';
  }
  std::printf("{\"ways\": [%s], \"products\": %zu}\n", names.c_str(), products);
}
