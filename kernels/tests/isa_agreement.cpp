// isa_agreement.cpp - every instruction set decodes the `lanes` form as the scalar decoder does.
//
// isa_agreement [ROUNDS] [SEED]: seeded streams of all lane counts, whole and damaged, with good
// and bad indexes. Ends at the first difference; prints what was done as one line of JSON.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "mutations.h"

namespace {

using namespace drivers;
using latentsr::Result;
using latentsr::Status;

constexpr std::int32_t kGuard = 0x5a5a5a5a;
constexpr std::size_t kGuards = 32;

struct Counts {
  std::size_t decodes = 0;
  std::size_t refused = 0;
};

// Symbols with room on both sides that nothing may write to.
struct Output {
  explicit Output(std::size_t count) : room(count + 2 * kGuards, kGuard) {}
  std::int32_t* data() { return room.data() + kGuards; }
  bool intact() const {
    return std::all_of(room.begin(), room.begin() + kGuards, [](auto x) { return x == kGuard; }) &&
           std::all_of(room.end() - kGuards, room.end(), [](auto x) { return x == kGuard; });
  }
  std::vector<std::int32_t> room;
};

[[noreturn]] void fail(const char* what, const char* isa, const Result& found,
                       const Result& expected) {
  std::fprintf(stderr, "%s, %s: found %s, expected %s\n", what, isa, describe(found).c_str(),
               describe(expected).c_str());
  std::exit(1);
}

// Decodes with all instruction sets. `symbols` is what an undamaged stream must give.
template <class Index>
void compare(const Tables& tables, const Bytes& stream, const std::vector<Index>& indexes,
             const std::vector<std::int32_t>* symbols, Counts& counts) {
  // A block of its own size, so that a sanitizer or valgrind sees a read beyond its end.
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[stream.size()]);
  std::copy(stream.begin(), stream.end(), data.get());
  Output first(indexes.size());
  Result expected;
  for (const NamedIsa& one : supported_isas()) {
    Output output(indexes.size());
    const Result result = decode(Form::lanes, tables, data.get(), stream.size(), indexes,
                                 output.data(), one.isa);
    if (one.isa == latentsr::Isa::scalar) {
      expected = result;
      first = output;
    }
    if (!same(result, expected)) {
      fail("other outcome", one.name, result, expected);
    }
    if (!output.intact()) {
      fail("guard zone written", one.name, result, expected);
    }
    if (result.status == Status::ok && output.room != first.room) {
      fail("other symbols", one.name, result, expected);
    }
    if (symbols != nullptr && (result.status != Status::ok ||
                               !std::equal(symbols->begin(), symbols->end(), output.data()))) {
      fail("not the encoded symbols", one.name, result, {});
    }
    ++counts.decodes;
    counts.refused += result.status != Status::ok;
  }
}

template <class Index>
void spoil(Random& random, std::size_t rows, std::vector<Index>& indexes) {
  const std::int32_t bad[] = {static_cast<std::int32_t>(rows), -1, INT32_MAX, INT32_MIN, 255};
  indexes[random.below(indexes.size())] = static_cast<Index>(bad[random.below(5)]);
}

template <class Index>
void check(Random& random, const Case& made, std::vector<Index> indexes, unsigned lanes,
           Bytes& other, Counts& counts) {
  const Tables& tables = *made.tables;
  const Bytes stream = encode(Form::lanes, tables, made.symbols, indexes, lanes);
  compare(tables, stream, indexes, &made.symbols, counts);
  for (int kind = 0; kind < kMutations; ++kind) {
    compare(tables, mutate(random, kind, stream, other), indexes, nullptr, counts);
  }
  if (!indexes.empty()) {
    spoil(random, tables.cdf.rows.size(), indexes);
    compare(tables, stream, indexes, nullptr, counts);
  }
  other = stream;
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const auto pool = table_pool(random, 30);
  Bytes other(1);
  for (std::size_t round = 0; round < rounds; ++round) {
    const unsigned lanes = 1u << round % 6;
    const std::size_t sizes[] = {random.below(3), random.below(3 * lanes + 2),
                                 8 * lanes + random.below(2), 30 + random.below(600)};
    for (const std::size_t count : sizes) {
      constexpr double shares[] = {0, 0.02, 0.2, 1};
      const Tables& tables = *pool[random.below(pool.size())];
      const Case made = draw(random, tables, count, shares[random.below(4)]);
      check(random, made, made.indexes, lanes, other, counts);
      check(random, made, made.narrow_indexes, lanes, other, counts);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 600;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"isas\": [");
  const char* comma = "";
  for (const NamedIsa& one : supported_isas()) {
    std::printf("%s\"%s\"", comma, one.name);
    comma = ", ";
  }
  std::printf("], \"decodes\": %zu, \"refused\": %zu}\n", counts.decodes, counts.refused);
}
