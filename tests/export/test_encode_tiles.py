"""Codecs of every kind encoded in tiles: what they decide scales from stays the decoder's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai", reason="the exporter needs compressai")

import latentsr  # noqa: E402
from codec_cases import made  # noqa: E402
from jpeg_bundle import write_jpeg_bundle  # noqa: E402
from latentsr.codec import Codec  # noqa: E402
from latentsr.errors import UsageError  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402
from latentsr_export.presets.export import export_preset  # noqa: E402
from latentsr_export.presets.preset import SMALL  # noqa: E402
from preset_cases import high  # noqa: E402

FAMILIES = ("mbt2018-mean", "cheng2020-anchor")


def _check(codec: Codec, picture: np.ndarray, route: str = "encode", exact: bool = True) -> None:
    """One tile gives the same bytes; small ones the same but for rounding, and decode."""
    expected = codec.encode(picture, route, exact)
    macs = codec.timeline.macs
    assert codec.encode(picture, route, exact, memory="8GiB") == expected
    for budget in (3, 4, 8, 16, 32, 64):
        try:
            found = codec.encode(picture, route, exact, memory=budget << 20)
        except UsageError as error:
            assert "memory budget is too small" in str(error)
            continue
        if route == "encode":
            assert codec.timeline.macs > macs  # of the margins of several tiles
        assert codec.decode(found).shape == codec.decode(expected).shape
        assert abs(len(found) - len(expected)) <= 0.01 * len(expected) + 8
        return
    raise AssertionError("the picture fits into no budget")


@pytest.mark.parametrize("family", FAMILIES)
def test_families(tmp_path: Path, picture: np.ndarray, family: str) -> None:
    torch.save(made(family).state_dict(), tmp_path / "codec.pth")
    export(tmp_path / "codec.pth", tmp_path / "codec.lsr")
    with latentsr.load(tmp_path / "codec.lsr", threads=1) as codec:
        for exact in (True, False):
            _check(codec, np.tile(picture, (2, 2, 1)), exact=exact)


def test_a_reduction_before_the_codec(tmp_path: Path, small_picture: Path) -> None:
    """The size that is padded and coded is that of the reduced picture."""
    path = tmp_path / "t.lsr"
    export_preset("tun-car-lee-edsr", path, None, True, SMALL, how=Writing([small_picture]))
    with latentsr.load(path, threads=1) as codec:
        _check(codec, high()[:97, :130], "encode_hr")


def test_streams_that_are_files(tmp_path: Path, picture: np.ndarray) -> None:
    with latentsr.load(write_jpeg_bundle(tmp_path / "j.lsr"), threads=1) as codec:
        for route in [n for n, r in codec.bundle.manifest.routes.items() if r.kind == "encode"]:
            assert codec.encode(picture, route, memory="1MiB") == codec.encode(picture, route)
