// context_model.cpp - context models of all kinds keep their promises, whatever the stream is.
//
// context_model [ROUNDS] [SEED]: seeded models and latents, coded, damaged and decoded by every
// instruction set on one thread and on several. Ends at the first difference; prints what was done
// as one line of JSON.
#include <cstdio>
#include <cstdlib>

#include "mutations.h"
#include "seeded_context.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t models = 0;
  std::size_t mutants = 0;
  std::size_t refused = 0;
};

[[noreturn]] void fail(const Counts& counts, const char* isa, unsigned threads,
                       const std::string& what) {
  std::fprintf(stderr, "model %zu, mutant %zu, %s, %u threads: %s\n", counts.models,
               counts.mutants, isa, threads, what.c_str());
  std::exit(1);
}

// Decodes one stream in all ways; `expected` is null for a damaged one.
void decode_all(const latentsr::ContextModel& model, const Tables& tables, ContextPlanes& planes,
                const Bytes& stream, const std::vector<std::int32_t>* expected, Counts& counts) {
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[stream.size()]);
  std::copy(stream.begin(), stream.end(), data.get());
  latentsr::Result first;
  std::vector<std::int32_t> symbols;
  for (const NamedIsa& one : supported_isas()) {
    for (const unsigned threads : {1u, 3u}) {
      if (threads != 1 && counts.mutants % 16 != 0) {
        continue;
      }
      std::fill(planes.symbols.begin(), planes.symbols.end(), 0);
      const latentsr::Result found = model.decode(planes.latent(), data.get(), stream.size(),
                                                  tables.lanes, {one.isa, threads});
      const bool scalar = one.isa == latentsr::Isa::scalar && threads == 1;
      if (scalar) {
        first = found;
        symbols = planes.symbols;
        counts.refused += found.status != latentsr::Status::ok;
      }
      if (!same(first, found)) {
        fail(counts, one.name, threads, describe(found) + ", scalar " + describe(first));
      }
      const bool good = found.status == latentsr::Status::ok;
      if ((good && planes.symbols != symbols) ||
          (expected != nullptr && (!good || planes.symbols != *expected))) {
        fail(counts, one.name, threads, good ? "other symbols" : describe(found));
      }
    }
  }
  ++counts.mutants;
}

void check(Random& random, const latentsr::ContextModel& model, const Tables& tables,
           Counts& counts) {
  ContextPlanes planes(model, random.below(9), random.below(14));
  draw_planes(random, planes);
  std::vector<std::int32_t> scan(planes.y.size());
  std::vector<std::uint8_t> indexes(planes.y.size());
  const latentsr::Result made = model.encode(planes.latent(), planes.y.data(), scan.data(),
                                             indexes.data(), {latentsr::Isa::scalar, 1});
  Coding how;
  how.lanes = 1u << random.below(6);
  how.parts = 1;
  const std::vector<std::int32_t> expected = planes.symbols;
  const Bytes stream = encode(how, tables, scan, indexes);
  if (made.status != latentsr::Status::ok || stream.empty()) {
    fail(counts, "scalar", 1, "encoding failed: " + describe(made));
  }
  decode_all(model, tables, planes, stream, &expected, counts);
  const Bytes other(stream.rbegin(), stream.rend());
  for (int kind = 0; kind < kMutations; ++kind) {
    decode_all(model, tables, planes, mutate(random, kind, stream, other, 2), nullptr, counts);
  }
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const auto pool = table_pool(random, 30);
  for (; counts.models < rounds; ++counts.models) {
    const Tables& tables = *pool[random.below(pool.size())];
    const SeededContext made = draw_context(random, tables.cdf.rows.size());
    latentsr::ContextModel model;
    const std::string fault = model.build(made.tensors());
    if (!fault.empty()) {
      fail(counts, "build", 1, fault);
    }
    check(random, model, tables, counts);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 400;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"isas\": %s, \"models\": %zu, \"mutants\": %zu, \"refused\": %zu}\n",
              isas_json().c_str(), counts.models, counts.mutants, counts.refused);
}
