// seeded_context.h - context models and latents of all kinds, drawn from a seed.
#pragma once

#include <cstdint>
#include <vector>

#include "checked_decode.h"
#include "latentsr/context.h"

namespace drivers {

// A model's tensors, small enough that any weights keep their sums within 32 bits.
struct SeededContext {
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

inline std::int32_t between(Random& random, std::int32_t least, std::int32_t most) {
  return least + static_cast<std::int32_t>(random.below(static_cast<std::size_t>(most - least + 1)));
}

inline void draw_layer(Random& random, SeededContext& made, std::size_t inputs,
                       std::size_t outputs, bool biased) {
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

inline SeededContext draw_context(Random& random, std::size_t rows) {
  SeededContext made;
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
struct ContextPlanes {
  ContextPlanes(const latentsr::ContextModel& model, std::size_t h, std::size_t w)
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

inline void draw_planes(Random& random, ContextPlanes& planes) {
  for (float& feature : planes.features) {
    feature = static_cast<float>(between(random, -40000, 40000));
  }
  for (float& value : planes.y) {
    value = static_cast<float>(random.unit() * 12 - 6);
  }
}

}  // namespace drivers
