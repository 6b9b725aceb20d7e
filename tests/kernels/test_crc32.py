"""The CRC-32 of every instruction set is zlib's."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from latentsr import _kernels
from latentsr._kernels import Isa
from latentsr.entropy import isa

ISAS = [isa.NAMES[name] for name in isa.supported()]


@pytest.mark.parametrize("each", ISAS)
def test_crc_of_every_length_place_and_start(each: Isa) -> None:
    data = np.random.default_rng(3).integers(0, 256, 300).astype(np.uint8)
    for length in range(201):
        for offset in (0, 1, 7, 64):
            part = data[offset : offset + length]
            for start in (0, 1, 0xFFFFFFFF, 0x12345678):
                assert _kernels.crc32(part, start, each) == zlib.crc32(part, start)


@pytest.mark.parametrize("each", ISAS)
def test_crc_of_many_bytes(each: Isa) -> None:
    rng = np.random.default_rng(4)
    data = rng.integers(0, 256, 1 << 20).astype(np.uint8)
    for length in (255, 256, 257, 511, 512, 700, 4095, 65537, (1 << 20) - 3):
        part = data[3 : 3 + length]
        assert _kernels.crc32(part, 9, each) == zlib.crc32(part, 9)
    for byte in (0, 255):
        alike = np.full(5000, byte, np.uint8)
        assert _kernels.crc32(alike, 0, each) == zlib.crc32(alike)
