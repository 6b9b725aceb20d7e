"""All decoders of the `lanes` form agree with the scalar one, NEON's under emulation.

The steps between planes and pictures agree with plain arithmetic; they have no NEON version, but
compilers fuse and reorder more there. The emulator shows that results are right. It says nothing
about speed: the NEON decoder has not been measured on an ARM processor.
"""

from __future__ import annotations

from pathlib import Path

from latentsr.entropy import isa
from native_drivers import build, configure, need, report

ROUNDS = "1200"
ARM = (
    "CMAKE_SYSTEM_NAME=Linux",
    "CMAKE_SYSTEM_PROCESSOR=aarch64",
    "CMAKE_EXE_LINKER_FLAGS=-static",
)


def test_decoders_of_this_processor_agree(tmp_path: Path) -> None:
    configure(tmp_path)
    found = report([str(build(tmp_path, "isa_agreement")), ROUNDS])
    assert found["isas"] == isa.supported()
    assert found["streams"] > found["refused"] > 0.5 * found["streams"]
    pixels = report([str(build(tmp_path, "pixels_agreement")), ROUNDS])
    assert pixels == {"isas": isa.supported(), "pictures": int(ROUNDS)}


def test_neon_agrees_under_emulation(tmp_path: Path) -> None:
    compiler, emulator = need("aarch64-linux-gnu-g++"), need("qemu-aarch64", "qemu-aarch64-static")
    configure(tmp_path, f"CMAKE_CXX_COMPILER={compiler}", *ARM)
    found = report([emulator, str(build(tmp_path, "isa_agreement")), ROUNDS])
    assert found["isas"] == ["scalar", "neon"]
    assert found["streams"] > found["refused"] > 0.5 * found["streams"]
    pixels = report([emulator, str(build(tmp_path, "pixels_agreement")), ROUNDS])
    assert pixels == {"isas": ["scalar", "neon"], "pictures": int(ROUNDS)}
