// places.cuh - which symbols of a part the lanes code in the next turns, a few turns at a time.
//
// Symbols of certain rows are left out, so that the others' places have to be collected: a warp
// looks at 32 indexes at once and queues the places of those to be coded in shared memory.
#pragma once

#include <cstdint>

#include "warp.cuh"

namespace latentsr::cuda {

// Turns that are prepared together: their loads do not wait for each other.
inline constexpr std::uint32_t kTurns = 4;

// The place of a lane that has nothing to code.
inline constexpr std::uint32_t kNowhere = 0xffffffffu;

// Room for the places of kTurns turns and of the indexes looked at last: 4 * 32 + 31 + 32.
inline constexpr std::uint32_t kQueue = 256;

template <class Warp>
using Places = typename Warp::template PerLane<std::uint32_t>[kTurns];

// Both kinds below hand out the places of a part's symbols: `indexes` are the part's own, rows
// below `skip` are certain. `queue` has room for kQueue numbers and is shared by the warp.
template <class Warp, class Index>
class ForwardPlaces {
 public:
  LATENTSR_DEVICE ForwardPlaces(const Warp& warp, const Index* indexes, std::uint32_t count,
                                std::uint32_t lanes, std::uint32_t skip, std::uint32_t* queue)
      : warp_(warp), indexes_(indexes), left_(count), count_(count), lanes_(lanes), skip_(skip),
        queue_(queue) {
    if (skip_ != 0) {
      look_ahead();
    }
  }

  // The places of the next turns, first symbols first. Returns how many there are; none when
  // the part has ended. `passed(place)` is called for each certain symbol on the way.
  template <class F>
  LATENTSR_DEVICE std::uint32_t next(Places<Warp>& places, const F& passed) {
    const std::uint32_t wanted = kTurns * lanes_;
    std::uint32_t ready = left_;
    if (skip_ != 0) {
      while (tail_ - head_ < wanted && left_ != 0) {
        look(passed);
      }
      ready = tail_ - head_;
      warp_.sync();
    }
    const std::uint32_t found = ready < wanted ? ready : wanted;
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      warp_.each([&](std::uint32_t lane) {
        const std::uint32_t at = turn * lanes_ + lane;
        const std::uint32_t place =
            skip_ != 0 ? queue_[(head_ + at) % kQueue] : count_ - left_ + at;
        places[turn][lane] = lane < lanes_ && at < found ? place : kNowhere;
      });
    }
    if (skip_ != 0) {
      head_ += found;
      warp_.sync();
    } else {
      left_ -= found;
    }
    return found;
  }

 private:
  // Loads the indexes that the next look() needs.
  LATENTSR_DEVICE void look_ahead() {
    warp_.each([&](std::uint32_t lane) {
      ahead_[lane] = lane < left_ ? indexes_[count_ - left_ + lane] : Index{0};
    });
  }

  // Queues the places among the next 32 that are to be coded.
  template <class F>
  LATENTSR_DEVICE void look(const F& passed) {
    const std::uint32_t keep = warp_.ballot([&](std::uint32_t lane) {
      return lane < left_ && static_cast<std::uint32_t>(ahead_[lane]) >= skip_;
    });
    warp_.each([&](std::uint32_t lane) {
      const std::uint32_t place = count_ - left_ + lane;
      if ((keep >> lane & 1) != 0) {
        queue_[(tail_ + count_bits(keep & lanes_below(lane))) % kQueue] = place;
      } else if (lane < left_) {
        passed(place);
      }
    });
    tail_ += count_bits(keep);
    left_ -= left_ < kWarpLanes ? left_ : kWarpLanes;
    look_ahead();
  }

  Warp warp_;
  const Index* indexes_;
  std::uint32_t left_;  // symbols not handed out, or not looked at
  std::uint32_t count_;
  std::uint32_t lanes_;
  std::uint32_t skip_;
  std::uint32_t* queue_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  typename Warp::template PerLane<Index> ahead_{};
};

// From the last symbol to the first, as encoders run. `coded` symbols are not certain.
template <class Warp, class Index>
class BackwardPlaces {
 public:
  LATENTSR_DEVICE BackwardPlaces(const Warp& warp, const Index* indexes, std::uint32_t count,
                                 std::uint32_t coded, std::uint32_t lanes, std::uint32_t skip,
                                 std::uint32_t* queue)
      : warp_(warp), indexes_(indexes), left_(count), coded_(coded), lanes_(lanes), skip_(skip),
        queue_(queue) {}

  // The places of the next turns, last symbols first; within a turn lane l has the symbol whose
  // number is l modulo the lanes. Returns how many there are.
  LATENTSR_DEVICE std::uint32_t next(Places<Warp>& places) {
    if (skip_ != 0) {
      const std::uint32_t wanted = kTurns * lanes_ < coded_ ? kTurns * lanes_ : coded_;
      while (tail_ - head_ < wanted) {  // ends: `coded` symbols are there
        look();
      }
      warp_.sync();
    }
    std::uint32_t found = 0;
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      const std::uint32_t end = coded_ - found;
      const std::uint32_t begin = end == 0 ? 0 : (end - 1) / lanes_ * lanes_;
      warp_.each([&](std::uint32_t lane) {
        const std::uint32_t number = begin + lane;
        const bool mine = lane < lanes_ && number < end;
        places[turn][lane] =
            !mine ? kNowhere
                  : skip_ == 0 ? number : queue_[(head_ + coded_ - 1 - number) % kQueue];
      });
      found += end - begin;
    }
    coded_ -= found;
    if (skip_ != 0) {
      head_ += found;
      warp_.sync();
    }
    return found;
  }

 private:
  LATENTSR_DEVICE void look() {
    const std::uint32_t keep = warp_.ballot([&](std::uint32_t lane) {
      return lane < left_ && static_cast<std::uint32_t>(indexes_[left_ - 1 - lane]) >= skip_;
    });
    warp_.each([&](std::uint32_t lane) {
      if ((keep >> lane & 1) != 0) {
        queue_[(tail_ + count_bits(keep & lanes_below(lane))) % kQueue] = left_ - 1 - lane;
      }
    });
    tail_ += count_bits(keep);
    left_ -= left_ < kWarpLanes ? left_ : kWarpLanes;
  }

  Warp warp_;
  const Index* indexes_;
  std::uint32_t left_;   // symbols not looked at
  std::uint32_t coded_;  // symbols not handed out
  std::uint32_t lanes_;
  std::uint32_t skip_;
  std::uint32_t* queue_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
};

}  // namespace latentsr::cuda
