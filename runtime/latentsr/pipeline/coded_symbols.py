"""Symbols that a GPU has coded, with their CRC-32: it came down with what else was found.

The CRC of a stream's symbols goes on from chunk to chunk, but a chunk's own needs no other, so
nothing has to be waited for once more.
"""

from __future__ import annotations

from latentsr.backends.device_pool import DeviceArray
from latentsr.cuda import steps


class CodedSymbols(DeviceArray):
    """int32 symbols on a device; crc: theirs alone, as little-endian bytes."""

    def __init__(self, symbols: DeviceArray, crc: int) -> None:
        super().__init__(symbols.pools, symbols.block, symbols.shape, symbols.dtype, symbols)
        self._crc = crc

    def crc_after(self, start: int) -> int:
        """Go on with the CRC-32 over them."""
        return steps.combine_crcs(start, self._crc, self.size)
