// context_run.cpp - a context model with a decoder, or a quantiser, behind it. See context.h.
#include "context_pass.h"
#include "latentsr/lane_reader.h"
#include "latentsr/latent_steps.h"
#include "latentsr/scale_indexes.h"

namespace latentsr {

Result ContextModel::decode(const ContextLatent& latent, const std::uint8_t* data,
                            std::size_t size, const LaneTables& tables,
                            const ContextRun& run) const {
  LaneReader reader;
  const Result opened = reader.open(tables, data, size, run.isa);
  if (opened.status != Status::ok) {
    return opened;
  }
  ContextPass pass(*this, latent, run);
  std::vector<std::int32_t> symbols(latent.height * latent.width * channels_);
  std::vector<std::uint8_t> indexes(kContextChunk * channels_);
  const Result result = pass.run(
      [&](const ContextPart& part) {
        scale_indexes(part.scales, part.count, thresholds_.data(), thresholds_.size(),
                      indexes.data(), run.isa);  // scales are integers, so it cannot fail
        const Result read = reader.read(indexes.data(), part.count, part.symbols);
        if (read.status == Status::ok) {
          latent_from_symbols(part.symbols, {part.means, part.count, 1}, part.count, part.values,
                              run.isa);
        }
        return read;
      },
      symbols.data());
  return result.status == Status::ok ? reader.close() : result;
}

Result ContextModel::encode(const ContextLatent& latent, const float* y,
                            std::int32_t* scan_symbols, std::uint8_t* scan_indexes,
                            const ContextRun& run) const {
  ContextPass pass(*this, latent, run);
  const std::vector<float> rows = pass.rows_of(y);
  return pass.run(
      [&](const ContextPart& part) {
        scale_indexes(part.scales, part.count, thresholds_.data(), thresholds_.size(),
                      scan_indexes + part.first, run.isa);
        Result made = symbols_from_latent(rows.data() + part.first, {part.means, part.count, 1},
                                          part.count, part.symbols, part.values, run.isa);
        made.position += part.first;
        return made;
      },
      scan_symbols);
}

}  // namespace latentsr
