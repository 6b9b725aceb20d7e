// context_model.cpp - lays a model's weights out in the order in which products read them.
#include "latentsr/context.h"

#include <algorithm>
#include <limits>

#include "context_check.h"
#include "context_reach.h"

namespace latentsr {
namespace {

// Both to a multiple that products take at once.
constexpr std::size_t kInputUnit = 8;

std::size_t padded(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

// Where each output of a layer goes. Scales and means of the last one each begin a block.
std::size_t place_of(std::size_t output, std::size_t split) {
  return output < split ? output : padded(split, kContextBlock) + output - split;
}

std::int32_t half_step(std::uint8_t shift) { return std::int32_t{1} << (shift - 1); }

// Weights of one output, number `lane` of its block.
void put_row(const std::int16_t* row, std::size_t count, std::size_t lane, ContextLine* lines) {
  for (std::size_t i = 0; i < count; ++i) {
    lines[i / 2].weights[lane][i % 2] = row[i];
  }
}

}  // namespace

std::size_t ContextModel::padded_channels() const { return padded(channels_, kInputUnit); }

bool ContextModel::fits(std::size_t height, std::size_t width) const {
  constexpr std::size_t kBytes = sizeof(std::int64_t);  // of the widest element
  constexpr std::size_t kMost = std::numeric_limits<std::ptrdiff_t>::max() / kBytes;
  const std::size_t most = kMost / std::max(padded_channels() + 32, padded(features_, 16));
  const std::size_t around = static_cast<std::size_t>(2 * kContextReach + 1);
  return height < most && width < most && height + around <= most / (width + around);
}

std::string ContextModel::build(const ContextTensors& tensors) {
  const std::string fault = check_context(tensors);
  if (!fault.empty()) {
    return fault;
  }
  channels_ = tensors.weights.back().outputs / 2;
  features_ = tensors.weights[1].outputs;
  lift_.assign(tensors.lift.begin(), tensors.lift.end());
  mean_bits_ = tensors.settings[kMeanBits];
  leak_ = tensors.settings[kLeak];
  input_top_ = tensors.settings[kInputTop];
  feature_top_ = tensors.settings[kFeatureTop];
  thresholds_.assign(tensors.thresholds.begin(), tensors.thresholds.end() - 1);
  take_taps(tensors);
  take_layers(tensors);
  return "";
}

void ContextModel::take_taps(const ContextTensors& tensors) {
  const std::vector<ContextTap> taps = raster_taps(tensors.taps);
  const ContextReach reach = reach_of(taps);
  slope_ = reach.slope;
  above_ = reach.above;
  left_ = reach.left;
  right_ = reach.right;
  taps_.clear();
  for (const ContextTap& tap : taps) {
    taps_.push_back({tap.dy, tap.dx});
  }
}

void ContextModel::take_layers(const ContextTensors& tensors) {
  const std::vector<ContextTap> order = raster_taps(tensors.taps);
  layers_.assign(tensors.weights.size(), {});
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    const bool last = k + 1 == layers_.size();
    ContextLayer& layer = layers_[k];
    const std::size_t split = last ? channels_ : tensors.weights[k].outputs;
    layer.outputs = padded(split, kContextBlock) * (last ? 2 : 1);
    layer.pairs = k == 0 ? taps_.size() * padded_channels() / 2 : layers_[k - 1].outputs / 2;
    layer.lines.assign(layer.outputs / kContextBlock * layer.pairs, ContextLine{});
    layer.start.assign(layer.outputs, 0);
    layer.shift.assign(layer.outputs, 1);
    layer.top = last ? 0 : tensors.settings[kTops + k];
    for (std::size_t o = 0; o < tensors.weights[k].outputs; ++o) {
      const std::size_t place = place_of(o, split);
      const std::uint8_t shift = tensors.shifts[k][o];
      layer.shift[place] = shift;
      layer.start[place] =
          half_step(shift) + (k == 1 ? 0 : tensors.biases[k == 0 ? 0 : k - 1][o]);
      const std::int16_t* row = tensors.weights[k].values + o * tensors.weights[k].inputs;
      ContextLine* lines = layer.lines.data() + place / kContextBlock * layer.pairs;
      if (k == 0) {  // tap after tap
        for (std::size_t t = 0; t < order.size(); ++t) {
          put_row(row + order[t].number * channels_, channels_, place % kContextBlock,
                  lines + t * padded_channels() / 2);
        }
      } else {
        put_row(row, tensors.weights[k].inputs, place % kContextBlock, lines);
      }
    }
  }
}

}  // namespace latentsr
