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
