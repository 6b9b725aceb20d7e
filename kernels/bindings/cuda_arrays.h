// cuda_arrays.h - what the CUDA binding files share: device pointers as integers, errors.
//
// Nothing of device memory can be checked here; latentsr.cuda checks sizes before it calls.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "arrays.h"
#include "latentsr/cuda/launches.h"

using Address = std::uintptr_t;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

inline cudaStream_t stream_of(Address stream) { return reinterpret_cast<cudaStream_t>(stream); }

// A RuntimeError with CUDA's own words, which latentsr.cuda turns into a BackendError.
inline void expect_success(cudaError_t error) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(cudaGetErrorName(error)) + ": " +
                             cudaGetErrorString(error));
  }
}

inline latentsr::cuda::SampleKind sample_kind(unsigned bytes) {
  if (bytes != 2 && bytes != 4) {
    throw nb::value_error("sample_bytes: expected 2 (FP16) or 4 (float32)");
  }
  return static_cast<latentsr::cuda::SampleKind>(bytes);
}

inline latentsr::cuda::IndexKind index_kind(unsigned bytes) {
  if (bytes != 1 && bytes != 4) {
    throw nb::value_error("index_bytes: expected 1 (uint8) or 4 (int32)");
  }
  return static_cast<latentsr::cuda::IndexKind>(bytes);
}

void bind_cuda_context(nb::module_& module);
void bind_cuda_lanes(nb::module_& module);
void bind_cuda_steps(nb::module_& module);
