// context_pass.cpp - small matrix products, one a layer and front, between reads of the coder.
#include "context_pass.h"

#include <algorithm>

#include "parallel.h"

namespace latentsr {
namespace {

// Blocks that a thread takes at once: some microseconds' work.
constexpr std::size_t kBlocksEach = 4;
// More would find nothing to take.
constexpr unsigned kMostThreads = 8;
// Channels whose features are lifted before they change places; 64 bytes of each row.
constexpr std::size_t kStrip = 16;
constexpr std::size_t kLine = 32;  // int16 elements of a cache line

ContextSteps steps_for([[maybe_unused]] Isa isa) {
#ifdef LATENTSR_X86_KERNELS
  if (isa == Isa::avx512 && __builtin_cpu_supports("avx512bw")) {
    ContextSteps steps = kContextAvx512;
    if (__builtin_cpu_supports("avx512vnni")) {
      steps.multiply = multiply_context_vnni;
    }
    return steps;
  }
  if (isa == Isa::avx2 || isa == Isa::avx512) {
    return kContextAvx2;
  }
#endif
  return kContextScalar;
}

// Steps of an odd number of cache lines: what many positions have in the same few places of a cache
// pushes each other out.
std::size_t odd_step(std::size_t least) { return ((least + kLine - 1) / kLine | 1) * kLine; }

// Elements of a row of inputs of which a front takes one position, `back` elements before the
// place below the last one.
std::size_t row_elements(std::size_t least, std::size_t back) {
  const std::size_t row = (least + kLine - 1) / kLine * kLine;
  const auto step = static_cast<std::ptrdiff_t>(row) - static_cast<std::ptrdiff_t>(back);
  return step / static_cast<std::ptrdiff_t>(kLine) % 2 == 0 ? row + kLine : row;
}

// Ends the helpers' looking for work, however the leader ends.
struct Dismissal {
  ~Dismissal() { team.dismiss(); }
  ContextTeam& team;
};

}  // namespace

ContextPass::ContextPass(const ContextModel& model, const ContextLatent& latent,
                         const ContextRun& run)
    : model_(model),
      latent_(latent),
      run_(run),
      steps_(steps_for(run.isa)),
      scan_(latent.height, latent.width, model.slope_),
      ranks_(scan_.ranks()),
      cell_(model.padded_channels()),
      team_([this](std::size_t item) { multiply(item); }) {
  const std::size_t columns = model.left_ + latent.width + model.right_;
  row_ = row_elements(columns * cell_, model.slope_ * cell_);
  inputs_.resize((model.above_ + latent.height) * row_);
  values_.resize(scan_.positions() * model.channels_);
  scales_.resize(kContextChunk * model.channels_);
  means_.resize(kContextChunk * model.channels_);
  spans_.push_back(tap_spans());
  for (std::size_t k = 0; k < model.layers_.size(); ++k) {
    const ContextLayer& layer = model.layers_[k];
    sums_step_ = std::max(sums_step_, layer.outputs);
    if (k > 0) {
      spans_.push_back({{0, layer.pairs}});
    }
    if (k + 1 < model.layers_.size()) {
      activations_.emplace_back(kContextChunk * odd_step(layer.outputs));
    }
  }
  sums_.resize(kContextChunk * sums_step_);
}

// Taps side by side in a row are one span: their channels follow each other.
std::vector<ContextSpan> ContextPass::tap_spans() const {
  std::vector<ContextSpan> spans;
  std::ptrdiff_t end = 0;  // of the last span
  for (const auto& [dy, dx] : model_.taps_) {
    const std::ptrdiff_t offset = dy * static_cast<std::ptrdiff_t>(row_) +
                                  dx * static_cast<std::ptrdiff_t>(cell_);
    if (spans.empty() || offset != end) {
      spans.push_back({offset, 0});
    }
    spans.back().pairs += cell_ / 2;
    end = offset + static_cast<std::ptrdiff_t>(cell_);
  }
  return spans;
}

Result ContextPass::run(const ContextCoder& coder, std::int32_t* scan_symbols) {
  symbols_ = scan_symbols;
  Result result = take_features();
  if (result.status != Status::ok) {
    return result;
  }
  const unsigned threads = std::min(run_.threads, kMostThreads);
  run_parallel(threads, threads, [&](std::size_t job) {
    if (job != 0) {
      team_.help();
      return;
    }
    const Dismissal at_end{team_};
    result = lead(coder);
  });
  if (result.status == Status::ok) {
    const std::size_t channels = model_.channels_;
    rows_to_planes(steps_, symbols_, channels, ranks_, latent_.symbols, channels);
    rows_to_planes(steps_, values_.data(), channels, ranks_, latent_.values, channels);
  }
  return result;
}

std::vector<float> ContextPass::rows_of(const float* planes) const {
  std::vector<float> rows(scan_.positions() * model_.channels_);
  planes_to_rows(steps_, planes, model_.channels_, ranks_, rows.data(), model_.channels_);
  return rows;
}

Result ContextPass::take_features() {
  const std::size_t positions = scan_.positions();
  const ContextLayer& layer = model_.layers_[1];
  features_.resize(positions * layer.outputs);
  std::vector<std::int32_t> strip(kStrip * positions);
  for (std::size_t first = 0; first < model_.features_; first += kStrip) {
    const std::size_t channels = std::min(kStrip, model_.features_ - first);
    for (std::size_t c = 0; c < channels; ++c) {
      const float* from = latent_.features + (first + c) * positions;
      if (!steps_.lift(from, positions, static_cast<float>(model_.feature_top_),
                       model_.lift_[first + c], layer.start[first + c],
                       strip.data() + c * positions)) {
        const float* at = std::find_if(from, from + positions,
                                       [](float value) { return value - value != 0.0f; });
        return {Status::not_a_number, static_cast<std::size_t>(at - latent_.features), 0};
      }
    }
    planes_to_rows(steps_, strip.data(), channels, ranks_, features_.data() + first,
                   layer.outputs);
  }
  return {};
}

Result ContextPass::lead(const ContextCoder& coder) {
  std::size_t first = 0;  // position in scan order
  for (std::size_t f = 0; f < scan_.fronts(); ++f) {
    ContextFront front = scan_.front(f);
    for (std::size_t left = front.count; left > 0; left -= front.count) {
      const std::size_t chunks = (left + kContextChunk - 1) / kContextChunk;
      front.count = (left + chunks - 1) / chunks;
      predict(front, first);
      const std::size_t symbol = first * model_.channels_;
      const Result result = coder({symbol, front.count * model_.channels_, scales_.data(),
                                   means_.data(), symbols_ + symbol, values_.data() + symbol});
      if (result.status != Status::ok) {
        return result;
      }
      recall(front, first);
      first += front.count;
      front.row += front.count;
      front.column -= model_.slope_ * front.count;  // behind the last chunk it may wrap, unused
    }
  }
  return {};
}

// Scales and means of some positions of a front, of which `first` is the first one's rank.
void ContextPass::predict(const ContextFront& front, std::size_t first) {
  product_.input = input_at(front, 0);
  product_.input_step = static_cast<std::ptrdiff_t>(row_) -
                        static_cast<std::ptrdiff_t>(model_.slope_ * cell_);
  product_.positions = front.count;
  product_.out = sums_.data();
  product_.out_step = static_cast<std::ptrdiff_t>(sums_step_);
  for (layer_ = 0; layer_ < model_.layers_.size(); ++layer_) {
    const ContextLayer& layer = model_.layers_[layer_];
    product_.lines = layer.lines.data();
    product_.spans = spans_[layer_].data();
    product_.span_count = spans_[layer_].size();
    product_.pairs = layer.pairs;
    const bool features = layer_ == 1;
    product_.start = features ? features_.data() + first * layer.outputs : layer.start.data();
    product_.start_step = features ? static_cast<std::ptrdiff_t>(layer.outputs) : 0;
    const std::size_t blocks = layer.outputs / kContextBlock;
    team_.share((blocks + kBlocksEach - 1) / kBlocksEach);
    if (layer_ + 1 < model_.layers_.size()) {
      product_.input = activations_[layer_].data();
      product_.input_step = static_cast<std::ptrdiff_t>(odd_step(layer.outputs));
    }
  }
  settle(front.count);
}

// Some blocks of a layer, for all positions, and what they are for the next layer.
void ContextPass::multiply(std::size_t item) {
  const ContextLayer& layer = model_.layers_[layer_];
  const std::size_t first = item * kBlocksEach;
  const std::size_t last = std::min(first + kBlocksEach, layer.outputs / kContextBlock);
  steps_.multiply(product_, first, last);
  if (layer_ + 1 == model_.layers_.size()) {
    return;
  }
  const std::size_t at = first * kContextBlock;
  const ContextRequantise how{layer.shift.data() + at, layer.top,
                              layer_ == 0 ? 1 << 16 : model_.leak_};
  for (std::size_t p = 0; p < product_.positions; ++p) {
    steps_.requantise(how, sums_.data() + p * sums_step_ + at, (last - first) * kContextBlock,
                      activations_[layer_].data() + p * odd_step(layer.outputs) + at);
  }
}

void ContextPass::settle(std::size_t positions) {
  const ContextLayer& layer = model_.layers_.back();
  const std::size_t channels = model_.channels_;
  const std::size_t half = layer.outputs / 2;  // where the means begin
  const float unit = 1.0f / static_cast<float>(1 << model_.mean_bits_);
  for (std::size_t p = 0; p < positions; ++p) {
    const std::int32_t* sums = sums_.data() + p * sums_step_;
    steps_.settle(sums, layer.shift.data(), channels, 1.0f, scales_.data() + p * channels);
    steps_.settle(sums + half, layer.shift.data() + half, channels, unit,
                  means_.data() + p * channels);
  }
}

// Makes the coded symbols inputs of the positions behind them.
void ContextPass::recall(const ContextFront& front, std::size_t first) {
  const std::size_t channels = model_.channels_;
  for (std::size_t i = 0; i < front.count; ++i) {
    steps_.recall(symbols_ + (first + i) * channels, means_.data() + i * channels, channels,
                  model_.mean_bits_, model_.input_top_, input_at(front, i));
  }
}

std::int16_t* ContextPass::input_at(const ContextFront& front, std::size_t i) {
  const std::size_t row = model_.above_ + front.row + i;
  const std::size_t column = model_.left_ + front.column - model_.slope_ * i;
  return inputs_.data() + row * row_ + column * cell_;
}

}  // namespace latentsr
