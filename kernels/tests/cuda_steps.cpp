// cuda_steps.cpp - the CUDA steps between latents, symbols, planes and pictures, and the CRC of
// symbols, have the bits of those on the processor, and FP16 is converted as IEEE 754 has it.
//
// cuda_steps [ROUNDS] [SEED]: seeded latents and pictures; the device code runs on a processor,
// element by element. Ends at the first difference; prints what was done as one line of JSON.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "../src/cuda/pixel_steps.cuh"
#include "emulated_crc.h"
#include "half_checks.h"
#include "latentsr/crc32.h"
#include "latentsr/cuda/calls.h"
#include "latentsr/pixels.h"
#include "latentsr/scale_indexes.h"
#include "seeded_cases.h"

namespace {

using namespace drivers;
using latentsr::Isa;
using latentsr::Status;

constexpr std::uint64_t kNoFault = ~std::uint64_t{0};

// Many near the middle between integers, where rounding turns; few beyond what is coded.
float draw_latent(Random& random, bool wild) {
  if (wild && random.below(50) == 0) {
    constexpr float odd[] = {std::numeric_limits<float>::quiet_NaN(), 1.1e9f, -INFINITY, 1e-45f};
    return odd[random.below(4)];
  }
  const double value = (random.unit() - 0.5) * std::exp2(random.below(26));
  return static_cast<float>(random.below(3) == 0 ? std::floor(value) + 0.5 : value);
}

struct MeanCase {
  std::vector<float> values;
  std::size_t repeat = 1;
  std::size_t count = 0;
  latentsr::Means means() const { return {values.data(), values.size(), repeat}; }
};

MeanCase draw_means(Random& random) {
  MeanCase made;
  const std::size_t kind = random.below(3);
  made.values.resize(kind == 0 ? 0 : 1 + random.below(40));
  made.repeat = kind == 2 ? 1 + random.below(9) : 1;
  made.count = std::max<std::size_t>(made.values.size(), 1) * made.repeat * random.below(4);
  for (float& mean : made.values) {
    mean = draw_latent(random, false);
  }
  return made;
}

template <class Sample>
void check_latents(Random& random, std::size_t round) {
  const MeanCase with = draw_means(random);
  std::vector<Sample> latent(with.count);
  std::vector<float> wide(with.count);
  for (std::size_t i = 0; i < with.count; ++i) {
    cuda::narrow(draw_latent(random, round % 2 == 0), latent[i]);
    wide[i] = cuda::widen(latent[i]);
  }
  constexpr std::int32_t kUnwritten = -2147483647;
  std::vector<std::int32_t> symbols(with.count, kUnwritten);
  std::vector<std::int32_t> expected(with.count);
  std::vector<float> restored(with.count);
  std::vector<float> expected_restored(with.count);
  const latentsr::Result result = latentsr::symbols_from_latent(
      wide.data(), with.means(), with.count, expected.data(), expected_restored.data(),
      Isa::scalar);
  std::uint64_t fault = kNoFault;
  const cuda::QuantiseStep<Sample> step{latent.data(), with.means(), symbols.data(),
                                        round % 3 == 0 ? nullptr : restored.data(), &fault};
  for (std::size_t i = 0; i < with.count; ++i) {
    step(i);
  }
  expect(fault == (result.status == Status::ok ? kNoFault : result.position), "fault", round);
  expect(std::find(symbols.begin(), symbols.end(), kUnwritten) == symbols.end(), "left out", round);
  if (result.status == Status::ok) {
    expect(same_bits(symbols, expected), "symbols", round);
    expect(round % 3 == 0 || same_bits(restored, expected_restored), "restored", round);
  }
  for (std::int32_t& symbol : symbols) {
    symbol = static_cast<std::int32_t>(random.next()) >> random.below(32);
  }
  latentsr::latent_from_symbols(symbols.data(), with.means(), with.count, wide.data(),
                                Isa::scalar);
  const cuda::RestoreStep<Sample> back{symbols.data(), with.means(), latent.data()};
  for (std::size_t i = 0; i < with.count; ++i) {
    back(i);
    Sample narrowed{};
    cuda::narrow(wide[i], narrowed);
    expect(std::memcmp(&latent[i], &narrowed, sizeof narrowed) == 0, "latent", round);
  }
}

template <class Sample>
void check_scales(Random& random, std::size_t round) {
  std::vector<float> thresholds(random.below(256));
  float scale = 0;
  for (float& threshold : thresholds) {
    threshold = scale += static_cast<float>(0.01 + random.unit());
  }
  std::vector<Sample> scales(random.below(200));
  std::vector<float> wide;
  for (Sample& one : scales) {
    const bool edge = !thresholds.empty() && random.below(2) == 0;
    float value = edge ? thresholds[random.below(thresholds.size())]
                       : static_cast<float>(random.unit() * 300 - 20);
    value = random.below(900) == 0 ? std::nanf("") : value;
    cuda::narrow(value, one);
    wide.push_back(cuda::widen(one));
  }
  std::vector<std::uint8_t> found(scales.size(), 255);  // to be written, each of them
  std::vector<std::uint8_t> expected(scales.size());
  const latentsr::Result result =
      latentsr::scale_indexes(wide.data(), wide.size(), thresholds.data(), thresholds.size(),
                              expected.data(), Isa::scalar);
  std::uint64_t fault = kNoFault;
  const cuda::IndexStep<Sample> step{scales.data(), thresholds.data(),
                                     static_cast<std::uint32_t>(thresholds.size()), found.data(),
                                     &fault};
  for (std::size_t i = 0; i < scales.size(); ++i) {
    step(i);
  }
  expect(fault == (result.status == Status::ok ? kNoFault : result.position), "NaN", round);
  for (std::size_t i = 0; i < wide.size(); ++i) {
    const bool same = result.status != Status::ok ? found[i] <= thresholds.size()
                                                  : found[i] == expected[i];
    expect(same && (!std::isnan(wide[i]) || found[i] == 0), "indexes", round);
  }
}

// Against what the encoder on the processor does: zeros in, then latent_from_symbols().
template <class Index>
void check_clearing(Random& random, std::size_t round) {
  const MeanCase with = draw_means(random);
  const auto skip = static_cast<std::uint32_t>(random.below(70));
  std::vector<Index> indexes(with.count);
  std::vector<std::int32_t> symbols(with.count);
  std::vector<float> restored(with.count);
  for (std::size_t i = 0; i < with.count; ++i) {
    indexes[i] = static_cast<Index>(random.below(20) == 0 ? random.next() : random.below(64));
    symbols[i] = static_cast<std::int32_t>(random.next()) >> random.below(32);
  }
  latentsr::latent_from_symbols(symbols.data(), with.means(), with.count, restored.data(),
                                Isa::scalar);
  std::vector<std::int32_t> expected = symbols;
  std::vector<float> expected_restored(with.count);
  for (std::size_t i = 0; i < with.count; ++i) {
    const std::int64_t row = indexes[i];
    expected[i] = row >= 0 && row < skip ? 0 : symbols[i];
  }
  latentsr::latent_from_symbols(expected.data(), with.means(), with.count,
                                expected_restored.data(), Isa::scalar);
  const cuda::ClearStep<Index> step{indexes.data(), skip, with.means(), symbols.data(),
                                    round % 3 == 0 ? nullptr : restored.data()};
  for (std::size_t i = 0; i < with.count; ++i) {
    step(i);
  }
  expect(same_bits(symbols, expected), "cleared", round);
  expect(round % 3 == 0 || same_bits(restored, expected_restored), "restored zeros", round);
}

template <class Sample>
void check_limits(Random& random, std::size_t round) {
  std::vector<Sample> samples(random.below(100));
  std::vector<Sample> found(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto drawn = static_cast<float>(4 * random.unit() - 1.5);
    cuda::narrow(random.below(20) == 0 ? std::nanf("") : random.below(9) == 0 ? INFINITY : drawn,
                 samples[i]);
    cuda::LimitStep<Sample>{samples.data(), found.data()}(i);
    const float given = cuda::widen(samples[i]);
    const float made = cuda::widen(found[i]);
    expect(std::isnan(given) ? std::isnan(made) : made == std::fmin(std::fmax(given, 0.0f), 1.0f),
           "limited", round);
  }
}

// Two pictures within planes that are a little larger.
template <class Sample>
void check_pictures(Random& random, std::size_t round) {
  const auto height = static_cast<std::uint32_t>(1 + random.below(5));
  const auto width = static_cast<std::uint32_t>(1 + round % 71);
  const auto top = static_cast<std::uint32_t>(random.below(3));
  const auto left = static_cast<std::uint32_t>(random.below(9));
  const std::uint32_t rows = height + top + static_cast<std::uint32_t>(random.below(3));
  const std::uint32_t columns = width + left + static_cast<std::uint32_t>(random.below(9));
  const std::size_t plane = std::size_t{rows} * columns;
  std::vector<Sample> samples(6 * plane);
  std::vector<float> wide;
  for (Sample& sample : samples) {
    const double middle = (static_cast<double>(random.below(260)) - 2.5) / 255;
    auto value = static_cast<float>(random.below(4) == 0 ? 6 * random.unit() - 3 : middle);
    value = random.below(4000) == 0 ? INFINITY : value;
    cuda::narrow(value, sample);
    wide.push_back(cuda::widen(sample));
  }
  const std::size_t inner = std::size_t{top} * columns + left;
  const auto stride = static_cast<std::int64_t>(plane);
  const cuda::PlaneBatch<const Sample> window{samples.data() + inner, 3 * stride, stride, columns,
                                              2, height, width};
  const std::size_t bytes = std::size_t{3} * height * width;
  Bytes pictures(2 * bytes);
  Bytes expected(2 * bytes);
  std::uint64_t fault = kNoFault;
  bool finite = true;
  for (std::size_t n = 0; n < 2; ++n) {
    const latentsr::PlaneWindow one{wide.data() + 3 * plane * n + inner, stride, columns, height,
                                    width};
    finite = latentsr::picture_from_planes(one, expected.data() + n * bytes, {}) && finite;
  }
  for (std::size_t i = 0; i < 2 * std::size_t{height} * width; ++i) {
    cuda::PictureStep<Sample>{window, pictures.data(), &fault}(i);
  }
  expect((fault == kNoFault) == finite, "finite", round);
  expect(!finite || pictures == expected, "pictures", round);

  const cuda::PlaneBatch<Sample> all{samples.data(), 3 * stride, stride, columns, 2, rows,
                                     columns};
  for (std::size_t i = 0; i < 2 * plane; ++i) {
    cuda::PlaneStep<Sample>{pictures.data(), height, width, top, left, all}(i);
  }
  for (std::size_t n = 0; n < 2; ++n) {
    latentsr::planes_from_picture(pictures.data() + n * bytes, height, width,
                                  {wide.data() + 3 * plane * n, rows, columns, top, left}, {});
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Sample narrowed{};
    cuda::narrow(wide[i], narrowed);
    expect(std::memcmp(&samples[i], &narrowed, sizeof narrowed) == 0, "planes", round);
  }
}

// Few symbols, about as many as there are threads, and several for each.
void check_crcs(Random& random) {
  constexpr std::size_t kThreads = cuda::kCrcThreads;
  for (const std::size_t about : {std::size_t{0}, std::size_t{5}, kThreads, 3 * kThreads}) {
    for (std::size_t count = about; count < about + 4; ++count) {
      std::vector<std::int32_t> symbols(count);
      for (std::int32_t& symbol : symbols) {
        symbol = static_cast<std::int32_t>(random.next()) >> random.below(32);
      }
      const auto start = count % 2 == 0 ? 0u : static_cast<std::uint32_t>(random.next());
      const std::uint32_t expected =
          latentsr::crc32(reinterpret_cast<const std::uint8_t*>(symbols.data()), 4 * count, start,
                          Isa::scalar);
      const auto size = static_cast<std::uint32_t>(count);
      expect(emulated_crc(symbols.data(), size, start) == expected, "CRC", count);
      const std::uint32_t own = emulated_crc(symbols.data(), size, 0);
      expect(cuda::combine_crcs(start, own, count) == expected, "combined CRC", count);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  Random random(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  check_half(random, rounds);
  check_conversions(random);
  check_crcs(random);
  for (std::size_t round = 0; round < rounds; ++round) {
    check_latents<float>(random, round);
    check_latents<Half>(random, round);
    check_scales<float>(random, round);
    check_scales<Half>(random, round);
    check_clearing<std::uint8_t>(random, round);
    check_clearing<std::int32_t>(random, round);
    check_limits<float>(random, round);
    check_limits<Half>(random, round);
    check_pictures<float>(random, round);
    check_pictures<Half>(random, round);
  }
  std::printf("{\"rounds\": %zu}\n", rounds);
}
