// isa.cpp - which of the built decoders this processor can run.
#include "latentsr/rans_lanes.h"

namespace latentsr {

bool isa_supported(Isa isa) {
  if (isa == Isa::scalar) {
    return true;
  }
#ifdef LATENTSR_X86_KERNELS
  // Both questions include whether the system saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
  return avx2 && (isa == Isa::avx2 || __builtin_cpu_supports("avx512f"));
#else
  return false;
#endif
}

}  // namespace latentsr
