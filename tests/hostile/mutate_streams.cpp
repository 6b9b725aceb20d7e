// mutate_streams.cpp - damages streams of both forms in every way there is and counts what happens.
//
// mutate_streams [MUTANTS] [SEED] [FIRST]: latents as a codec's, coded, damaged, and decoded with
// each instruction set in turn. Any broken promise (checked_decode.h) ends the run with a line
// that names its case; give that number as FIRST to begin there. Prints one line of JSON: for
// each form and kind of damage how many mutants were refused for what, and how many were not:
//   unchanged   the damage happened to leave all bytes as they were
//   equal       other bytes, the same symbols
//   unnoticed   other symbols, which only a container's checksum can notice
// `latents` are cases with Gaussian tables and at most 1 escape in 500 symbols, as pictures have;
// `extremes` are all others. A flip in an escaped value, or between slots of equal frequency,
// passes, and extremes have many of both.
// Built by kernels/tests/CMakeLists.txt; best with LATENTSR_SANITIZE=ON.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "checked_decode.h"
#include "mutations.h"

namespace {

using namespace drivers;
using latentsr::Status;

constexpr std::uint64_t kMutantsPerCase = 128;
constexpr unsigned kSecondsPerCase = 120;  // a loop without an end is killed by SIGALRM
constexpr int kStatuses = 16;
constexpr const char* kGroups[] = {"latents", "extremes"};

struct Counts {
  std::uint64_t mutants = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t equal = 0;
  std::uint64_t unnoticed = 0;
  std::uint64_t errors[kStatuses] = {};
};

struct Totals {
  Counts counts[2][2][kMutations];  // by form, group, kind of damage
  std::uint64_t mutants = 0;
  std::uint64_t symbols = 0;
};

// Half of the cases are of each form; sizes from nothing to 2000, small ones as often as large.
struct Plan {
  Plan(Random& random, std::uint64_t number, const std::vector<std::unique_ptr<Tables>>& pool)
      : narrow(number / 2 % 2 == 0),
        table(random.below(4) != 0 ? random.below(kGaussianTables) : random.below(pool.size())),
        count(random.below(10) == 0 ? random.below(50)
                                    : static_cast<std::size_t>(50 * std::pow(40, random.unit()))),
        how(draw_coding(random, number % 2 == 0 ? Form::compressai : Form::lanes, *pool[table])) {
    constexpr double shares[] = {0, 0.002, 0.02, 0.2};
    outside = shares[random.below(4)];
    group = table < kGaussianTables && outside < 0.01 ? 0 : 1;
  }

  bool narrow;
  std::size_t table;
  std::size_t count;
  Coding how;
  double outside;
  int group;
};

void count_one(Counts& counts, CheckedDecoder& decoder, const Bytes& data, const Bytes& stream,
               const std::vector<std::int32_t>& symbols) {
  ++counts.mutants;
  if (decoder.result.status != Status::ok) {
    ++counts.errors[static_cast<int>(decoder.result.status)];
    counts.unchanged += data == stream;
  } else if (data == stream) {
    ++counts.unchanged;
  } else if (std::equal(symbols.begin(), symbols.end(), decoder.symbols())) {
    ++counts.equal;
  } else {
    ++counts.unnoticed;
  }
}

// All mutants of one case. False when a promise was broken.
template <class Index>
bool run_case(Random& random, CheckedDecoder& decoder, const Plan& plan, const Case& made,
              const std::vector<Index>& indexes, Totals& totals) {
  const Tables& tables = *made.tables;
  const Bytes stream = encode(plan.how, tables, made.symbols, indexes);
  // The splice's other half: other symbols of the same picture, as a stale buffer would have.
  std::vector<std::int32_t> others = made.symbols;
  for (std::size_t i = 0; i < others.size(); ++i) {
    const auto row = static_cast<std::uint32_t>(indexes[i]);
    others[i] = row < plan.how.skip ? 0 : draw_symbol(random, tables, row, false);
  }
  const Bytes other = encode(plan.how, tables, others, indexes);
  const std::size_t unit = plan.how.form == Form::compressai ? 4 : 2;
  for (std::uint64_t mutant = 0; mutant < kMutantsPerCase; ++mutant) {
    const int kind = static_cast<int>(mutant % kMutations);
    const Bytes data = mutate(random, kind, stream, other, unit);
    if (!decoder.run(plan.how, tables, data, indexes)) {
      return false;
    }
    Counts& counts = totals.counts[static_cast<int>(plan.how.form)][plan.group][kind];
    if (data == stream && decoder.result.status != Status::ok) {
      decoder.fault = "a whole stream was refused: " + describe(decoder.result);
      return false;
    }
    count_one(counts, decoder, data, stream, made.symbols);
    ++totals.mutants;
    totals.symbols += indexes.size();
  }
  return true;
}

void run(std::uint64_t mutants, std::uint64_t seed, std::uint64_t first, CheckedDecoder& decoder,
         Totals& totals) {
  Random tables_random(seed);
  const auto pool = table_pool(tables_random, 12);
  for (std::uint64_t number = first; totals.mutants < mutants; ++number) {
    alarm(kSecondsPerCase);
    Random random(seed + 0x632be59bd9b4e019 * (number + 1));
    const Plan plan(random, number, pool);
    const Case made =
        draw(random, *pool[plan.table], plan.count, plan.outside, plan.how.skip);
    const bool kept = plan.narrow
                          ? run_case(random, decoder, plan, made, made.narrow_indexes, totals)
                          : run_case(random, decoder, plan, made, made.indexes, totals);
    if (!kept) {
      std::fprintf(stderr, "seed %llu, case %llu: %s\n", static_cast<unsigned long long>(seed),
                   static_cast<unsigned long long>(number), decoder.fault.c_str());
      std::exit(1);
    }
  }
  alarm(0);
}

unsigned long long wide(std::uint64_t number) { return number; }

void print_counts(const Counts& counts) {
  std::printf("{\"mutants\": %llu, \"unchanged\": %llu, \"equal\": %llu, \"unnoticed\": %llu, "
              "\"errors\": {",
              wide(counts.mutants), wide(counts.unchanged), wide(counts.equal),
              wide(counts.unnoticed));
  const char* comma = "";
  for (int status = 0; status < kStatuses; ++status) {
    if (counts.errors[status] != 0) {
      std::printf("%s\"%s\": %llu", comma, status_name(static_cast<Status>(status)),
                  wide(counts.errors[status]));
      comma = ", ";
    }
  }
  std::printf("}}");
}

void print(const Totals& totals, const CheckedDecoder& decoder, std::uint64_t seed,
           double seconds) {
  std::printf("{\"seed\": %llu, \"isas\": %s, \"mutants\": %llu, \"symbols\": %llu, "
              "\"decodes\": %llu, \"slowest_decode_us\": %.1f, \"seconds\": %.1f, \"forms\": {",
              wide(seed), isas_json().c_str(), wide(totals.mutants), wide(totals.symbols),
              wide(decoder.decodes), static_cast<double>(decoder.slowest_ns) / 1e3, seconds);
  for (int form = 0; form < 2; ++form) {
    std::printf("%s\"%s\": {", form == 0 ? "" : "}, ", kFormNames[form]);
    for (int group = 0; group < 2; ++group) {
      std::printf("%s\"%s\": {", group == 0 ? "" : "}, ", kGroups[group]);
      for (int kind = 0; kind < kMutations; ++kind) {
        std::printf("%s\"%s\": ", kind == 0 ? "" : ", ", kMutationNames[kind]);
        print_counts(totals.counts[form][group][kind]);
      }
    }
    std::printf("}");
  }
  std::printf("}}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int at, std::uint64_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  const std::uint64_t seed = number(2, 1);
  const auto begin = std::chrono::steady_clock::now();
  CheckedDecoder decoder;
  Totals totals;
  run(number(1, 100'000), seed, number(3, 0), decoder, totals);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  print(totals, decoder, seed, spent.count());
}
