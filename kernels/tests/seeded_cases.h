// seeded_cases.h - tables and symbols from a seed, in the manner of tests/entropy_cases.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "coder_calls.h"

namespace drivers {

inline constexpr std::int32_t kTotal = 1 << 16;

// SplitMix64 (Steele et al. 2014): the same numbers on every platform, unlike <random>'s
// distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  // 0 ... limit - 1; the bias below 2^-32 is of no matter here.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

// Rows of slot sizes that add up to 2^16, and the value of each row's first slot. Null where the
// library refuses them.
inline std::unique_ptr<Tables> tables_from(const std::vector<std::vector<std::int32_t>>& rows,
                                           const std::vector<std::int32_t>& offset) {
  std::size_t columns = 0;
  for (const auto& sizes : rows) {
    columns = std::max(columns, sizes.size() + 1);
  }
  std::vector<std::int32_t> cdf(rows.size() * columns);
  std::vector<std::int32_t> length;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    std::int32_t* entry = cdf.data() + row * columns;
    for (const std::int32_t size : rows[row]) {
      entry[1] = entry[0] + size;
      ++entry;
    }
    length.push_back(static_cast<std::int32_t>(rows[row].size()) + 1);
  }
  auto tables = std::make_unique<Tables>();
  const std::string fault =
      tables->cdf.build(cdf.data(), rows.size(), columns, length.data(), offset.data());
  if (!fault.empty() || !tables->lanes.build(tables->cdf)) {
    return nullptr;
  }
  return std::make_unique<Tables>(*tables);  // a copy has no room to spare behind its arrays
}

// Zero-mean Gaussians with scales 0.11 to `widest` in equal ratios, like a trained codec's.
inline std::unique_ptr<Tables> gaussian_tables(int count, double widest) {
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> offset;
  for (int row = 0; row < count; ++row) {
    const double scale = 0.11 * std::pow(widest / 0.11, row / std::max(1.0, count - 1.0));
    const auto centre = static_cast<std::int32_t>(std::ceil(6.1 * scale));
    std::vector<std::int32_t> sizes;
    std::int32_t left = kTotal;
    for (std::int32_t value = -centre; value <= centre + 1; ++value) {
      const double edge = 1 / (scale * std::sqrt(2.0));
      const double mass =
          value > centre ? 0
                         : (std::erf((value + 0.5) * edge) - std::erf((value - 0.5) * edge)) / 2;
      sizes.push_back(1 + static_cast<std::int32_t>(mass * (kTotal - 2 * centre - 3)));
      left -= sizes.back();
    }
    sizes[static_cast<std::size_t>(centre)] += left;
    rows.push_back(std::move(sizes));
    offset.push_back(-centre);
  }
  return tables_from(rows, offset);
}

// One to eight rows of 2 to 700 slots, from nearly flat to nearly certain.
inline std::unique_ptr<Tables> random_tables(Random& random) {
  constexpr std::size_t counts[] = {2, 3, 4, 9, 60, 700};
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> offset;
  for (std::size_t row = 1 + random.below(8); row-- > 0;) {
    std::vector<std::int32_t> sizes(counts[random.below(6)], 1);
    auto left = kTotal - static_cast<std::int32_t>(sizes.size());
    offset.push_back(static_cast<std::int32_t>(random.below(sizes.size() + 3)) -
                     static_cast<std::int32_t>(sizes.size()));
    while (random.below(2) == 0 && left > 1) {  // else all slots but one keep the size 1
      for (std::int32_t& size : sizes) {
        const auto more = static_cast<std::int32_t>(
            random.below(2 * static_cast<std::size_t>(left) / sizes.size() + 1));
        size += std::min(more, left);
        left -= std::min(more, left);
      }
    }
    sizes[random.below(sizes.size())] += left;
    rows.push_back(std::move(sizes));
  }
  return tables_from(rows, offset);
}

// Tables of many kinds, made once; the first kGaussianTables are Gaussian.
inline constexpr std::size_t kGaussianTables = 3;

inline std::vector<std::unique_ptr<Tables>> table_pool(Random& random, int random_ones) {
  std::vector<std::unique_ptr<Tables>> pool;
  pool.push_back(gaussian_tables(64, 256));  // as CompressAI's
  pool.push_back(gaussian_tables(64, 32));
  pool.push_back(gaussian_tables(100, 16));  // more rows than registers hold
  for (int i = 0; i < random_ones; ++i) {
    pool.push_back(random_tables(random));
  }
  for (const auto& tables : pool) {
    if (tables == nullptr) {
      throw std::logic_error("seeded tables were refused");
    }
  }
  return pool;
}

// A way to code with these tables. Few use a second thread: starting one takes longer than a
// short decode.
inline Coding draw_coding(Random& random, Form form, const Tables& tables) {
  Coding how;
  how.form = form;
  if (form == Form::lanes) {
    how.lanes = random.below(3) == 0 ? 0 : 1u << random.below(6);
    how.parts = random.below(2) == 0 ? 0 : 1u << random.below(random.below(4) == 0 ? 9 : 4);
    const std::size_t rows = tables.cdf.rows.size();
    how.skip = random.below(2) == 0 ? 0 : static_cast<std::uint32_t>(random.below(rows + 1));
    how.threads = random.below(64) == 0 ? 2 : 1;
  }
  return how;
}

// Symbols that follow their rows, of which the share `outside` is escaped; those of certain rows
// are 0.
struct Case {
  const Tables* tables = nullptr;
  std::vector<std::int32_t> symbols;
  std::vector<std::int32_t> indexes;
  std::vector<std::uint8_t> narrow_indexes;
};

inline std::int32_t draw_symbol(Random& random, const Tables& tables, std::size_t row,
                                bool outside) {
  const latentsr::CdfRow& found = tables.cdf.rows[row];
  if (outside) {
    const auto reach = static_cast<std::int64_t>(std::exp(random.unit() * std::log(1 << 27)));
    const std::int64_t value = random.below(2) == 0 ? -reach : found.escape - 1 + reach;
    return static_cast<std::int32_t>(value + found.offset);
  }
  const auto state = static_cast<std::uint32_t>(random.below(kTotal));
  const std::uint32_t* first = tables.cdf.slots.data() + found.first;
  const std::uint32_t* last = first + found.escape;
  const std::uint32_t* slot = std::upper_bound(
      first, last, state, [](std::uint32_t at, std::uint32_t s) { return at < (s & 0xffff); });
  return static_cast<std::int32_t>(slot - first) - 1 + found.offset;
}

inline Case draw(Random& random, const Tables& tables, std::size_t count, double outside,
                 std::uint32_t skip) {
  Case made;
  made.tables = &tables;
  // Low rows more often than high ones, as scales of real pictures are.
  const std::size_t rows = tables.cdf.rows.size();
  const bool skewed = random.below(2) == 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double place = random.unit();
    const auto row = static_cast<std::size_t>((skewed ? place * place * place : place) *
                                              static_cast<double>(rows));
    made.indexes.push_back(static_cast<std::int32_t>(row));
    made.narrow_indexes.push_back(static_cast<std::uint8_t>(row));
    const bool escaped = random.unit() < outside;
    made.symbols.push_back(row < skip ? 0 : draw_symbol(random, tables, row, escaped));
  }
  return made;
}

}  // namespace drivers
