// pixels_agreement.cpp - every instruction set turns planes into pictures and back as plain
// arithmetic in double precision does, where no product or sum is rounded twice or fused.
//
// pixels_agreement [ROUNDS] [SEED]: seeded windows and paddings of all small sizes. Blocks are no
// larger than what may be touched, so that a sanitizer sees all else. Ends at the first
// difference; prints what was done as one line of JSON.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "latentsr/pixels.h"
#include "seeded_cases.h"

namespace {

using namespace drivers;

void expect(bool right, const char* what, const char* isa, std::size_t width) {
  if (!right) {
    std::fprintf(stderr, "%s: other %s at width %zu\n", isa, what, width);
    std::exit(1);
  }
}

// Float32 about the middle between two bytes, where rounding turns, or anywhere.
float draw_sample(Random& random) {
  if (random.below(4) == 0) {
    return static_cast<float>(6 * random.unit() - 3);
  }
  auto sample = static_cast<float>((static_cast<double>(random.below(256)) + 0.5) / 255);
  for (std::size_t steps = random.below(4); steps > 0; --steps) {
    sample = std::nextafter(sample, random.below(2) == 0 ? -1.0f : 2.0f);
  }
  return sample;
}

// The product of two float32 has room in a double, so only the conversion rounds.
float product(float one, float other) {
  return static_cast<float>(static_cast<double>(one) * static_cast<double>(other));
}

std::uint8_t plain_byte(float sample) {
  return static_cast<std::uint8_t>(
      std::nearbyint(product(std::clamp(sample, 0.0f, 1.0f), 255.0f)));
}

struct Sizes {
  std::size_t height, width, top, left, bottom, right;
  std::size_t rows() const { return top + height + bottom; }
  std::size_t columns() const { return left + width + right; }
  std::size_t plane() const { return rows() * columns(); }
};

Bytes check_picture(Random& random, const Sizes& at, const NamedIsa& with) {
  // From the window's first sample to its last one: all else is out of bounds.
  std::vector<float> block(2 * at.plane() + (at.height - 1) * at.columns() + at.width);
  Bytes expected(3 * at.height * at.width);
  for (float& sample : block) {
    sample = draw_sample(random);
  }
  const auto sample_at = [&](std::size_t i) -> float& {
    return block[i % 3 * at.plane() + i / 3 / at.width * at.columns() + i / 3 % at.width];
  };
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expected[i] = plain_byte(sample_at(i));
  }
  const latentsr::PlaneWindow window{block.data(), static_cast<std::ptrdiff_t>(at.plane()),
                                     static_cast<std::ptrdiff_t>(at.columns()), at.height,
                                     at.width};
  Bytes found(expected.size());
  const latentsr::PixelWork how{2, with.isa};
  expect(latentsr::picture_from_planes(window, found.data(), how) && found == expected, "picture",
         with.name, at.width);
  constexpr float bad[] = {std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()};
  sample_at(random.below(expected.size())) = bad[random.below(3)];
  expect(!latentsr::picture_from_planes(window, found.data(), how), "finite", with.name, at.width);
  return expected;
}

void check_planes(const Bytes& picture, const Sizes& at, const NamedIsa& with) {
  std::vector<float> planes(3 * at.plane());
  latentsr::planes_from_picture(picture.data(), at.height, at.width,
                      {planes.data(), at.rows(), at.columns(), at.top, at.left}, {2, with.isa});
  const auto step = static_cast<float>(1.0 / 255.0);
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const std::size_t y = i % at.plane() / at.columns();
    const std::size_t x = i % at.columns();
    const std::size_t row = std::clamp(y, at.top, at.top + at.height - 1) - at.top;
    const std::size_t column = std::clamp(x, at.left, at.left + at.width - 1) - at.left;
    const std::uint8_t byte = picture[3 * (row * at.width + column) + i / at.plane()];
    expect(planes[i] == product(byte, step), "planes", with.name, at.width);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  Random random(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  for (std::size_t round = 0; round < rounds; ++round) {
    const Sizes at{1 + random.below(5), 1 + round % 71,    random.below(3),
                   random.below(20),    random.below(3), random.below(20)};
    for (const NamedIsa& each : supported_isas()) {
      check_planes(check_picture(random, at, each), at, each);
    }
  }
  std::printf("{\"isas\": %s, \"pictures\": %zu}\n", isas_json().c_str(), rounds);
}
