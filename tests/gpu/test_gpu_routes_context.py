"""Whole calls of a codec with a context model: features and latents stay on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from device_routes import Load, coded_by, count_traffic

from context_bundle import context_bundle
from latentsr.bundle import Bundle


def test_only_pictures_and_streams_cross_the_bus(
    load: Load, picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle(context_bundle(tmp_path / "c.lsr"))
    with load("cpu", bundle) as plain, load("cuda", bundle) as codec:
        stream = codec.encode(picture)
        assert stream == plain.encode(picture)
        expected = plain.decode(stream)
        codec.decode(stream)  # tables and plans come once
        moved = count_traffic(monkeypatch)
        np.testing.assert_array_equal(codec.decode(stream), expected)
        assert coded_by(codec) == {"z": True, "y": True}
        chunks = codec.open_stream(stream).chunks
        assert moved["upload"] == sum(len(chunk) + 24 for chunk in chunks)
        assert moved["download"] == expected.nbytes + 8 + 36 + 28
        moved.update(upload=0, download=0)
        assert codec.encode(picture) == stream
        assert moved["upload"] == picture.nbytes + 2 * 56
        assert moved["download"] == sum(len(chunk) * 5 // 4 for chunk in chunks) + 52 + 60
