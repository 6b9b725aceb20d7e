# The instruction set that the kernels are compiled for.
#
# Wheels use the compiler's baseline, so that one file runs on every processor of the family.
# LATENTSR_ARCH=native (or any value of -march) is for builds that stay on this machine.

include(CheckCXXCompilerFlag)

set(LATENTSR_ARCH "baseline" CACHE STRING "baseline, or a value for the compiler's -march")

# Applies LATENTSR_ARCH to one target; stops when the compiler does not know the value.
function(latentsr_target_isa target)
  if(LATENTSR_ARCH STREQUAL "baseline")
    return()
  endif()
  check_cxx_compiler_flag("-march=${LATENTSR_ARCH}" LATENTSR_HAS_ARCH_${LATENTSR_ARCH})
  if(NOT LATENTSR_HAS_ARCH_${LATENTSR_ARCH})
    message(FATAL_ERROR "LATENTSR_ARCH: found '${LATENTSR_ARCH}', which this compiler does not "
                        "take after -march=; use 'baseline' or 'native'")
  endif()
  target_compile_options(${target} PRIVATE "-march=${LATENTSR_ARCH}")
endfunction()

# Adds the decoders, the latents' and the pixels' steps for wider registers to one target, each
# with flags of its own. Which of them runs is decided at run time (src/isa.cpp), so wheels may
# hold all.
function(latentsr_simd_kernels target)
  if(MSVC)
    return()
  endif()
  # Fused multiplications would give float sums other bits on processors that have them.
  set_property(SOURCE src/context_float.cpp src/context_float_build.cpp src/context_float_scalar.cpp
    APPEND PROPERTY COMPILE_OPTIONS "-ffp-contract=off")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    latentsr_x86_kernels(${target})
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    # Part of the compiler's baseline there, so it needs no flags.
    target_sources(${target} PRIVATE src/rans_lanes_neon.cpp)
    target_compile_definitions(${target} PRIVATE LATENTSR_NEON_KERNELS)
  endif()
endfunction()

function(latentsr_x86_kernels target)
  target_sources(${target} PRIVATE
    src/certain_rows_avx512.cpp
    src/context_float_avx2.cpp
    src/context_float_avx512.cpp
    src/context_products_vnni.cpp
    src/context_steps_avx2.cpp
    src/context_steps_avx512.cpp
    src/crc32_pclmul.cpp
    src/crc32_vpclmul.cpp
    src/latent_steps_avx2.cpp
    src/latent_steps_avx512.cpp
    src/pixels_avx2.cpp
    src/pixels_avx512.cpp
    src/rans_lanes_avx2.cpp
    src/rans_lanes_avx512.cpp
    src/scale_indexes_avx2.cpp
    src/scale_indexes_avx512.cpp)
  set_source_files_properties(src/crc32_pclmul.cpp PROPERTIES COMPILE_OPTIONS "-mpclmul")
  set_source_files_properties(
    src/context_steps_avx2.cpp src/latent_steps_avx2.cpp src/pixels_avx2.cpp
    src/rans_lanes_avx2.cpp src/scale_indexes_avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mpopcnt")
  # GCC 12 takes the intrinsics' own undefined inputs for ours (its bug 105593).
  set(avx512 "-mavx512f;-mpopcnt;-Wno-uninitialized;$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>")
  set_source_files_properties(
    src/latent_steps_avx512.cpp src/pixels_avx512.cpp src/rans_lanes_avx512.cpp
    src/scale_indexes_avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512}")
  set_source_files_properties(src/context_float_avx2.cpp PROPERTIES
    COMPILE_OPTIONS "-mavx2;-ffp-contract=off")
  set_source_files_properties(src/context_float_avx512.cpp PROPERTIES
    COMPILE_OPTIONS "${avx512};-ffp-contract=off")
  set_source_files_properties(src/certain_rows_avx512.cpp PROPERTIES
    COMPILE_OPTIONS "${avx512};-mavx512bw;-mavx512vbmi2")
  set_source_files_properties(src/context_steps_avx512.cpp PROPERTIES
    COMPILE_OPTIONS "${avx512};-mavx512bw")
  set_source_files_properties(src/context_products_vnni.cpp PROPERTIES
    COMPILE_OPTIONS "${avx512};-mavx512vnni")
  set_source_files_properties(src/crc32_vpclmul.cpp PROPERTIES
    COMPILE_OPTIONS "${avx512};-mvpclmulqdq")
  target_compile_definitions(${target} PRIVATE LATENTSR_X86_KERNELS)
endfunction()
