# Build options and the flags that every target of this project is compiled with.
#
# LATENTSR_SANITIZE is for the mutated-stream runs: the extension must then be loaded with
# libasan preloaded, because the Python interpreter itself is not instrumented.

option(LATENTSR_WERROR "Treat compiler warnings as errors" OFF)
option(LATENTSR_SANITIZE "Build with the address and undefined-behaviour sanitizers" OFF)
option(LATENTSR_PYTHON "Build the Python module" ON)
option(LATENTSR_CUDA "Build the CUDA kernels, which takes nvcc" OFF)
option(LATENTSR_CUDA_EMULATION "Build _cuda_kernels for tests, its kernels run on the processor" OFF)
option(LATENTSR_DRIVERS "Build the test programs of kernels/tests, which need no Python" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Kind of build" FORCE)
endif()

# Applies warnings, optimisation and (when asked for) sanitizers to one target.
function(latentsr_target_options target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${LATENTSR_WERROR}>:/WX>)
    return()
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    # A product and a sum in one rounding would be other bits on processors that can do that.
    -ffp-contract=off
    $<$<BOOL:${LATENTSR_WERROR}>:-Werror>
    $<$<CONFIG:Release>:-O3>)
  if(LATENTSR_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()
