// lanes_encode.cuh - encodes one part of a `lanes` stream with one warp, from its last symbol on.
//
// Words and side bytes go to the ends of the part's rooms, backwards, so that they then lie in
// the order in which a decoder needs them. Bytes and faults are those of encode_lanes().
#pragma once

#include <cstdint>

#include "latentsr/cuda/lane_batch.h"
#include "lane_lookup.cuh"
#include "places.cuh"

namespace latentsr::cuda {

template <class Index>
struct EncodeJob {
  std::uint32_t count;
  std::uint32_t lanes;
  std::uint32_t skip;
  const std::int32_t* symbols;  // the part's own, as are all of these
  const Index* indexes;
  std::uint16_t* words;         // count
  std::uint8_t* side;           // 5 * count
};

template <class Warp, class Index>
class PartEncoder {
 public:
  template <class T>
  using PerLane = typename Warp::template PerLane<T>;

  LATENTSR_DEVICE PartEncoder(const Warp& warp, const LaneView& tables,
                              const EncodeJob<Index>& job)
      : warp_(warp), tables_(tables), job_(job), word_(job.words + job.count),
        side_(job.side + 5 * static_cast<std::uint64_t>(job.count)) {
    warp_.each([&](std::uint32_t lane) { states_[lane] = kLaneLow; });
  }

  // Fills all of the record but its offset; positions count from the part's first symbol.
  LATENTSR_DEVICE void run(std::uint32_t* queue, PartRecord& record) {
    Result result;
    std::uint32_t coded = job_.count;
    if (job_.skip != 0) {
      coded = count_coded(result);
    }
    if (result.status == Status::ok) {
      result = encode(coded, queue);
    }
    const auto words = static_cast<std::uint32_t>(job_.words + job_.count - word_);
    const auto side = static_cast<std::uint32_t>(
        job_.side + 5 * static_cast<std::uint64_t>(job_.count) - side_);
    warp_.each([&](std::uint32_t lane) {
      record.states[lane] = states_[lane];
      if (lane == 0) {
        record.result = result;
        record.words = words;
        record.side = side;
      }
    });
  }

 private:
  struct Batch {
    std::uint32_t count = 0;
    Places<Warp> places{};
    PerLane<EncodedSymbol> symbols[kTurns]{};
    std::uint32_t bad[kTurns]{};  // lanes whose index names no row
  };

  // How many symbols are not certain; a certain one that is not 0 is a fault.
  LATENTSR_DEVICE std::uint32_t count_coded(Result& result) const {
    std::uint32_t coded = 0;
    for (std::uint32_t begin = 0; begin < job_.count; begin += kWarpLanes) {
      const auto mine = [&](std::uint32_t lane) { return lane < job_.count - begin; };
      const std::uint32_t keep = warp_.ballot([&](std::uint32_t lane) {
        return mine(lane) && row_at(begin + lane) >= job_.skip;
      });
      const std::uint32_t lost = warp_.ballot([&](std::uint32_t lane) {
        return mine(lane) && (keep >> lane & 1) == 0 && job_.symbols[begin + lane] != 0;
      });
      if (lost != 0) {
        const std::uint32_t place = begin + lowest_bit(lost);
        result = {Status::not_zero, place, static_cast<std::int64_t>(job_.symbols[place])};
        return coded;
      }
      coded += count_bits(keep);
    }
    return coded;
  }

  LATENTSR_DEVICE Result encode(std::uint32_t coded, std::uint32_t* queue) {
    BackwardPlaces<Warp, Index> places(warp_, job_.indexes, job_.count, coded, job_.lanes,
                                       job_.skip, queue);
    Batch now;
    prepare(places, now);
    while (now.count != 0) {
      Batch next;
      prepare(places, next);
      for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
        if (now.bad[turn] != 0) {
          const std::uint32_t place =
              warp_.broadcast(now.places[turn], highest_bit(now.bad[turn]));
          return {Status::bad_index, place, static_cast<std::int64_t>(job_.indexes[place])};
        }
        encode_turn(now.places[turn], now.symbols[turn]);
      }
      now = next;
    }
    return {};
  }

  LATENTSR_DEVICE void prepare(BackwardPlaces<Warp, Index>& places, Batch& batch) {
    batch.count = places.next(batch.places);
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      const PerLane<std::uint32_t>& at = batch.places[turn];
      const auto known = [&](std::uint32_t lane) {
        return at[lane] != kNowhere && row_at(at[lane]) < tables_.row_count;
      };
      batch.bad[turn] = warp_.ballot(
          [&](std::uint32_t lane) { return at[lane] != kNowhere && !known(lane); });
      warp_.each([&](std::uint32_t lane) {
        if (known(lane)) {
          batch.symbols[turn][lane] =
              look_up(tables_, row_at(at[lane]), job_.symbols[at[lane]]);
        }
      });
    }
  }

  LATENTSR_DEVICE std::uint32_t row_at(std::uint32_t place) const {
    return static_cast<std::uint32_t>(job_.indexes[place]);
  }

  LATENTSR_DEVICE void encode_turn(const PerLane<std::uint32_t>& places,
                                   const PerLane<EncodedSymbol>& symbols) {
    const std::uint32_t full = warp_.ballot([&](std::uint32_t lane) {
      return places[lane] != kNowhere &&
             states_[lane] >= (symbols[lane].range >> 16) << 16;
    });
    const std::uint32_t escaped =
        warp_.ballot([&](std::uint32_t lane) { return symbols[lane].side != 0; });
    word_ -= count_bits(full);
    warp_.each([&](std::uint32_t lane) {
      if (places[lane] == kNowhere) {
        return;
      }
      std::uint32_t state = states_[lane];
      if ((full >> lane & 1) != 0) {
        word_[count_bits(full & lanes_below(lane))] = static_cast<std::uint16_t>(state);
        state >>= 16;
      }
      states_[lane] = advance(state, symbols[lane]);
    });
    if (escaped != 0) {
      put_escapes(symbols);
    }
  }

  // The varints of a turn, in the order of its lanes, in front of those of later symbols.
  LATENTSR_DEVICE void put_escapes(const PerLane<EncodedSymbol>& symbols) {
    PerLane<std::uint32_t> sizes{};
    warp_.each([&](std::uint32_t lane) { sizes[lane] = symbols[lane].side; });
    const PerLane<std::uint32_t> before = warp_.sums_below(sizes);
    side_ -= warp_.sum(sizes);
    warp_.each([&](std::uint32_t lane) {
      std::uint8_t* at = side_ + before[lane];
      std::uint64_t raw = symbols[lane].raw;
      for (std::uint32_t left = sizes[lane]; left != 0; --left) {
        *at++ = static_cast<std::uint8_t>((raw & 127) | (left > 1 ? 128 : 0));
        raw >>= 7;
      }
    });
  }

  Warp warp_;
  LaneView tables_;
  EncodeJob<Index> job_;
  std::uint16_t* word_;
  std::uint8_t* side_;
  PerLane<std::uint32_t> states_{};
};

}  // namespace latentsr::cuda
