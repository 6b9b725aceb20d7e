// cuda_lanes.cpp - the CUDA coder of the `lanes` form agrees with the scalar one, bit for bit.
//
// cuda_lanes [ROUNDS] [SEED]: seeded batches of streams of all lane and part counts, whole and
// damaged, with good and bad indexes and symbols; the device code runs on a processor, a warp's
// lanes in turn, forwards and backwards. Ends at the first difference; prints what was done as one line of JSON.
#include <cstdio>
#include <cstdlib>

#include "emulated_coder.h"
#include "mutations.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t encoded = 0;
  std::size_t not_encoded = 0;
  std::size_t decoded = 0;
  std::size_t refused = 0;
};

void expect(bool right, const char* what, std::size_t number, const latentsr::Result& found,
            const latentsr::Result& expected) {
  if (!right) {
    std::fprintf(stderr, "%s %zu: found %s, expected %s\n", what, number, describe(found).c_str(),
                 describe(expected).c_str());
    std::exit(1);
  }
}

// What each call of a batch is to come to.
template <class Index>
struct Expected {
  std::vector<std::int32_t> symbols;
  std::vector<Index> indexes;
  Bytes stream;
  latentsr::Result result;
};

template <class Index>
Expected<Index> scalar_encode(const Tables& tables, const std::vector<std::int32_t>& symbols,
                              const std::vector<Index>& indexes, const Coding& how) {
  Expected<Index> made{symbols, indexes, {}, {}};
  made.result = latentsr::encode_lanes(tables.lanes, symbols.data(), indexes.data(),
                                       symbols.size(), {how.lanes, how.parts, how.skip, 1},
                                       made.stream);
  return made;
}

template <class Index>
void check_encode(const Tables& tables, const std::vector<Expected<Index>>& all,
                  const std::vector<Coding>& hows, Counts& counts) {
  EncodedBatch<Index> batch;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Expected<Index>& one = all[i];
    const bool fails = one.result.status != latentsr::Status::ok;
    const std::size_t room = fails ? 16 : one.stream.size() - (i % 5 == 4 ? 1 : 0);
    batch.add(one.symbols, one.indexes, hows[i].lanes, hows[i].parts,
              static_cast<std::uint32_t>(room));
  }
  batch.encode(tables, hows[0].skip, latentsr::kMaxParts);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Expected<Index>& one = all[i];
    const cuda::LaneOutcome& found = batch.outcomes[i];
    latentsr::Result expected = one.result;
    const std::uint32_t room = batch.targets[i].size;
    if (expected.status == latentsr::Status::ok) {
      expect(found.size == one.stream.size(), "encoded size", i, found.result, expected);
      if (one.stream.size() > room) {
        expected = {latentsr::Status::truncated, 0, room};
      }
    }
    expect(same(found.result, expected), "encode", i, found.result, expected);
    if (expected.status == latentsr::Status::ok) {
      expect(batch.stream(i) == one.stream, "encoded bytes", i, found.result, expected);
    }
    ++(expected.status == latentsr::Status::ok ? counts.encoded : counts.not_encoded);
  }
}

template <class Index>
void check_decode(const Tables& tables, const std::vector<Expected<Index>>& all,
                  std::uint32_t skip, Counts& counts) {
  DecodedBatch<Index> batch;
  for (const Expected<Index>& one : all) {
    batch.add(one.stream, one.indexes);
  }
  batch.decode(tables, skip, latentsr::kMaxParts);
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Expected<Index>& one = all[i];
    out.assign(one.indexes.size(), 0);
    const latentsr::Result expected =
        latentsr::decode_lanes(tables.lanes, one.stream.data(), one.stream.size(),
                               one.indexes.data(), out.size(), out.data(),
                               {skip, 1, latentsr::Isa::scalar});
    expect(same(batch.results[i], expected), "decode", i, batch.results[i], expected);
    const bool whole = expected.status == latentsr::Status::ok;
    const auto first =
        batch.symbols.begin() + static_cast<std::ptrdiff_t>(batch.streams[i].first);
    if (!whole) {
      std::fill(out.begin(), out.end(), 0);  // what the device leaves of a faulty stream
    }
    expect(std::equal(out.begin(), out.end(), first), "decoded symbols", i, batch.results[i],
           expected);
    ++(whole ? counts.decoded : counts.refused);
  }
}

// Indexes that name no row, or symbols of certain rows that are not 0.
template <class Index>
void spoil(Random& random, std::size_t rows, Expected<Index>& made) {
  if (made.indexes.empty()) {
    return;
  }
  const std::int32_t bad[] = {static_cast<std::int32_t>(rows), -1, INT32_MAX, INT32_MIN, 255};
  for (std::size_t more = random.below(3); more < 3; ++more) {
    if (random.below(3) == 0) {
      made.symbols[random.below(made.symbols.size())] = 1;
    } else {
      made.indexes[random.below(made.indexes.size())] = static_cast<Index>(bad[random.below(5)]);
    }
  }
}

template <class Index>
void check(Random& random, const Tables& tables, const Coding& base,
           const std::vector<Expected<Index>>& cases, Counts& counts) {
  std::vector<Coding> hows;
  std::vector<Expected<Index>> encodes;
  std::vector<Expected<Index>> decodes;
  Bytes other(1);
  for (Expected<Index> one : cases) {
    Coding how = draw_coding(random, Form::lanes, tables);
    how.skip = base.skip;
    hows.push_back(how);
    encodes.push_back(scalar_encode(tables, one.symbols, one.indexes, how));
    const Expected<Index>& whole = encodes.back();
    decodes.push_back(whole);
    for (int kind = 0; kind < kMutations; ++kind) {
      decodes.push_back({{}, one.indexes, mutate(random, kind, whole.stream, other, 2), {}});
    }
    other = whole.stream;
    spoil(random, tables.cdf.rows.size(), one);
    decodes.push_back({{}, one.indexes, other, {}});
    hows.push_back(how);
    encodes.push_back(scalar_encode(tables, one.symbols, one.indexes, how));
  }
  check_encode(tables, encodes, hows, counts);
  check_decode(tables, decodes, base.skip, counts);
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const auto pool = table_pool(random, 30);
  for (std::size_t round = 0; round < rounds; ++round) {
    HostWarp::backwards = round % 2 != 0;
    const Tables& tables = *pool[random.below(pool.size())];
    const Coding how = draw_coding(random, Form::lanes, tables);
    constexpr double shares[] = {0, 0.02, 0.2, 1};
    const std::size_t sizes[] = {random.below(3), random.below(130), 30 + random.below(3000)};
    std::vector<Expected<std::int32_t>> cases;
    std::vector<Expected<std::uint8_t>> narrow;
    for (const std::size_t size : sizes) {
      const Case made = draw(random, tables, size, shares[random.below(4)], how.skip);
      cases.push_back({made.symbols, made.indexes, {}, {}});
      narrow.push_back({made.symbols, made.narrow_indexes, {}, {}});
    }
    check(random, tables, how, cases, counts);
    check(random, tables, how, narrow, counts);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"encoded\": %zu, \"not_encoded\": %zu, \"decoded\": %zu, \"refused\": %zu}\n",
              counts.encoded, counts.not_encoded, counts.decoded, counts.refused);
}
