// host_warp.h - a warp on a processor: its lanes take turns, so that device code can be tested
// without a device. See src/cuda/warp.cuh for what each function does.
#pragma once

#include <array>
#include <cstdint>

#include "../src/cuda/warp.cuh"

namespace drivers {

class HostWarp {
 public:
  // A device promises no order, so that results must not hang on it: drivers try both.
  static inline bool backwards = false;

  template <class T>
  using PerLane = std::array<T, latentsr::cuda::kWarpLanes>;

  template <class F>
  void each(const F& f) const {
    for (std::uint32_t turn = 0; turn < latentsr::cuda::kWarpLanes; ++turn) {
      f(backwards ? latentsr::cuda::kWarpLanes - 1 - turn : turn);
    }
  }
  template <class F>
  std::uint32_t ballot(const F& f) const {
    std::uint32_t mask = 0;
    each([&](std::uint32_t lane) { mask |= f(lane) ? 1u << lane : 0u; });
    return mask;
  }
  template <class T, class F>
  PerLane<T> gather(const PerLane<T>& values, const F& from) const {
    PerLane<T> found{};
    each([&](std::uint32_t lane) { found[lane] = values.at(from(lane)); });
    return found;
  }
  template <class T>
  T broadcast(const PerLane<T>& values, std::uint32_t lane) const {
    return values.at(lane);
  }
  template <class T>
  PerLane<T> sums_below(const PerLane<T>& values) const {
    PerLane<T> found{};
    for (std::uint32_t lane = 1; lane < latentsr::cuda::kWarpLanes; ++lane) {
      found[lane] = static_cast<T>(found[lane - 1] + values[lane - 1]);
    }
    return found;
  }
  template <class T>
  T sum(const PerLane<T>& values) const {
    T sum{0};
    each([&](std::uint32_t lane) { sum = static_cast<T>(sum + values[lane]); });
    return sum;
  }
  void sync() const {}
};

}  // namespace drivers
