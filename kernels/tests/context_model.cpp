// context_model.cpp - context models of all kinds keep their promises, whatever the stream is.
//
// context_model [ROUNDS] [SEED]: seeded models and latents, coded, damaged and decoded by every
// instruction set on one thread and on several. Ends at the first difference; prints what was done
// as one line of JSON.
#include <cstdio>
#include <cstdlib>

#include "checked_decode.h"
#include "latentsr/context.h"
#include "mutations.h"

namespace {

using namespace drivers;

struct Counts {
  std::size_t models = 0;
  std::size_t mutants = 0;
  std::size_t refused = 0;
};

// A model's tensors, small enough that any weights keep their sums within 32 bits.
struct Made {
  std::vector<std::int32_t> taps;
  std::vector<std::size_t> outputs;
  std::vector<std::vector<std::int16_t>> weights;
  std::vector<std::vector<std::int32_t>> biases;
  std::vector<std::vector<std::uint8_t>> shifts;
  std::vector<std::uint8_t> lift;
  std::vector<std::int32_t> settings;
  std::vector<float> thresholds;
  std::size_t channels = 0;

  latentsr::ContextTensors tensors() const {
    latentsr::ContextTensors views;
    views.taps = taps;
    std::size_t inputs = taps.size() / 2 * channels;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      views.weights.push_back({weights[k].data(), outputs[k], inputs});
      views.shifts.emplace_back(shifts[k]);
      inputs = outputs[k];
    }
    views.biases.assign(biases.begin(), biases.end());
    views.lift = lift;
    views.settings = settings;
    views.thresholds = thresholds;
    return views;
  }
};

std::int32_t between(Random& random, std::int32_t least, std::int32_t most) {
  return least + static_cast<std::int32_t>(random.below(static_cast<std::size_t>(most - least + 1)));
}

void draw_layer(Random& random, Made& made, std::size_t inputs, std::size_t outputs, bool biased) {
  made.outputs.push_back(outputs);
  std::vector<std::int16_t> weights(inputs * outputs);
  const std::int32_t most = between(random, 0, 1) == 0 ? 3 : 100;
  for (std::int16_t& weight : weights) {
    weight = static_cast<std::int16_t>(between(random, -most, most));
  }
  made.weights.push_back(std::move(weights));
  std::vector<std::uint8_t> shifts(outputs);
  for (std::uint8_t& shift : shifts) {
    shift = static_cast<std::uint8_t>(between(random, 1, 9));
  }
  made.shifts.push_back(std::move(shifts));
  if (biased) {
    std::vector<std::int32_t> biases(outputs);
    for (std::int32_t& bias : biases) {
      bias = between(random, -100000, 100000);
    }
    made.biases.push_back(std::move(biases));
  }
}

Made draw_model(Random& random, std::size_t rows) {
  Made made;
  made.channels = 1 + random.below(20);
  const std::int32_t reach = between(random, 1, 3);
  for (std::int32_t dy = -reach; dy <= 0; ++dy) {
    for (std::int32_t dx = -reach; dx <= reach && (dy < 0 || dx < 0); ++dx) {
      if (random.below(4) != 0 || dx == -1) {
        made.taps.insert(made.taps.end(), {dy, dx});
      }
    }
  }
  const std::size_t last = 2 + random.below(3);
  std::size_t inputs = made.taps.size() / 2 * made.channels;
  for (std::size_t k = 0; k <= last; ++k) {
    const std::size_t outputs = k == last ? 2 * made.channels : 1 + random.below(40);
    draw_layer(random, made, inputs, outputs, k != 1);
    inputs = outputs;
  }
  made.settings = {between(random, 1, 12), between(random, 0, 65536), 1000, 30000};
  made.settings.insert(made.settings.end(), last, 2000);
  for (std::size_t o = 0; o < made.outputs[1]; ++o) {
    made.lift.push_back(static_cast<std::uint8_t>(random.below(8)));
  }
  for (std::size_t row = 0; row < rows; ++row) {
    made.thresholds.push_back(static_cast<float>(row * row * 20));
  }
  return made;
}

// One latent and what belongs to it, in blocks of their own size.
struct Planes {
  Planes(const latentsr::ContextModel& model, std::size_t h, std::size_t w)
      : height(h),
        width(w),
        features(model.features() * h * w),
        y(model.channels() * h * w),
        symbols(y.size()),
        values(y.size()) {}
  latentsr::ContextLatent latent() {
    return {height, width, features.data(), symbols.data(), values.data()};
  }
  std::size_t height, width;
  std::vector<float> features, y;
  std::vector<std::int32_t> symbols;
  std::vector<float> values;
};

[[noreturn]] void fail(const Counts& counts, const char* isa, unsigned threads,
                       const std::string& what) {
  std::fprintf(stderr, "model %zu, mutant %zu, %s, %u threads: %s\n", counts.models,
               counts.mutants, isa, threads, what.c_str());
  std::exit(1);
}

// Decodes one stream in all ways; `expected` is null for a damaged one.
void decode_all(const latentsr::ContextModel& model, const Tables& tables, Planes& planes,
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
  Planes planes(model, random.below(9), random.below(14));
  for (float& feature : planes.features) {
    feature = static_cast<float>(between(random, -40000, 40000));
  }
  for (float& value : planes.y) {
    value = static_cast<float>(random.unit() * 12 - 6);
  }
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
    const Made made = draw_model(random, tables.cdf.rows.size());
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
