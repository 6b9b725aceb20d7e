// context.h - READ ME FIRST: integer context models, which predict each symbol from those before.
//
// An autoregressive codec (Minnen et al. 2018; Cheng et al. 2020) computes the scales and means of
// a latent position from what the hyperprior says of it and from the latent's values before it.
// Here all that decides a distribution is integer arithmetic, so every machine finds the same one.
//
// The latent has M channels; position (h, w) sees the taps (h + dy, w + dx), all before it in
// raster order. Layer 0 is the masked convolution over the taps, layers 1 ... L are 1x1. For each
// position, with int32 accumulators and arithmetic shifts:
//
//   input    x = clamp(q, -X, X), q = (symbol << F) + mean of each value in a tap; 0 outside
//   layer 0  acc = bias + sum w x;                          a = requantise(acc), no activation
//   layer 1  acc = (clamp(feature) << lift) + sum w a;      a = requantise(acc), LeakyReLU
//   layer k  acc = bias + sum w a;                          a = requantise(acc), LeakyReLU
//   layer L  acc = bias + sum w a;    r = clamp((acc + 2^(s-1)) >> s, -2^20, 2^20)
//            scales r[0 ... M-1]: the index is the number of thresholds below max(r, 0)
//            means r[M ... 2M-1], integers in units of 2^-F
//   requantise(acc) = clamp((acc + 2^(s-1)) >> s, -top, top), s the channel's shift
//   LeakyReLU(r) = r for r >= 0, (r slope + 2^15) >> 16 below
//   latent   float32(symbol) + float32(mean) 2^-F, in float32
//
// Features are the hyperprior's half of layer 1 for all positions at once; an exact engine graph
// makes them, integers in float32.
//
// Scan order `wavefront`: with the smallest slope s >= 0 for which dx < s (-dy) for every tap with
// dy < 0 (3 for 5x5), position (h, w) belongs to front w + s h. Fronts ascend; within one, h
// ascends; the M channels of a position follow each other. No position sees another one of its
// front, so a front is one small matrix product a layer. The symbols in this order are one stream
// of the `lanes` form with one part.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "latentsr/lane_tables.h"
#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr {

// Outputs that a line of weights is for, and to a multiple of which channels are padded.
inline constexpr std::size_t kContextBlock = 16;

// Weights of two neighbouring inputs and 16 neighbouring outputs, in the order of the products.
struct alignas(64) ContextLine {
  std::int16_t weights[kContextBlock][2];
};

// Where inputs of a layer lie side by side: int16 elements from a position's first, and pairs of
// them, a multiple of 4.
struct ContextSpan {
  std::ptrdiff_t offset;
  std::size_t pairs;
};

// Views of the tensors of one model, as a bundle has them; row-major.
struct ContextTensors {
  struct Weight {
    const std::int16_t* values;
    std::size_t outputs;
    std::size_t inputs;  // of layer 0: taps * channels, a tap's channels side by side
  };
  std::span<const std::int32_t> taps;                  // dy, dx of each
  std::vector<Weight> weights;                         // layers 0 ... L
  std::vector<std::span<const std::int32_t>> biases;   // layers 0, 2 ... L
  std::vector<std::span<const std::uint8_t>> shifts;   // layers 0 ... L, 1 to 30
  std::span<const std::uint8_t> lift;                  // of layer 1
  std::span<const std::int32_t> settings;              // F, slope, X, feature top, L tops
  std::span<const float> thresholds;                   // one a table row; the last is not used
};

// One layer, its outputs padded to whole blocks by outputs that are always 0.
struct ContextLayer {
  std::size_t outputs = 0;           // padded
  std::size_t pairs = 0;             // of inputs
  std::vector<ContextLine> lines;    // block after block
  std::vector<std::int32_t> start;   // bias and half a step; of layer 1 half a step
  std::vector<std::int32_t> shift;
  std::int32_t top = 0;
};

// How to run a model; nothing of it changes a bit.
struct ContextRun {
  Isa isa = Isa::scalar;  // must be supported
  unsigned threads = 1;
};

// Where encode() and decode() find and leave a latent; H * W positions, arrays in C order.
struct ContextLatent {
  std::size_t height;
  std::size_t width;
  const float* features;  // (C1, H, W)
  std::int32_t* symbols;  // (M, H, W), out
  float* values;          // (M, H, W), out
};

// Read-only after build(), so any number of threads may share one.
class ContextModel {
 public:
  // Checks everything and copies what it needs. Returns an empty string, or what is wrong.
  std::string build(const ContextTensors& tensors);

  std::size_t channels() const { return channels_; }
  std::size_t features() const { return features_; }

  // Whether the sizes of all arrays for a latent of H x W can be counted.
  bool fits(std::size_t height, std::size_t width) const;

  // Decodes a stream of the `lanes` form. Reads no byte outside data[0, size), whatever the bytes
  // are. Fails as LaneReader does, positions in scan order, or with not_a_number for a feature
  // that is not finite, its place in `features` as the position. The content of the outputs is
  // then not to be trusted.
  Result decode(const ContextLatent& latent, const std::uint8_t* data, std::size_t size,
                const LaneTables& tables, const ContextRun& run) const;

  // Quantises a latent `y` (M, H, W): symbol = y - mean in float32, half to even. `scan_symbols`
  // and `scan_indexes` (H * W * M) are what to code, in scan order. Fails with not_a_number as
  // above, or with out_of_range for a residual that is NaN or beyond kSymbolLimit, its place in
  // scan order as the position.
  Result encode(const ContextLatent& latent, const float* y, std::int32_t* scan_symbols,
                std::uint8_t* scan_indexes, const ContextRun& run) const;

 private:
  friend class ContextPass;
  std::size_t padded_channels() const;
  void take_taps(const ContextTensors& tensors);
  void take_layers(const ContextTensors& tensors);

  std::size_t channels_ = 0;
  std::size_t features_ = 0;
  std::size_t slope_ = 0;    // of the fronts
  std::size_t above_ = 0;    // how far taps reach up, left and right
  std::size_t left_ = 0;
  std::size_t right_ = 0;
  std::vector<std::array<std::int32_t, 2>> taps_;  // in raster order
  std::vector<ContextLayer> layers_;
  std::vector<std::uint8_t> lift_;
  std::int32_t mean_bits_ = 0;
  std::int32_t leak_ = 0;    // slope of LeakyReLU
  std::int32_t input_top_ = 0;
  std::int32_t feature_top_ = 0;
  std::vector<float> thresholds_;
};

}  // namespace latentsr
