"""Whole calls of a bundle whose graphs take and give FP16, which the device makes and widens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_routes import Load, coded_by, count_traffic

pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("onnx", reason="the exporter needs onnx")

from latentsr.backends import device_samples
from latentsr.backends.device_pool import DeviceArray
from latentsr.bundle import Bundle
from latentsr_export.fp16.variants import add_fp16

ON_BOTH = {"z": True, "y": True}


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, small_picture: Path) -> Bundle:
    """The demo bundle with variants that have FP16 ports."""
    output = tmp_path_factory.mktemp("half") / "half.lsr"
    bundle = add_fp16(Bundle("demo"), output, [small_picture], "fp16")
    ports = {n: [v.ports for v in g.variants.values()] for n, g in bundle.manifest.graphs.items()}
    assert ports["analysis"] == ports["latent_sr"] == ["fp16"] and not ports["entropy_parameters"]
    return bundle


def test_only_the_picture_goes_up_and_the_stream_down(
    load: Load, half: Bundle, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("cuda", half, "fp16") as codec:
        codec.encode(picture)  # tables and plans come once
        moved = count_traffic(monkeypatch)
        stream = codec.encode(picture)
        assert coded_by(codec) == ON_BOTH
        chunks = codec.open_stream(stream).chunks
    assert moved["upload"] == picture.nbytes + len(chunks) * 56
    # A quarter more of each stream than the one before had, which was the same.
    assert moved["download"] == sum(len(chunk) * 5 // 4 + 52 for chunk in chunks)


@pytest.mark.parametrize("route", ["lr", "latent_x4", "pixel_x4"])
def test_only_the_stream_goes_up_and_the_picture_down(
    load: Load, half: Bundle, picture: np.ndarray, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load("cuda", half, "fp16") as codec:
        stream = codec.encode(picture)
        codec.decode(stream, route)
        moved = count_traffic(monkeypatch)
        made = codec.decode(stream, route)
        assert coded_by(codec) == ON_BOTH
        chunks = codec.open_stream(stream).chunks
    assert moved["upload"] == sum(len(chunk) + 24 for chunk in chunks)
    assert moved["download"] == made.nbytes + 8 + len(chunks) * 36


def test_values_are_those_of_the_hosts_conversions(
    load: Load, half: Bundle, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams, pictures and what lies between, in tiles as well."""
    with load("cuda", half, "fp16") as codec:
        run = codec.run_encode(picture, "encode", True)
        stream, tiled = codec.encode(picture), codec.encode(picture, memory="48MiB")
        found = codec.decode(stream, "latent_x4")
        for name, value in run.values.items():
            assert isinstance(value, DeviceArray) == (name != "picture"), name
        monkeypatch.setattr(device_samples, "converted", _refused)
        on_host = codec.run_encode(picture, "encode", True)
        assert isinstance(on_host.values["y"], np.ndarray)
        for name, value in on_host.values.items():
            np.testing.assert_array_equal(np.asarray(run.values[name]), np.asarray(value), name)
        assert codec.encode(picture) == stream
        assert codec.encode(picture, memory="48MiB") == tiled
        np.testing.assert_array_equal(codec.decode(stream, "latent_x4"), found)
    with load("cuda", half, "fp32") as codec:
        assert codec.encode(picture) != stream  # the variants did run


def _refused(array: DeviceArray, dtype: Any) -> None:
    """As where the kernels cannot run."""
