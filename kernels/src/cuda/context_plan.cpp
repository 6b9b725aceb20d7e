// context_plan.cpp - see context_plan.h.
#include "context_plan.h"

#include <algorithm>

namespace latentsr::cuda {
namespace {

constexpr std::size_t kAlignment = 256;

std::size_t padded(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }

std::uint32_t step_of(const ContextLayerView& layer) {
  return static_cast<std::uint32_t>(padded(layer.outputs, kContextGroup));
}

}  // namespace

ContextPlan::ContextPlan(const ContextView& model, std::uint32_t height, std::uint32_t width,
                         const ContextArrays& arrays)
    : model_(model), height_(height), width_(width), arrays_(arrays),
      scan_(height, width, model.slope) {
  std::size_t most = height;  // positions of a front
  if (model.slope != 0) {
    most = std::min<std::size_t>(most, (width + model.slope - 1) / model.slope);
  }
  const std::size_t row = std::size_t{model.left} + width + model.right;
  inputs_ = take((std::size_t{model.above} + height) * row * model.cell * sizeof(std::int16_t));
  for (std::uint32_t k = 0; k + 1 < model.layer_count; ++k) {
    activations_[k] = take(most * step_of(model.layers[k]) * sizeof(std::int16_t));
  }
  zeroed_ = bytes_;
  indexes_ = take(most * model.channels);
  means_ = take(most * model.channels * sizeof(std::int32_t));
  symbols_ = take(most * model.channels * sizeof(std::int32_t));
  state_ = take(sizeof(ContextState));
}

std::size_t ContextPlan::take(std::size_t size) {
  const std::size_t offset = bytes_;
  bytes_ += padded(size, kAlignment);
  return offset;
}

std::uint64_t ContextPlan::feature_count() const {
  return std::uint64_t{model_.features} * height_ * width_;
}

std::uint64_t ContextPlan::symbol_count() const {
  return std::uint64_t{model_.channels} * height_ * width_;
}

std::int16_t* ContextPlan::input() const {
  const std::size_t row = std::size_t{model_.left} + width_ + model_.right;
  const std::size_t position =
      (model_.above + front_.row) * row + model_.left + front_.column;
  return place<std::int16_t>(inputs_) + position * model_.cell;
}

std::uint64_t ContextPlan::first_sample() const {
  return std::uint64_t{front_.row} * width_ + front_.column;
}

ContextFrontJob ContextPlan::next_front() {
  first_ += std::uint64_t{front_.count} * model_.channels;
  front_ = scan_.front(number_++);
  const std::int64_t row = std::int64_t{model_.left} + width_ + model_.right;
  ContextFrontJob job{};
  job.state = state();
  job.first = first_;
  job.positions = static_cast<std::uint32_t>(front_.count);
  job.channels = model_.channels;
  job.mean_bits = model_.mean_bits;
  job.input_top = model_.input_top;
  job.means = place<std::int32_t>(means_);
  if (front_.count == 0) {  // its place would be nowhere
    return job;
  }
  const std::uint64_t sample = first_sample();
  job.indexes = arrays_.scan_indexes != nullptr ? arrays_.scan_indexes + first_
                                                : place<std::uint8_t>(indexes_);
  job.scan = arrays_.scan_symbols != nullptr ? arrays_.scan_symbols + first_
                                             : place<std::int32_t>(symbols_);
  job.input = input();
  job.input_step = (row - model_.slope) * model_.cell;
  job.y = arrays_.y != nullptr ? arrays_.y + sample : nullptr;
  job.symbols = arrays_.symbols + sample;
  job.latent = arrays_.latent + sample;
  job.plane = std::int64_t{height_} * width_;
  job.step = std::int64_t{width_} - model_.slope;
  return job;
}

ContextLayerJob ContextPlan::layer(std::uint32_t number) const {
  const bool last = number + 1 == model_.layer_count;
  ContextLayerJob job{};
  job.layer = model_.layers[number];
  job.positions = static_cast<std::uint32_t>(front_.count);
  if (number == 0) {
    const std::int64_t row = std::int64_t{model_.left} + width_ + model_.right;
    job.cell = model_.cell;
    job.row = row * model_.cell;
    job.input = input();
    job.input_step = (row - model_.slope) * model_.cell;
  } else {
    job.input = place<std::int16_t>(activations_[number - 1]);
    job.input_step = step_of(model_.layers[number - 1]);
  }
  if (number == 1) {
    job.features = arrays_.features + first_sample();
    job.plane = std::int64_t{height_} * width_;
    job.step = std::int64_t{width_} - model_.slope;
    job.lift = model_.lift;
    job.feature_top = static_cast<float>(model_.feature_top);
  }
  if (last) {
    job.channels = model_.channels;
    job.thresholds = model_.thresholds;
    job.threshold_count = model_.threshold_count;
    job.indexes = arrays_.scan_indexes != nullptr ? arrays_.scan_indexes + first_
                                                  : place<std::uint8_t>(indexes_);
    job.means = place<std::int32_t>(means_);
  } else {
    job.out = place<std::int16_t>(activations_[number]);
    job.out_step = step_of(model_.layers[number]);
    job.leak = number == 0 ? 1 << 16 : model_.leak;
  }
  return job;
}

std::size_t context_scratch(const ContextView& model, std::uint32_t height, std::uint32_t width) {
  return ContextPlan(model, height, width, {}).bytes();
}

}  // namespace latentsr::cuda
