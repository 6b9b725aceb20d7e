// lane_turns.cuh - decodes symbols of one part of a `lanes` stream with one warp, trusting no byte.
//
// Symbols, statuses, positions and details are those of decode_lanes() with Isa::scalar. Each
// turn decodes one symbol a lane; a ballot tells which lanes need a word, and the number of such
// lanes below a lane which word is its own.
#pragma once

#include <cstdint>

#include "lane_head.cuh"
#include "lane_lookup.cuh"
#include "places.cuh"
#include "words.cuh"

namespace latentsr::cuda {

// Rows of some symbols, and where these go.
template <class Index>
struct TurnArrays {
  const Index* indexes;
  std::int32_t* out;
};

// Where a part is in its stream; offsets count from the stream's first byte.
struct LaneSpot {
  std::uint32_t word;   // offset of the next one
  std::uint32_t words;  // left
  std::uint32_t side;   // offsets of what is left of the side section
  std::uint32_t side_end;
};

template <class Warp, class Index>
class LaneTurns {
 public:
  template <class T>
  using PerLane = typename Warp::template PerLane<T>;

  // Some turns whose loads do not wait for each other.
  struct Batch {
    std::uint32_t slots = 0;  // of lanes that the turns come to; 0 at the end
    Places<Warp> places{};
    PerLane<Index> indexes[kTurns]{};
    PerLane<LaneRow> rows[kTurns]{};
  };

  // bytes: of the whole stream, for the report.
  LATENTSR_DEVICE LaneTurns(const Warp& warp, const LaneView& tables,
                            const TurnArrays<Index>& arrays, std::uint32_t lanes,
                            std::uint32_t bytes)
      : warp_(warp), tables_(tables), arrays_(arrays), lanes_(lanes), bytes_(bytes) {}

  // Begins a part; faults but bad_start, whose position is the lane, lie at 0.
  LATENTSR_DEVICE Result open(const std::uint8_t* at, std::uint32_t size, bool has_side) {
    const std::uint8_t* end = at + size;
    std::uint64_t side = 0;
    if (has_side && take_number(at, end, side) == 0) {
      return no_number(at, end, bytes_);
    }
    const auto left = static_cast<std::uint64_t>(end - at);
    const std::uint64_t states = 4 * static_cast<std::uint64_t>(lanes_);
    if (left < states || left - states < side) {
      return {Status::truncated, 0, static_cast<std::int64_t>(bytes_)};
    }
    const std::uint64_t bytes = left - states - side;
    if (bytes % 2 != 0) {
      return {Status::odd_size, 0, static_cast<std::int64_t>(bytes_)};
    }
    warp_.each([&](std::uint32_t lane) {
      states_[lane] = lane < lanes_ ? load_state(at + 4 * lane) : kLaneLow;
    });
    words_.open(warp_, at + states, static_cast<std::uint32_t>(bytes / 2));
    side_ = end - side;
    side_end_ = end;
    return check_states(Status::bad_start, 0,
                        [&](std::uint32_t lane) { return states_[lane] < kLaneLow; });
  }

  // Goes on where another one stopped.
  LATENTSR_DEVICE void resume(const std::uint8_t* data, const LaneSpot& spot,
                              const std::uint32_t* states) {
    warp_.each([&](std::uint32_t lane) {
      states_[lane] = lane < lanes_ ? states[lane] : kLaneLow;
    });
    words_.open(warp_, data + spot.word, spot.words);
    side_ = data + spot.side;
    side_end_ = data + spot.side_end;
  }

  // Where it stopped; `states` has room for kWarpLanes.
  LATENTSR_DEVICE LaneSpot save(const std::uint8_t* data, std::uint32_t* states) const {
    warp_.each([&](std::uint32_t lane) { states[lane] = states_[lane]; });
    return {static_cast<std::uint32_t>(words_.next() - data), words_.left(),
            static_cast<std::uint32_t>(side_ - data),
            static_cast<std::uint32_t>(side_end_ - data)};
  }

  // Takes the next places of a source with next(places, passed), as ForwardPlaces has it, and
  // loads their indexes; places that are passed get the symbol 0.
  template <class Source>
  LATENTSR_DEVICE void prepare(Source& source, Batch& batch) const {
    batch.slots =
        source.next(batch.places, [&](std::uint32_t place) { arrays_.out[place] = 0; });
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      warp_.each([&](std::uint32_t lane) {
        const std::uint32_t place = batch.places[turn][lane];
        batch.indexes[turn][lane] = place != kNowhere ? arrays_.indexes[place] : Index{0};
      });
    }
  }

  // Decodes a batch and all that the source has behind it. False when it met a fault().
  template <class Source>
  LATENTSR_DEVICE bool run(Source& source, Batch& now) {
    Batch next;
    load_rows(now);
    prepare(source, next);
    // The loads of a batch go out while the one before is decoded.
    while (now.slots != 0) {
      load_rows(next);
      Batch later;
      prepare(source, later);
      for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
        if (turn * lanes_ < now.slots && !decode_turn(now.places[turn], now.rows[turn])) {
          return false;
        }
      }
      now = next;
      next = later;
    }
    return true;
  }

  // Its position counts as places do.
  LATENTSR_DEVICE const Result& fault() const { return fault_; }

  // Whether a part of `count` symbols ends here.
  LATENTSR_DEVICE Result check_end(std::uint64_t count) const {
    if (words_.left() != 0) {
      return {Status::trailing, count, static_cast<std::int64_t>(words_.left())};
    }
    if (side_ != side_end_) {
      return {Status::trailing_side, count, side_end_ - side_};
    }
    return check_states(Status::bad_end, count,
                        [&](std::uint32_t lane) { return states_[lane] != kLaneLow; });
  }

 private:
  // A row whose buckets are 0 wide stands for an index that names none.
  LATENTSR_DEVICE void load_rows(Batch& batch) {
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      warp_.each([&](std::uint32_t lane) {
        const auto index = static_cast<std::uint32_t>(batch.indexes[turn][lane]);
        const bool known = batch.places[turn][lane] != kNowhere && index < tables_.row_count;
        batch.rows[turn][lane] = known ? load(tables_.lane_rows + index) : LaneRow{0, 0};
      });
    }
  }

  LATENTSR_DEVICE static std::uint32_t load_state(const std::uint8_t* at) {
    return at[0] | static_cast<std::uint32_t>(at[1]) << 8 | static_cast<std::uint32_t>(at[2]) << 16 |
           static_cast<std::uint32_t>(at[3]) << 24;
  }

  // `status` with the state of the first lane for which wrong(lane).
  template <class F>
  LATENTSR_DEVICE Result check_states(Status status, std::uint64_t count, const F& wrong) const {
    const std::uint32_t found = warp_.ballot(wrong);
    if (found == 0) {
      return {};
    }
    const std::uint32_t lane = lowest_bit(found);
    const std::uint32_t state = warp_.broadcast(states_, lane);
    return {status, status == Status::bad_start ? lane : count, static_cast<std::int64_t>(state)};
  }

  // What a turn found, before words are taken.
  struct Turn {
    PerLane<std::uint32_t> states{};
    PerLane<std::int32_t> symbols{};
    PerLane<std::uint32_t> odd{};  // kBadIndex, kEscaped or 0
    std::uint32_t hungry = 0;      // lanes that need a word
  };
  static constexpr std::uint32_t kEscaped = 1;
  static constexpr std::uint32_t kBadIndex = 2;

  LATENTSR_DEVICE bool decode_turn(const PerLane<std::uint32_t>& places,
                                   const PerLane<LaneRow>& rows) {
    Turn turn;
    warp_.each([&](std::uint32_t lane) {
      turn.states[lane] = states_[lane];
      if (places[lane] == kNowhere) {
        return;
      }
      if (rows[lane].buckets == 0) {
        turn.odd[lane] = kBadIndex;
        return;
      }
      const DecodedSymbol found =
          decode_symbol(tables_, states_[lane], rows[lane], [&] { return row_at(places[lane]); });
      turn.states[lane] = found.state;
      turn.symbols[lane] = found.symbol;
      turn.odd[lane] = found.escaped ? kEscaped : 0;
    });
    turn.hungry = warp_.ballot([&](std::uint32_t lane) { return turn.states[lane] < kLaneLow; });
    const std::uint32_t odd = warp_.ballot([&](std::uint32_t lane) { return turn.odd[lane] != 0; });
    if ((odd != 0 || count_bits(turn.hungry) > words_.left()) && !settle(places, odd, turn)) {
      return false;
    }
    const PerLane<std::uint32_t> words = words_.take(warp_, turn.hungry);
    warp_.each([&](std::uint32_t lane) {
      const bool hungry = (turn.hungry >> lane & 1) != 0;
      states_[lane] = hungry ? turn.states[lane] << 16 | words[lane] : turn.states[lane];
      if (places[lane] != kNowhere) {
        arrays_.out[places[lane]] = turn.symbols[lane];
      }
    });
    return true;
  }

  LATENTSR_DEVICE std::uint32_t row_at(std::uint32_t place) const {
    return static_cast<std::uint32_t>(arrays_.indexes[place]);
  }

  // Replaces the escaped symbols of a turn by their values. False, with the first fault that a
  // coder of one symbol after the other would meet, when there is one.
  LATENTSR_DEVICE bool settle(const PerLane<std::uint32_t>& places, std::uint32_t odd,
                              Turn& turn) {
    const std::uint32_t bad =
        warp_.ballot([&](std::uint32_t lane) { return turn.odd[lane] == kBadIndex; });
    const std::uint32_t starved = warp_.ballot([&](std::uint32_t lane) {
      return (turn.hungry >> lane & 1) != 0 &&
             count_bits(turn.hungry & lanes_below(lane)) >= words_.left();
    });
    const std::uint32_t wrong = bad | starved;
    const std::uint32_t stop = wrong != 0 ? lowest_bit(wrong) : kWarpLanes;
    for (std::uint32_t escaped = odd & ~bad; escaped != 0; escaped &= escaped - 1) {
      const std::uint32_t lane = lowest_bit(escaped);
      if (lane >= stop) {
        break;
      }
      if (!take_escape(warp_.broadcast(places, lane), lane, turn)) {
        return false;
      }
    }
    if (wrong == 0) {
      return true;
    }
    const std::uint32_t place = warp_.broadcast(places, stop);
    const bool index = (bad >> stop & 1) != 0;
    fault_ = {index ? Status::bad_index : Status::truncated, place,
              index ? static_cast<std::int64_t>(arrays_.indexes[place])
                    : static_cast<std::int64_t>(bytes_)};
    return false;
  }

  LATENTSR_DEVICE bool take_escape(std::uint32_t place, std::uint32_t lane, Turn& turn) {
    const CdfRow row = load(tables_.rows + row_at(place));
    std::uint64_t raw = 0;
    const int taken = take_number(side_, side_end_, raw);
    const auto half = static_cast<std::int64_t>(raw >> 1);
    const std::int64_t value = ((raw & 1) != 0 ? -half - 1 : half + row.escape) + row.offset;
    const auto symbol = static_cast<std::int32_t>(value);
    if (taken == 0 || symbol != value) {
      fault_ = {Status::bad_escape, place, taken};
      return false;
    }
    warp_.each([&](std::uint32_t mine) {
      turn.symbols[mine] = mine == lane ? symbol : turn.symbols[mine];
    });
    return true;
  }

  Warp warp_;
  LaneView tables_;
  TurnArrays<Index> arrays_;
  std::uint32_t lanes_;
  std::uint32_t bytes_;
  Words<Warp> words_;
  PerLane<std::uint32_t> states_{};
  const std::uint8_t* side_ = nullptr;
  const std::uint8_t* side_end_ = nullptr;
  Result fault_;
};

}  // namespace latentsr::cuda
