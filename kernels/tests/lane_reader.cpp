// lane_reader.cpp - a `lanes` stream read in pieces gives what one decode of it all gives.
//
// lane_reader [ROUNDS] [SEED]: seeded streams of all lane counts, whole and damaged, with good
// and bad indexes, each split at random for each instruction set. Ends at the first difference;
// prints what was done as one line of JSON.
#include <cstdio>
#include <cstdlib>

#include "checked_decode.h"
#include "latentsr/lane_reader.h"
#include "mutations.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t streams = 0;
  std::size_t refused = 0;
  std::size_t reads = 0;
};

std::size_t draw_piece(Random& random, std::size_t left) {
  const std::size_t sizes[] = {0, 1, random.below(40), 32 * random.below(8), random.below(300)};
  return std::min(left, sizes[random.below(5)]);
}

latentsr::Result read_in_pieces(Random& random, latentsr::LaneReader& reader,
                                const std::vector<std::uint8_t>& indexes, std::int32_t* out,
                                Counts& counts) {
  for (std::size_t at = 0; at < indexes.size();) {
    const std::size_t count = draw_piece(random, indexes.size() - at);
    // Blocks of their own size, so that a sanitizer sees a read or write beside a piece.
    const std::vector<std::uint8_t> piece(indexes.begin() + static_cast<std::ptrdiff_t>(at),
                                          indexes.begin() + static_cast<std::ptrdiff_t>(at + count));
    std::vector<std::int32_t> symbols(count);
    const latentsr::Result result = reader.read(piece.data(), count, symbols.data());
    ++counts.reads;
    if (result.status != latentsr::Status::ok) {
      return same(result, reader.close()) ? result : latentsr::Result{};
    }
    std::copy(symbols.begin(), symbols.end(), out + at);
    at += count;
  }
  return reader.close();
}

// Both ways, which must agree, with every instruction set.
void compare(Random& random, const Tables& tables, const Bytes& stream,
             const std::vector<std::uint8_t>& indexes, Counts& counts) {
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[stream.size()]);
  std::copy(stream.begin(), stream.end(), data.get());
  for (const NamedIsa& one : supported_isas()) {
    std::vector<std::int32_t> whole(indexes.size()), pieces(indexes.size());
    latentsr::Result expected =
        latentsr::decode_lanes(tables.lanes, data.get(), stream.size(), indexes.data(),
                               indexes.size(), whole.data(), {0, 1, one.isa});
    if (!stream.empty() && stream[0] >> 4 != 0) {
      expected = {latentsr::Status::bad_header, 0, stream[0]};
    }
    latentsr::LaneReader reader;
    latentsr::Result found = reader.open(tables.lanes, data.get(), stream.size(), one.isa);
    if (found.status == latentsr::Status::ok) {
      found = read_in_pieces(random, reader, indexes, pieces.data(), counts);
    }
    const bool right = found.status != latentsr::Status::ok || whole == pieces;
    if (!same(found, expected) || !right) {
      std::fprintf(stderr, "stream %zu, %s: whole %s, in pieces %s\n", counts.streams, one.name,
                   describe(expected).c_str(),
                   right ? describe(found).c_str() : "other symbols");
      std::exit(1);
    }
    counts.refused += one.isa == latentsr::Isa::scalar && found.status != latentsr::Status::ok;
  }
  ++counts.streams;
}

void check(Random& random, const Coding& how, const Case& made, Bytes& other, Counts& counts) {
  const Tables& tables = *made.tables;
  std::vector<std::uint8_t> indexes = made.narrow_indexes;
  const Bytes stream = encode(how, tables, made.symbols, indexes);
  compare(random, tables, stream, indexes, counts);
  for (int kind = 0; kind < kMutations; ++kind) {
    compare(random, tables, mutate(random, kind, stream, other, 2), indexes, counts);
  }
  if (!indexes.empty() && tables.cdf.rows.size() < 256) {
    indexes[random.below(indexes.size())] = 255;
    compare(random, tables, stream, indexes, counts);
  }
  other = stream;
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const auto pool = table_pool(random, 30);
  Bytes other(1);
  for (std::size_t round = 0; round < rounds; ++round) {
    Coding how;
    how.lanes = 1u << round % 6;
    how.parts = random.below(16) == 0 ? 2 : 1;
    for (const std::size_t count : {random.below(3), random.below(3 * how.lanes + 2),
                                    30 + random.below(1200)}) {
      constexpr double shares[] = {0, 0.02, 0.2, 1};
      const Tables& tables = *pool[random.below(pool.size())];
      check(random, how, draw(random, tables, count, shares[random.below(4)], 0), other, counts);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 600;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"isas\": %s, \"streams\": %zu, \"refused\": %zu, \"reads\": %zu}\n",
              isas_json().c_str(), counts.streams, counts.refused, counts.reads);
}
