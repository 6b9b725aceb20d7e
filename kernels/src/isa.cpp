// isa.cpp - which of the built decoders this processor can run.
#include "latentsr/rans_lanes.h"

namespace latentsr {

bool isa_supported(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
#if defined(LATENTSR_X86_KERNELS)
    // Both questions include whether the system saves the wide registers.
    case Isa::avx2:
      __builtin_cpu_init();
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
    case Isa::avx512:
      return isa_supported(Isa::avx2) && __builtin_cpu_supports("avx512f");
#elif defined(LATENTSR_NEON_KERNELS)
    case Isa::neon:
      return true;  // part of every AArch64 processor
#endif
    default:
      return false;
  }
}

}  // namespace latentsr
