// isa_agreement.cpp - every instruction set decodes the `lanes` form as the scalar decoder does.
//
// isa_agreement [ROUNDS] [SEED]: seeded streams of all lane counts, whole and damaged, with good
// and bad indexes. Ends at the first difference; prints what was done as one line of JSON.
#include <cstdio>
#include <cstdlib>

#include "checked_decode.h"
#include "mutations.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t streams = 0;
  std::size_t refused = 0;
};

// `symbols` is what an undamaged stream must give.
template <class Index>
void compare(CheckedDecoder& decoder, const Coding& how, const Tables& tables,
             const Bytes& stream, const std::vector<Index>& indexes,
             const std::vector<std::int32_t>* symbols, Counts& counts) {
  if (!decoder.run(how, tables, stream, indexes)) {
    std::fprintf(stderr, "stream %zu: %s\n", counts.streams, decoder.fault.c_str());
    std::exit(1);
  }
  const bool refused = decoder.result.status != latentsr::Status::ok;
  if (symbols != nullptr &&
      (refused || !std::equal(symbols->begin(), symbols->end(), decoder.symbols()))) {
    std::fprintf(stderr, "stream %zu: whole, but %s\n", counts.streams,
                 refused ? describe(decoder.result).c_str() : "other symbols");
    std::exit(1);
  }
  ++counts.streams;
  counts.refused += refused;
}

template <class Index>
void spoil(Random& random, std::size_t rows, std::vector<Index>& indexes) {
  const std::int32_t bad[] = {static_cast<std::int32_t>(rows), -1, INT32_MAX, INT32_MIN, 255};
  indexes[random.below(indexes.size())] = static_cast<Index>(bad[random.below(5)]);
}

template <class Index>
void check(Random& random, CheckedDecoder& decoder, const Coding& how, const Case& made,
           std::vector<Index> indexes, Bytes& other, Counts& counts) {
  const Tables& tables = *made.tables;
  const Bytes stream = encode(how, tables, made.symbols, indexes);
  compare(decoder, how, tables, stream, indexes, &made.symbols, counts);
  for (int kind = 0; kind < kMutations; ++kind) {
    compare(decoder, how, tables, mutate(random, kind, stream, other, 2), indexes, nullptr, counts);
  }
  if (!indexes.empty()) {
    spoil(random, tables.cdf.rows.size(), indexes);
    compare(decoder, how, tables, stream, indexes, nullptr, counts);
  }
  other = stream;
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  CheckedDecoder decoder;
  const auto pool = table_pool(random, 30);
  Bytes other(1);
  for (std::size_t round = 0; round < rounds; ++round) {
    const unsigned lanes = 1u << round % 6;
    const std::size_t sizes[] = {random.below(3), random.below(3 * lanes + 2),
                                 8 * lanes + random.below(2), 30 + random.below(600)};
    for (const std::size_t count : sizes) {
      constexpr double shares[] = {0, 0.02, 0.2, 1};
      const Tables& tables = *pool[random.below(pool.size())];
      Coding how = draw_coding(random, Form::lanes, tables);
      how.lanes = lanes;
      const Case made = draw(random, tables, count, shares[random.below(4)], how.skip);
      check(random, decoder, how, made, made.indexes, other, counts);
      check(random, decoder, how, made, made.narrow_indexes, other, counts);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 600;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"isas\": %s, \"streams\": %zu, \"refused\": %zu}\n", isas_json().c_str(),
              counts.streams, counts.refused);
}
