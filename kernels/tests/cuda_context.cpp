// cuda_context.cpp - the CUDA kernels of context models agree with the scalar ones, bit for bit.
//
// cuda_context [ROUNDS] [SEED]: seeded models and latents, quantised and decoded, whole and damaged
// streams, features and latents that are no numbers; the device code runs on a processor, a warp's
// lanes in turn, forwards and backwards. Ends at the first difference; prints what was done as one
// line of JSON.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "emulated_coder.h"
#include "emulated_context.h"
#include "mutations.h"
#include "seeded_context.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t models = 0;
  std::size_t decoded = 0;
  std::size_t refused = 0;
  std::size_t quantised = 0;
  std::size_t not_quantised = 0;
};

[[noreturn]] void fail(const Counts& counts, const std::string& what) {
  std::fprintf(stderr, "model %zu, stream %zu: %s\n", counts.models,
               counts.decoded + counts.refused, what.c_str());
  std::exit(1);
}

// A block of its own size, aligned as device memory is.
class Room {
 public:
  explicit Room(std::size_t size) : memory_(::operator new(size, std::align_val_t{256})) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { ::operator delete(memory_, std::align_val_t{256}); }
  std::uint8_t* get() const { return static_cast<std::uint8_t*>(memory_); }

 private:
  void* memory_;
};

// One model, as both sides have it.
struct Sides {
  const latentsr::ContextModel& scalar;
  const cuda::ContextView& device;
  const Tables& tables;
};

bool same_bits(const std::vector<float>& one, const std::vector<float>& other) {
  return one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0;
}

// Both quantisers' results; the outputs are compared where there is no fault.
latentsr::Result quantise(const Sides& sides, ContextPlanes& planes,
                          std::vector<std::int32_t>& scan, std::vector<std::uint8_t>& indexes,
                          Counts& counts) {
  scan = std::vector<std::int32_t>(planes.y.size());
  indexes = std::vector<std::uint8_t>(planes.y.size());
  const latentsr::Result expected = sides.scalar.encode(
      planes.latent(), planes.y.data(), scan.data(), indexes.data(), {latentsr::Isa::scalar, 1});
  const auto height = static_cast<std::uint32_t>(planes.height);
  const auto width = static_cast<std::uint32_t>(planes.width);
  const Room scratch(cuda::context_scratch(sides.device, height, width));
  std::vector<std::int32_t> symbols(planes.y.size());
  std::vector<std::int32_t> found_scan(planes.y.size());
  std::vector<float> values(planes.y.size());
  std::vector<std::uint8_t> found_indexes(planes.y.size());
  latentsr::Result found;
  run_context(cuda::ContextEncodeCall{sides.device, height, width, planes.features.data(),
                                      planes.y.data(), scratch.get(), symbols.data(),
                                      values.data(), found_scan.data(), found_indexes.data(),
                                      &found});
  if (!same(found, expected)) {
    fail(counts, "quantised " + describe(found) + ", scalar " + describe(expected));
  }
  const bool good = found.status == latentsr::Status::ok;
  if (good && (symbols != planes.symbols || !same_bits(values, planes.values) ||
               found_scan != scan || found_indexes != indexes)) {
    fail(counts, "quantised to other symbols");
  }
  ++(good ? counts.quantised : counts.not_quantised);
  return found;
}

void decode(const Sides& sides, ContextPlanes& planes, const Bytes& stream, Counts& counts) {
  const std::vector<std::uint8_t> data(stream);  // without room to spare
  const latentsr::Result expected =
      sides.scalar.decode(planes.latent(), data.data(), data.size(), sides.tables.lanes,
                          {latentsr::Isa::scalar, 1});
  const auto height = static_cast<std::uint32_t>(planes.height);
  const auto width = static_cast<std::uint32_t>(planes.width);
  const Room scratch(cuda::context_scratch(sides.device, height, width));
  std::vector<std::int32_t> symbols(planes.y.size());
  std::vector<float> values(planes.y.size());
  latentsr::Result found;
  run_context(cuda::ContextDecodeCall{sides.device, view_of(sides.tables.lanes), height, width,
                                      data.data(), static_cast<std::uint32_t>(data.size()),
                                      planes.features.data(), scratch.get(), symbols.data(),
                                      values.data(), &found});
  if (!same(found, expected)) {
    fail(counts, "decoded " + describe(found) + ", scalar " + describe(expected));
  }
  const bool good = found.status == latentsr::Status::ok;
  if (good && (symbols != planes.symbols || !same_bits(values, planes.values))) {
    fail(counts, "decoded other symbols");
  }
  ++(good ? counts.decoded : counts.refused);
}

// Values that no network should make, somewhere.
void spoil(Random& random, std::vector<float>& values) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  constexpr float kBad[] = {std::numeric_limits<float>::quiet_NaN(), kInfinite, -kInfinite,
                            3e9f, -3e9f};
  for (std::size_t n = 1 + random.below(3); n > 0 && !values.empty(); --n) {
    values[random.below(values.size())] = kBad[random.below(std::size(kBad))];
  }
}

void check(Random& random, const Sides& sides, Counts& counts) {
  ContextPlanes planes(sides.scalar, random.below(9), random.below(14));
  draw_planes(random, planes);
  std::vector<std::int32_t> scan;
  std::vector<std::uint8_t> indexes;
  if (quantise(sides, planes, scan, indexes, counts).status != latentsr::Status::ok) {
    fail(counts, "a latent was refused");
  }
  Coding how;
  how.lanes = 1u << random.below(6);
  how.parts = 1;
  const Bytes stream = encode(how, sides.tables, scan, indexes);
  decode(sides, planes, stream, counts);
  const Bytes other(stream.rbegin(), stream.rend());
  for (int kind = 0; kind < kMutations; ++kind) {
    decode(sides, planes, mutate(random, kind, stream, other, 2), counts);
  }
  spoil(random, planes.y);
  quantise(sides, planes, scan, indexes, counts);
  spoil(random, planes.features);
  quantise(sides, planes, scan, indexes, counts);
  decode(sides, planes, stream, counts);
  decode(sides, planes, mutate(random, 0, stream, other, 2), counts);
}

void run(std::size_t rounds, std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const auto pool = table_pool(random, 30);
  for (; counts.models < rounds; ++counts.models) {
    HostWarp::backwards = counts.models % 2 == 1;
    const Tables& tables = *pool[random.below(pool.size())];
    const SeededContext made = draw_context(random, tables.cdf.rows.size());
    latentsr::ContextModel model;
    cuda::PackedContext packed;
    const std::string fault = model.build(made.tensors()) + packed.build(made.tensors());
    if (!fault.empty()) {
      fail(counts, fault);
    }
    const Room memory(packed.bytes().size());
    std::memcpy(memory.get(), packed.bytes().data(), packed.bytes().size());
    const cuda::ContextView view = packed.at(reinterpret_cast<std::uintptr_t>(memory.get()));
    check(random, {model, view, tables}, counts);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  run(rounds, seed, counts);
  std::printf("{\"models\": %zu, \"decoded\": %zu, \"refused\": %zu, \"quantised\": %zu, "
              "\"not_quantised\": %zu}\n",
              counts.models, counts.decoded, counts.refused, counts.quantised,
              counts.not_quantised);
}
