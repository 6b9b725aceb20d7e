// context_float.h - READ ME FIRST: latents of CompressAI's context models, read and written in
// float32, position by position.
//
// Source: Minnen et al. 2018, "Joint autoregressive and hierarchical priors"; CompressAI's
// JointAutoregressiveHierarchicalPriors and Cheng2020Anchor. For each position of the latent, in
// raster order, a small network tells scales and means of its M symbols from the latent before it
// and from what the hyper-latent says (features):
//
//   context  c = B + sum over taps t of W0[t] x(position + tap t)        taps lie before it
//   layer 1  a = leaky(features + W1 c)                                  features hold layer 1's bias
//   layer k  a = leaky(B_k + W_k a)
//   layer L  scales, means = B_L + W_L a
//   row      = number of scale_table[0 .. n-2] that lie below max(scale, bound)
//   x        = symbol + mean
//
// Nothing nonlinear lies between W0 and W1, so taps of the row above go through both for a whole
// row at once, and taps of the same row through their product. All sums run in a fixed order of
// separate multiplications and additions: every instruction set gives the same bits.
//
// torch gives other last bits, so a scale that lies close to a threshold may belong to another row
// there. Such symbols are *doubts*: they are listed with the place in the stream to go on from
// when the row was the wrong one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "latentsr/rans.h"
#include "latentsr/rans_lanes.h"

namespace latentsr {

inline constexpr std::size_t kMaxContextWidth = 1 << 14;  // channels of any layer
inline constexpr std::size_t kMaxContextTaps = 256;
inline constexpr std::int32_t kMaxContextReach = 64;  // of a tap, either way

struct ContextTap {
  std::int32_t dy;
  std::int32_t dx;
};

struct FloatLayerArrays {
  const float* weight;  // (outputs, inputs)
  const float* bias;    // (outputs,), null for layer 1
  std::size_t outputs;
};

// A network as it lies in files, in C order. Layer 0's weight is (outputs, taps, channels).
struct FloatContextArrays {
  std::vector<ContextTap> taps;
  std::vector<FloatLayerArrays> layers;  // context, layer 1, ... L
  std::size_t channels;
  float slope;  // of the LeakyReLU, in [0, 1)
  float bound;  // scales below it count as it
  const float* scale_table;
  std::size_t scale_count;
};

struct alignas(64) FloatLine {
  float values[16];
};

// W of y = W x, in panels of kPanel rows (context_float_dense.h): for each column the panel's
// weights side by side. Rows are filled up with zeros.
struct PanelMatrix {
  std::vector<FloatLine> lines;
  std::size_t inputs = 0;
  std::size_t panels = 0;

  const float* data() const { return lines.empty() ? nullptr : lines.front().values; }
  // Takes row o's weight for input i from from[o * row_step + i].
  void pack(const float* from, std::size_t outputs, std::size_t columns, std::size_t row_step);
};

struct FloatLayer {
  PanelMatrix weight;
  std::vector<float> bias;  // padded to whole panels
  std::size_t outputs = 0;
};

// Read-only after build(), so any number of threads may share one.
struct FloatContext {
  std::vector<ContextTap> above;  // dy < 0
  std::vector<ContextTap> left;   // dy = 0
  std::vector<PanelMatrix> above_weights;  // layer 0, one a tap
  std::vector<PanelMatrix> left_weights;   // layer 1 times layer 0, one a tap
  std::vector<float> context_bias;
  std::vector<FloatLayer> layers;  // 1 ... L, the first without bias
  std::vector<float> thresholds;
  std::size_t channels = 0;
  float slope = 0;
  float bound = 0;
  std::int32_t reach_up = 0;
  std::int32_t reach_left = 0;
  std::int32_t reach_right = 0;

  // Returns an empty string, or what is wrong with the arrays (they come from files and are not
  // trusted). The caller has checked that all pointers reach as far as the sizes say.
  std::string build(const FloatContextArrays& from);
};

// Symbol number `place`, in raster order, takes the row `row` whatever its scale.
struct RowChange {
  std::size_t place;
  std::uint8_t row;
};

// Symbol number `place` may have the row `other` elsewhere: its scale lies `distance` from the
// threshold between them, relative to it. `cursor` is where the position's symbols begin.
struct RowDoubt {
  std::size_t place;
  std::uint8_t other;
  float distance;
  CompressaiCursor cursor;
};

// One latent of height x width positions.
struct FloatContextShape {
  std::size_t height;
  std::size_t width;
  const float* features;  // (positions, layer 1's outputs)
};

struct FloatContextDecoding {
  const CdfTables* tables;
  const std::uint8_t* data;
  std::size_t size;
  std::size_t first = 0;     // first position to decode; all before are in symbols and latent
  CompressaiCursor cursor;   // valid, where `first` begins
  const RowChange* changes;  // by rising place, none before `first`
  std::size_t change_count = 0;
  float tolerance = 0;  // relative distance of a doubt
  std::size_t most_doubts = 0;
  Isa isa = Isa::scalar;  // must be supported
};

// Decodes the positions first ... to the end into symbols, their rows, and the latent, all
// (positions, channels).
// Whatever the bytes are, reads no byte outside data[0, size). On success the cursor is behind
// the last symbol; close_compressai() tells whether that is right. Fails as read_compressai()
// does, and with not_a_number where a scale or mean is not finite; Result::position counts symbols
// of the whole latent. Doubts before a failure are listed as well.
Result decode_float_context(const FloatContext& context, const FloatContextShape& shape,
                            FloatContextDecoding& how, std::int32_t* symbols, std::uint8_t* rows,
                            float* latent, std::vector<RowDoubt>& doubts);

// Symbols, rows and latent of y, all (positions, channels); symbol = round(y - mean), half to
// even. Fails with not_a_number, or out_of_range for what is no int32.
Result encode_float_context(const FloatContext& context, const FloatContextShape& shape,
                            const float* y, Isa isa, std::int32_t* symbols, std::uint8_t* rows,
                            float* latent);

}  // namespace latentsr
