// warp.cuh - what the device code knows of a warp: 32 lanes that do the same at the same time.
//
// The coders are templates over a class `Warp`, so that the very same source runs on a GPU and, in
// the test programs, on a processor, where kernels/tests/host_warp.h takes a warp's lanes in turn.
// Between two calls of a warp's functions plain variables have one value for the whole warp; what
// differs from lane to lane is a `PerLane`, and is touched in each() and in the functions passed
// to the others only. Those get the number of the lane, 0 to 31.
//
//   each(f)            f(lane), for every lane
//   ballot(f)          bit l is set where f(l) is true
//   gather(v, from)    a PerLane: in lane l, the value that lane from(l) of 0 to 31 has of v
//   broadcast(v, l)    the value that lane l has of v
//   sums_below(v)      a PerLane: in lane l, the sum of v over the lanes below it
//   sum(v)             the sum of v over all lanes
//   sync()             what lanes wrote to shared memory before is seen by all lanes after
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LATENTSR_DEVICE __device__ __forceinline__
#define LATENTSR_BOTH __host__ __device__ __forceinline__
#else
#define LATENTSR_DEVICE inline
#define LATENTSR_BOTH inline
#endif

namespace latentsr::cuda {

inline constexpr std::uint32_t kWarpLanes = 32;

LATENTSR_DEVICE std::uint32_t lanes_below(std::uint32_t lane) { return (1u << lane) - 1; }

#ifdef __CUDACC__

LATENTSR_DEVICE std::uint32_t count_bits(std::uint32_t mask) {
  return static_cast<std::uint32_t>(__popc(static_cast<int>(mask)));
}

// Of a mask that is not 0.
LATENTSR_DEVICE std::uint32_t lowest_bit(std::uint32_t mask) {
  return static_cast<std::uint32_t>(__ffs(static_cast<int>(mask)) - 1);
}
LATENTSR_DEVICE std::uint32_t highest_bit(std::uint32_t mask) {
  return static_cast<std::uint32_t>(31 - __clz(static_cast<int>(mask)));
}

class DeviceWarp {
 public:
  template <class T>
  struct PerLane {
    T value{};
    LATENTSR_DEVICE T& operator[](std::uint32_t) { return value; }
    LATENTSR_DEVICE const T& operator[](std::uint32_t) const { return value; }
  };

  // Warps lie along the first side of a block, from 0 to 31.
  LATENTSR_DEVICE DeviceWarp() : lane_(threadIdx.x) {}

  template <class F>
  LATENTSR_DEVICE void each(const F& f) const {
    f(lane_);
  }
  template <class F>
  LATENTSR_DEVICE std::uint32_t ballot(const F& f) const {
    return __ballot_sync(kAll, f(lane_) ? 1 : 0);
  }
  template <class T, class F>
  LATENTSR_DEVICE PerLane<T> gather(const PerLane<T>& values, const F& from) const {
    return {__shfl_sync(kAll, values.value, static_cast<int>(from(lane_)))};
  }
  template <class T>
  LATENTSR_DEVICE T broadcast(const PerLane<T>& values, std::uint32_t lane) const {
    return __shfl_sync(kAll, values.value, static_cast<int>(lane));
  }
  template <class T>
  LATENTSR_DEVICE PerLane<T> sums_below(const PerLane<T>& values) const {
    T sum = values.value;
    for (unsigned distance = 1; distance < kWarpLanes; distance *= 2) {
      const T other = __shfl_up_sync(kAll, sum, distance);
      sum += lane_ >= distance ? other : T{0};
    }
    return {static_cast<T>(sum - values.value)};
  }
  template <class T>
  LATENTSR_DEVICE T sum(const PerLane<T>& values) const {
    T sum = values.value;
    for (int distance = 16; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(kAll, sum, distance);
    }
    return sum;
  }
  LATENTSR_DEVICE void sync() const { __syncwarp(kAll); }

 private:
  static constexpr unsigned kAll = 0xffffffffu;
  std::uint32_t lane_;
};

#else

LATENTSR_DEVICE std::uint32_t count_bits(std::uint32_t mask) {
  return static_cast<std::uint32_t>(__builtin_popcount(mask));
}
LATENTSR_DEVICE std::uint32_t lowest_bit(std::uint32_t mask) {
  return static_cast<std::uint32_t>(__builtin_ctz(mask));
}
LATENTSR_DEVICE std::uint32_t highest_bit(std::uint32_t mask) {
  return 31 - static_cast<std::uint32_t>(__builtin_clz(mask));
}

#endif

}  // namespace latentsr::cuda
