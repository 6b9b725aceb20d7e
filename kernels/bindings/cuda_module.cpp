// cuda_module.cpp - latentsr._cuda_kernels: hands device pointers to the launches.
#include "cuda_arrays.h"

namespace {

// Why kernels cannot run here; empty when they can. Makes the device's primary context, unless
// one is current.
std::string obstacle() {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) {
    return cudaGetErrorString(counted);
  }
  if (count == 0) {
    return "no CUDA-capable device is detected";
  }
  const cudaError_t made = cudaFree(nullptr);
  return made == cudaSuccess ? std::string() : cudaGetErrorString(made);
}

}  // namespace

NB_MODULE(_cuda_kernels, module) {
  // Objects that others hold to the interpreter's end are not freed before this module; a program's
  // last words should be its own.
  nb::set_leak_warnings(false);
  module.doc() = "Kernels on CUDA devices. Use latentsr.cuda, which checks and words.";
  module.def("obstacle", &obstacle);
  bind_cuda_lanes(module);
  bind_cuda_context(module);
  bind_cuda_steps(module);
}
