// context_pass.h - one latent's way through a context model, front after front. See context.h.
#pragma once

#include <functional>
#include <vector>

#include "context_scan.h"
#include "context_steps.h"
#include "context_team.h"
#include "latentsr/context.h"

namespace latentsr {

// What a coder is told of the symbols first ... first + count - 1 in scan order, and where it
// puts them and the latent's values.
struct ContextPart {
  std::size_t first;
  std::size_t count;
  const float* scales;  // in units of 2^-10
  const float* means;
  std::int32_t* symbols;
  float* values;
};
using ContextCoder = std::function<Result(const ContextPart&)>;

class ContextPass {
 public:
  ContextPass(const ContextModel& model, const ContextLatent& latent, const ContextRun& run);

  // Calls coder(part) for all symbols in scan order, until one fails, and then fills the latent's
  // planes. The symbols in scan order go to `scan_symbols`, which has room for all.
  Result run(const ContextCoder& coder, std::int32_t* scan_symbols);

  // Planes of M channels as one row a position, in scan order.
  std::vector<float> rows_of(const float* planes) const;

 private:
  std::vector<ContextSpan> tap_spans() const;
  Result take_features();
  Result lead(const ContextCoder& coder);
  void predict(const ContextFront& front, std::size_t first);
  void multiply(std::size_t item);
  void settle(std::size_t positions);
  void recall(const ContextFront& front, std::size_t first);
  std::int16_t* input_at(const ContextFront& front, std::size_t i);

  const ContextModel& model_;
  const ContextLatent& latent_;
  const ContextRun run_;
  const ContextSteps steps_;
  const ContextScan scan_;
  const std::vector<std::size_t> ranks_;
  const std::size_t cell_;      // elements of one position among the inputs
  std::size_t row_;             // and of one row
  std::vector<std::int16_t> inputs_;  // [above + H][left + W + right][cell], 0 where nothing is
  std::vector<std::int32_t> features_;  // a row a position, lifted
  std::vector<std::vector<ContextSpan>> spans_;         // of each layer
  std::vector<std::vector<std::int16_t>> activations_;  // of each layer but the last
  std::vector<std::int32_t> sums_;
  std::size_t sums_step_ = 0;
  std::vector<float> scales_;
  std::vector<float> means_;
  std::vector<float> values_;   // in scan order
  std::int32_t* symbols_ = nullptr;
  std::size_t layer_ = 0;       // being multiplied, by
  ContextProduct product_{};
  ContextTeam team_;
};

}  // namespace latentsr
