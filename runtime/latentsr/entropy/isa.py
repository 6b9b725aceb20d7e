"""Which instruction set the kernels use: the widest there is, or the one asked for."""

from __future__ import annotations

import os

from latentsr._kernels import Isa, isa_supported
from latentsr.errors import UsageError

VARIABLE = "LATENTSR_ISA"
"""Environment variable that asks for one; unset or empty means the widest."""

NAMES = {"scalar": Isa.SCALAR, "neon": Isa.NEON, "avx2": Isa.AVX2, "avx512": Isa.AVX512}
"""Names of the instruction sets, narrow ones first; no processor has both kinds of wide ones."""


def supported() -> list[str]:
    """Names that this build and this processor offer, narrow ones first."""
    return [name for name, isa in NAMES.items() if isa_supported(isa)]


def choose() -> Isa:
    """The instruction set to use; all of them give the same symbols.

    Raises:
        UsageError: the environment asks for one that is unknown or not offered here.
    """
    offered = supported()
    name = os.environ.get(VARIABLE) or offered[-1]
    if name not in NAMES:
        raise UsageError(f"{VARIABLE}: found {name!r}, expected one of {', '.join(NAMES)}")
    if name not in offered:
        raise UsageError(
            f"{VARIABLE}: found {name!r}, which this processor or build does not have, expected "
            f"one of {', '.join(offered)}; unset the variable to take the widest"
        )
    return NAMES[name]
