"""What is checked around a decode: stream and bundle, the symbols, and the picture at the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentsr.bundle import Bundle
from latentsr.errors import BundleError, DesyncError, StreamError
from latentsr.stream import Stream


def check_belongs(parts: Stream, bundle: Bundle) -> None:
    """Raise StreamError where a stream is not this bundle's."""
    if parts.fingerprint != bundle.fingerprint:
        raise StreamError(
            f"stream was written by another bundle: found fingerprint "
            f"{parts.fingerprint.hex()}, expected {bundle.fingerprint.hex()} "
            f"({bundle.manifest.name}); decode it with its own bundle"
        )
    if len(parts.chunks) != len(bundle.manifest.chunks):
        raise StreamError(
            f"stream has the wrong chunks: found {len(parts.chunks)}, expected "
            f"{len(bundle.manifest.chunks)}; decode it with its own bundle"
        )
    if parts.exact and not bundle.manifest.exact:
        raise StreamError(
            "stream wants exact graphs: found none in the bundle, expected them; decode it "
            "with its own bundle"
        )


def check_symbols(parts: Stream, crc: int) -> None:
    """Raise DesyncError where the decoded symbols, of this CRC-32, are not the encoder's."""
    if parts.symbol_crc is not None and crc != parts.symbol_crc:
        raise DesyncError(
            f"decoded symbols differ from the encoder's: found CRC-32 {crc:08x}, "
            f"expected {parts.symbol_crc:08x}; the stream was written on another kind of "
            "device, decode it there or write it again with this runtime"
        )


def check_planes(graph: str, port: str, value: Any) -> None:
    """Raise BundleError for an output of a graph that is no (N, C, rows, columns) of numbers."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if not kind or kind not in "biuf" or value.ndim != 4:
        found = f"{value.dtype} {value.shape}" if kind else type(value).__name__
        raise BundleError(
            f"graph {graph} makes no planes: found output {port} as {found}, expected numbers of "
            "shape (N, C, rows, columns); export the bundle again"
        )


def check_picture(picture: Any, size: tuple[int, int]) -> None:
    """Raise BundleError for what is no picture of this height and width."""
    expected = (*size, 3)
    if picture.shape != expected or picture.dtype != np.uint8:
        raise BundleError(
            f"route makes no such picture: found {picture.dtype} {picture.shape}, expected "
            f"uint8 {expected}; export the bundle again"
        )
