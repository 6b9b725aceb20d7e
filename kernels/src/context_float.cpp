// context_float.cpp - runs a float context model along a latent. See context_float.h.
//
// Per row one product each for the taps above and for layer 1; per position then only what waits
// for the position before: two taps and the layers behind. Its weights, 3 MB in CompressAI's
// models, pass by once a position, which is the time that it takes.
#include "latentsr/context_float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "context_float_dense.h"
#include "latentsr/scale_indexes.h"

namespace latentsr {
namespace {

DenseAdd dense_add([[maybe_unused]] Isa isa) {
#ifdef LATENTSR_X86_KERNELS
  if (isa == Isa::avx512) {
    return dense_add_avx512;
  }
  if (isa == Isa::avx2) {
    return dense_add_avx2;
  }
#endif
  return dense_add_scalar;
}

// The network at one position after the other.
class Walker {
 public:
  Walker(const FloatContext& context, const FloatContextShape& shape, const float* latent, Isa isa)
      : context_(context),
        shape_(shape),
        latent_(latent),
        add_(dense_add(isa)),
        isa_(isa),
        columns_(shape.width + static_cast<std::size_t>(context.reach_left + context.reach_right)),
        above_(columns_ * context.channels),
        sums_(shape.width * context.context_bias.size()),
        first_(shape.width * first().bias.size()),
        rows_(context.channels) {
    for (const FloatLayer& layer : context.layers) {
      activations_.emplace_back(layer.bias.size());
    }
  }

  // What layer 1 gets from above and from the features, for the row's columns from `begin` on.
  void start_row(std::size_t row, std::size_t begin) {
    const std::size_t width = context_.context_bias.size();
    const std::size_t count = shape_.width - begin;
    for (std::size_t w = begin; w < shape_.width; ++w) {
      std::copy(context_.context_bias.begin(), context_.context_bias.end(),
                sums_.begin() + static_cast<std::ptrdiff_t>(w * width));
    }
    for (std::int32_t up = context_.reach_up; up > 0; --up) {
      if (row >= static_cast<std::size_t>(up)) {
        add_row_above(row - static_cast<std::size_t>(up), -up, begin);
      }
    }
    const std::size_t outputs = first().outputs;
    const std::size_t step = first().bias.size();
    for (std::size_t w = begin; w < shape_.width; ++w) {
      const float* from = shape_.features + (row * shape_.width + w) * outputs;
      float* to = std::copy_n(from, outputs, first_.data() + w * step);
      std::fill_n(to, step - outputs, 0.0f);
    }
    add_(first().weight.data(), first().weight.inputs, first().weight.panels,
         sums_.data() + begin * width, width, count, first_.data() + begin * step, step);
  }

  // Scales, then means, of a position of the row that was started; all before it are known.
  const float* parameters(std::size_t position) {
    const std::size_t w = position % shape_.width;
    const std::size_t step = first().bias.size();
    std::copy_n(first_.data() + w * step, step, activations_[0].data());
    for (std::size_t t = 0; t < context_.left.size(); ++t) {
      const auto back = static_cast<std::size_t>(-context_.left[t].dx);
      if (back <= w) {
        add(context_.left_weights[t], latent_ + (position - back) * context_.channels,
            activations_[0]);
      }
    }
    for (std::size_t k = 1; k < context_.layers.size(); ++k) {
      activate(activations_[k - 1]);
      activations_[k] = context_.layers[k].bias;
      add(context_.layers[k].weight, activations_[k - 1].data(), activations_[k]);
    }
    return activations_.back().data();
  }

  // Rows of a position's symbols. Fails where a parameter is not finite.
  Result rows(const float* parameters, std::uint8_t* out) {
    const std::size_t count = context_.channels;
    for (std::size_t i = 0; i < 2 * count; ++i) {
      if (!std::isfinite(parameters[i])) [[unlikely]] {
        return {Status::not_a_number, i % count, 0};
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      rows_[i] = std::max(parameters[i], context_.bound);
    }
    return scale_indexes(rows_.data(), count, context_.thresholds.data(),
                         context_.thresholds.size(), out, isa_);
  }

 private:
  const FloatLayer& first() const { return context_.layers.front(); }

  void add(const PanelMatrix& matrix, const float* x, std::vector<float>& out) const {
    add_(matrix.data(), matrix.inputs, matrix.panels, x, 0, 1, out.data(), 0);
  }

  void activate(std::vector<float>& values) const {
    for (float& value : values) {
      const float less = value * context_.slope;
      value = value > less ? value : less;
    }
  }

  // All taps of one row above, which lies in above_ with zeros at its ends.
  void add_row_above(std::size_t row, std::int32_t dy, std::size_t begin) {
    const std::size_t channels = context_.channels;
    const auto margin = static_cast<std::size_t>(context_.reach_left);
    std::copy_n(latent_ + row * shape_.width * channels, shape_.width * channels,
                above_.begin() + static_cast<std::ptrdiff_t>(margin * channels));
    const std::size_t width = context_.context_bias.size();
    for (std::size_t t = 0; t < context_.above.size(); ++t) {
      if (context_.above[t].dy != dy) {
        continue;
      }
      const PanelMatrix& matrix = context_.above_weights[t];
      const auto column = static_cast<std::size_t>(context_.reach_left + context_.above[t].dx);
      add_(matrix.data(), matrix.inputs, matrix.panels, above_.data() + (begin + column) * channels,
           channels, shape_.width - begin, sums_.data() + begin * width, width);
    }
  }

  const FloatContext& context_;
  const FloatContextShape& shape_;
  const float* latent_;
  DenseAdd add_;
  Isa isa_;
  std::size_t columns_;
  std::vector<float> above_;  // one row of the latent between zeros
  std::vector<float> sums_;   // the context prediction of a row
  std::vector<float> first_;  // layer 1 of a row, as far as it goes
  std::vector<float> rows_;
  std::vector<std::vector<float>> activations_;
};

// Lists the symbols whose scale would have another row if it were a little larger or smaller.
void list_doubts(const FloatContext& context, const FloatContextDecoding& how, const float* scales,
                 const std::uint8_t* rows, std::size_t place, std::vector<RowDoubt>& doubts) {
  const float more = 1 + how.tolerance;
  const float less = 1 - how.tolerance;
  for (std::size_t i = 0; i < context.channels; ++i) {
    const std::size_t row = rows[i];
    std::size_t other = row;
    if (row < context.thresholds.size() && scales[i] * more > context.thresholds[row]) {
      other = row + 1;
    } else if (row > 0 &&
               std::max(scales[i] * less, context.bound) <= context.thresholds[row - 1]) {
      other = row - 1;
    }
    if (other != row && doubts.size() < how.most_doubts) [[unlikely]] {
      const float edge = context.thresholds[std::min(row, other)];
      const float distance = std::fabs(scales[i] - edge) / std::fabs(edge);
      doubts.push_back({place + i, static_cast<std::uint8_t>(other), distance, how.cursor});
    }
  }
}

}  // namespace

Result decode_float_context(const FloatContext& context, const FloatContextShape& shape,
                            FloatContextDecoding& how, std::int32_t* symbols, std::uint8_t* rows,
                            float* latent, std::vector<RowDoubt>& doubts) {
  const std::size_t channels = context.channels;
  const std::size_t positions = shape.height * shape.width;
  Walker walker(context, shape, latent, how.isa);
  const RowChange* change = how.changes;
  const RowChange* const changes_end = how.changes + how.change_count;
  for (std::size_t p = how.first; p < positions; ++p) {
    if (p % shape.width == 0 || p == how.first) {
      walker.start_row(p / shape.width, p % shape.width);
    }
    const std::size_t place = p * channels;
    const float* parameters = walker.parameters(p);
    Result result = walker.rows(parameters, rows + place);
    if (result.status == Status::ok) {
      list_doubts(context, how, parameters, rows + place, place, doubts);
      for (; change != changes_end && change->place < place + channels; ++change) {
        rows[change->place] = change->row;
      }
      result = read_compressai(*how.tables, how.data, how.size, how.cursor, rows + place, channels,
                               symbols + place);
    }
    if (result.status != Status::ok) {
      result.position += place;
      return result;
    }
    for (std::size_t i = 0; i < channels; ++i) {
      latent[place + i] = static_cast<float>(symbols[place + i]) + parameters[channels + i];
    }
  }
  return {};
}

Result encode_float_context(const FloatContext& context, const FloatContextShape& shape,
                            const float* y, Isa isa, std::int32_t* symbols, std::uint8_t* rows,
                            float* latent) {
  const std::size_t channels = context.channels;
  const std::size_t positions = shape.height * shape.width;
  Walker walker(context, shape, latent, isa);
  for (std::size_t p = 0; p < positions; ++p) {
    if (p % shape.width == 0) {
      walker.start_row(p / shape.width, 0);
    }
    const std::size_t place = p * channels;
    const float* parameters = walker.parameters(p);
    Result result = walker.rows(parameters, rows + place);
    for (std::size_t i = 0; i < channels && result.status == Status::ok; ++i) {
      const float mean = parameters[channels + i];
      const float symbol = std::nearbyint(y[place + i] - mean);
      if (!(symbol >= -0x1p31f && symbol < 0x1p31f)) {
        result = {Status::out_of_range, i, 0};
        break;
      }
      symbols[place + i] = static_cast<std::int32_t>(symbol);
      latent[place + i] = symbol + mean;
    }
    if (result.status != Status::ok) {
      result.position += place;
      return result;
    }
  }
  return {};
}

}  // namespace latentsr
