// context_front.cuh - the symbols of one front of a context model, decoded or quantised, and what
// the next fronts see of them.
#pragma once

#include <cstdint>

#include "context_layer.cuh"
#include "decode_batch.cuh"
#include "element_steps.cuh"

namespace latentsr::cuda {

inline constexpr std::uint64_t kNoPosition = ~std::uint64_t{0};

// What goes from launch to launch. The faults come first: they are set to kNoPosition at once.
struct ContextState {
  std::uint64_t not_finite;    // first feature that is not
  std::uint64_t out_of_range;  // first symbol, in scan order, that cannot be coded
  Result fault;                // of the stream
  std::uint32_t opened;        // whether the stream's head is right
  std::uint32_t lanes;
  std::uint64_t position;      // symbols decoded
  LaneSpot spot;
  std::uint32_t states[kWarpLanes];
};

// A front's symbols are numbered as they are coded: M of a position, then those of the next.
struct ContextFrontJob {
  ContextState* state;
  std::uint64_t first;            // symbols in the fronts before
  std::uint32_t positions;
  std::uint32_t channels;         // M
  std::int32_t mean_bits;
  std::int32_t input_top;
  const std::uint8_t* indexes;    // of the front's symbols, as are means and scan
  const std::int32_t* means;
  std::int32_t* scan;
  // Samples of the first position; from plane to plane, from position to position.
  const float* y;
  std::int32_t* symbols;
  float* latent;
  std::int64_t plane;
  std::int64_t step;
  // Inputs of layer 0, likewise.
  std::int16_t* input;
  std::int64_t input_step;
};

// A stream as device memory has it.
struct ContextStream {
  LaneView tables;
  const std::uint8_t* data;
  std::uint32_t size;
};

// A front's places for the lanes, of which the first ones may have had their symbol of this turn.
template <class Warp>
class FrontPlaces {
 public:
  LATENTSR_DEVICE FrontPlaces(const Warp& warp, std::uint32_t count, std::uint32_t lanes,
                              std::uint32_t begin)
      : warp_(warp), left_(count), lanes_(lanes), begin_(begin) {}

  // See LaneTurns::prepare().
  template <class F>
  LATENTSR_DEVICE std::uint32_t next(Places<Warp>& places, const F&) {
    const std::uint32_t wanted = kTurns * lanes_;
    const std::uint32_t slots =
        left_ == 0 ? 0 : begin_ + left_ < wanted ? begin_ + left_ : wanted;
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      warp_.each([&](std::uint32_t lane) {
        const std::uint32_t at = turn * lanes_ + lane;
        const bool mine = lane < lanes_ && at >= begin_ && at < slots;
        places[turn][lane] = mine ? done_ + at - begin_ : kNowhere;
      });
    }
    if (slots != 0) {
      done_ += slots - begin_;
      left_ -= slots - begin_;
      begin_ = 0;
    }
    return slots;
  }

 private:
  Warp warp_;
  std::uint32_t left_;
  std::uint32_t lanes_;
  std::uint32_t begin_;
  std::uint32_t done_ = 0;
};

// Begins a stream; what it finds is in the state.
template <class Warp>
LATENTSR_DEVICE void open_context(const Warp& warp, const ContextStream& stream,
                                  ContextState* state) {
  PartPlace place;
  StreamHead head = read_head(stream.data, stream.size, 0, 1, 0, place);
  LaneTurns<Warp, std::uint8_t> turns(warp, stream.tables, {nullptr, nullptr}, head.lanes,
                                      stream.size);
  LaneSpot spot{};
  if (head.fault.status == Status::ok) {
    head.fault = turns.open(place.data, place.size, head.has_side);
  }
  if (head.fault.status == Status::ok) {
    spot = turns.save(stream.data, state->states);
  }
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      state->fault = head.fault;
      state->opened = head.fault.status == Status::ok ? 1 : 0;
      state->lanes = head.lanes;
      state->position = 0;
      state->spot = spot;
    }
  });
}

// Decodes a front's symbols, unless the stream is at fault.
template <class Warp>
LATENTSR_DEVICE void decode_front(const Warp& warp, const ContextStream& stream,
                                  const ContextFrontJob& job) {
  ContextState* state = job.state;
  if (state->fault.status != Status::ok) {
    return;
  }
  const std::uint32_t lanes = state->lanes;
  const std::uint64_t position = state->position;
  const std::uint32_t count = job.positions * job.channels;
  LaneTurns<Warp, std::uint8_t> turns(warp, stream.tables, {job.indexes, job.scan}, lanes,
                                      stream.size);
  turns.resume(stream.data, state->spot, state->states);
  FrontPlaces<Warp> places(warp, count, lanes, static_cast<std::uint32_t>(position) & (lanes - 1));
  typename LaneTurns<Warp, std::uint8_t>::Batch first;
  turns.prepare(places, first);
  const bool good = turns.run(places, first);
  warp.sync();
  const LaneSpot spot = turns.save(stream.data, state->states);
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      state->spot = spot;
      state->position = position + count;
      state->fault = turns.fault();
      state->fault.position += good ? 0 : position;
    }
  });
}

// What an earlier launch found first, in the order in which ContextModel looks.
template <class Warp>
LATENTSR_DEVICE Result context_result(const Warp& warp, const ContextStream& stream,
                                     const ContextState* state) {
  if (state->opened == 0) {
    return state->fault;
  }
  if (state->not_finite != kNoPosition) {
    return {Status::not_a_number, state->not_finite, 0};
  }
  if (state->fault.status != Status::ok) {
    return state->fault;
  }
  LaneTurns<Warp, std::uint8_t> turns(warp, stream.tables, {nullptr, nullptr}, state->lanes,
                                      stream.size);
  turns.resume(stream.data, state->spot, state->states);
  return turns.check_end(state->position);
}

// Ends a stream: its result, and no symbols but 0 where there is a fault.
template <class Warp>
LATENTSR_DEVICE void close_context(const Warp& warp, const ContextStream& stream,
                                   const ContextState* state, std::int32_t* symbols,
                                   std::uint64_t count, Result* result) {
  const Result found = context_result(warp, stream, state);
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      *result = found;
    }
  });
  if (found.status != Status::ok) {
    clear_symbols(warp, symbols, count);
  }
}

// Likewise for a quantiser.
LATENTSR_DEVICE Result quantised_result(const ContextState* state) {
  if (state->not_finite != kNoPosition) {
    return {Status::not_a_number, state->not_finite, 0};
  }
  if (state->out_of_range != kNoPosition) {
    return {Status::out_of_range, state->out_of_range, 0};
  }
  return {};
}

// Where a front's symbol goes.
struct ContextPlace {
  std::int64_t sample;
  std::int64_t input;
};

LATENTSR_DEVICE ContextPlace place_of(const ContextFrontJob& job, std::uint32_t i) {
  const std::int64_t position = i / job.channels;
  const std::int64_t channel = i % job.channels;
  return {channel * job.plane + position * job.step, position * job.input_step + channel};
}

// What the model sees of a symbol.
LATENTSR_DEVICE std::int16_t recalled(const ContextFrontJob& job, std::int32_t symbol,
                                      std::int32_t mean) {
  // Means stay within 2^20 and the top within 2^15, so symbols whose own part reaches 2^22 are
  // limited whatever their mean is, and beyond it need not be told apart.
  const std::int32_t most = 1 << (22 - job.mean_bits);
  const std::int32_t value = limited(symbol, most) * (1 << job.mean_bits) + mean;
  return static_cast<std::int16_t>(limited(value, job.input_top));
}

LATENTSR_DEVICE float mean_of(const ContextFrontJob& job, std::uint32_t i) {
  return static_cast<float>(job.means[i]) * (1.0f / static_cast<float>(1 << job.mean_bits));
}

// Puts the front's decoded symbol number i where it belongs.
LATENTSR_DEVICE void restore_symbol(const ContextFrontJob& job, std::uint32_t i) {
  const ContextPlace place = place_of(job, i);
  const std::int32_t symbol = job.scan[i];
  job.symbols[place.sample] = symbol;
  job.latent[place.sample] = static_cast<float>(symbol) + mean_of(job, i);
  job.input[place.input] = recalled(job, symbol, job.means[i]);
}

// Quantises the front's value number i.
LATENTSR_DEVICE void quantise_symbol(const ContextFrontJob& job, std::uint32_t i) {
  const ContextPlace place = place_of(job, i);
  const float mean = mean_of(job, i);
  const float residual = job.y[place.sample] - mean;
  const bool fits = fabsf(residual) <= kSymbolLimit;  // NaN does not
  if (!fits) {
    note_fault(&job.state->out_of_range, job.first + i);
  }
  // Written all the same: an encoder that is in the stream already reads it.
  const auto symbol = fits ? static_cast<std::int32_t>(rintf(residual)) : 0;
  job.scan[i] = symbol;
  job.symbols[place.sample] = symbol;
  job.latent[place.sample] = static_cast<float>(symbol) + mean;
  job.input[place.input] = recalled(job, symbol, job.means[i]);
}

// Notes a feature that is infinite or no number.
struct FiniteStep {
  const float* features;
  std::uint64_t* fault;

  LATENTSR_DEVICE void operator()(std::uint64_t i) const {
    const float value = features[i];
    if (!(value - value == 0.0f)) {
      note_fault(fault, i);
    }
  }
};

}  // namespace latentsr::cuda
