# The CUDA kernels, built with nvcc into a module of their own where LATENTSR_CUDA asks for them.
#
# CMake's CUDA language compiles; the CUDA runtime is linked statically and looks for the driver
# when it is first called, so the module can be loaded on machines without a GPU.

set(LATENTSR_CUDA_ARCHITECTURES "75-real;80-real;86-real;89-real;90" CACHE STRING
  "Compute capabilities in CMake's spelling; one without a suffix adds PTX for later devices")

# Finds nvcc or stops. A macro: enabling a language must happen in the caller's scope.
macro(latentsr_enable_cuda)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "LATENTSR_CUDA: found no working nvcc, expected CUDA 12 or later; put nvcc "
                        "on the PATH, set CUDACXX, or build without LATENTSR_CUDA")
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "${LATENTSR_CUDA_ARCHITECTURES}")
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "LATENTSR_CUDA: found CUDA ${CMAKE_CUDA_COMPILER_VERSION}, expected 12 or "
                        "later, whose nvcc knows C++20; install it or build without LATENTSR_CUDA")
  endif()
  # CMake before 3.26 does not know that nvcc has this standard.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  find_package(CUDAToolkit REQUIRED)
endmacro()

# The kernels with their launches, and the library that C++ callers link; they see
# include/latentsr/cuda.
function(latentsr_cuda_library target)
  add_library(${target}_kernels OBJECT
    src/cuda/context.cu src/cuda/crc.cu src/cuda/latents.cu src/cuda/lanes_decode.cu
    src/cuda/lanes_encode.cu src/cuda/pixels.cu)
  target_include_directories(${target}_kernels PRIVATE include)
  # Fused multiplications would give float sums other bits than the processor's.
  target_compile_options(${target}_kernels PRIVATE
    --fmad=false -lineinfo -Xcompiler=-Wall,-Wextra,-Wshadow,-Wconversion
    $<$<BOOL:${LATENTSR_WERROR}>:-Werror=all-warnings>)
  add_library(${target} STATIC
    src/cuda/context_plan.cpp src/cuda/context_view.cpp src/cuda/crc_combine.cpp
    src/cuda/encode_room.cpp src/cuda/lane_view.cpp $<TARGET_OBJECTS:${target}_kernels>)
  target_link_libraries(${target} PUBLIC latentsr_core CUDA::cudart_static)
  latentsr_target_options(${target})
endfunction()

# Gives a module the launches of the test programs, which need CUDA's headers and nothing else.
function(latentsr_emulate_cuda target)
  find_package(CUDAToolkit REQUIRED)
  target_sources(${target} PRIVATE
    src/cdf_tables.cpp src/context_check.cpp src/context_reach.cpp src/context_scan.cpp
    src/lane_tables.cpp src/cuda/context_plan.cpp src/cuda/context_view.cpp
    src/cuda/crc_combine.cpp src/cuda/encode_room.cpp src/cuda/lane_view.cpp
    tests/host_launches.cpp)
  target_include_directories(${target} PRIVATE include)
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
endfunction()
