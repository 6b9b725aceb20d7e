// words.cuh - the words of one part, loaded by a warp well before its lanes ask for them.
#pragma once

#include <cstdint>

#include "warp.cuh"

namespace latentsr::cuda {

// 96 words are on their way at any time: lane l holds those whose number is l modulo 32. Every
// turn takes up to 32, in the order of the lanes that ask.
template <class Warp>
class Words {
 public:
  using PerLane = typename Warp::template PerLane<std::uint32_t>;

  // `count` words of 2 bytes from `first` on, which need not be aligned.
  LATENTSR_DEVICE void open(const Warp& warp, const std::uint8_t* first, std::uint32_t count) {
    first_ = first;
    count_ = count;
    load(warp, here_, 0);
    load(warp, after_, kWarpLanes);
    load(warp, later_, 2 * kWarpLanes);
  }

  LATENTSR_DEVICE std::uint32_t left() const { return count_ - taken_; }
  LATENTSR_DEVICE const std::uint8_t* next() const {
    return first_ + 2 * static_cast<std::uint64_t>(taken_);
  }

  // The next words, one for each bit of `wanted`, of which there are at most left().
  LATENTSR_DEVICE PerLane take(const Warp& warp, std::uint32_t wanted) {
    const std::uint32_t offset = taken_ - base_;
    PerLane offered{};
    warp.each([&](std::uint32_t lane) {
      offered[lane] = lane >= offset ? here_[lane] : after_[lane];
    });
    const PerLane found = warp.gather(offered, [&](std::uint32_t lane) {
      return (offset + count_bits(wanted & lanes_below(lane))) % kWarpLanes;
    });
    taken_ += count_bits(wanted);
    if (taken_ - base_ >= kWarpLanes) {
      base_ += kWarpLanes;
      here_ = after_;
      after_ = later_;
      load(warp, later_, base_ + 2 * kWarpLanes);
    }
    return found;
  }

 private:
  LATENTSR_DEVICE void load(const Warp& warp, PerLane& words, std::uint32_t number) const {
    warp.each([&](std::uint32_t lane) {
      const std::uint64_t at = static_cast<std::uint64_t>(number) + lane;
      words[lane] = at < count_ ? first_[2 * at] | static_cast<std::uint32_t>(first_[2 * at + 1]) << 8
                                : 0;
    });
  }

  const std::uint8_t* first_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t taken_ = 0;
  std::uint32_t base_ = 0;  // number of the word that lane 0 holds in here_
  PerLane here_{};
  PerLane after_{};
  PerLane later_{};
};

}  // namespace latentsr::cuda
