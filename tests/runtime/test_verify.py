"""Verification: equal on exact graphs, and able to see a difference."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import latentsr
from engines.require import gpu_or_skip, missing
from latentsr.backends import BACKENDS, split_device
from latentsr.backends.base import Engine
from latentsr.codec import Codec
from latentsr.report.verify import available, verify


class Disturbed(Engine):
    """An engine whose scales are off by one unit, as on a device that is not exact."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {name: value + 1 for name, value in self.inner.run(inputs).items()}  # type: ignore

    @property
    def runs_on(self) -> str:
        return "disturbed"


def two_codecs() -> dict[str, Codec]:
    return {f"ort-{n}": latentsr.load("demo", threads=n) for n in (1, 2)}


def test_exact_graphs_agree(picture: np.ndarray) -> None:
    result = verify(two_codecs(), [picture, picture[:30, :70]]).as_dict()
    assert result["combinations"] == ["ort-1", "ort-2"] and len(result["cells"]) == 4
    assert result["differing_indexes"] == result["differing_symbols"] == result["desyncs"] == 0
    assert result["symbols"] > 1000 and result["parity"]["scales"] == 0.0
    assert set(result["parity"]) >= {"y", "lr: x_hat", "pixel_x4: hr", "latent_x4: hr"}
    assert result["parity"]["latent_x4: y_hat"] == 0.0


def test_a_disturbed_engine_is_seen(picture: np.ndarray) -> None:
    codecs = two_codecs()
    other = codecs["ort-2"]
    other._engines["entropy_parameters_exact"] = Disturbed(other.engine("entropy_parameters_exact"))
    result = verify(codecs, [picture]).as_dict()
    assert result["differing_indexes"] > 0 and result["parity"]["scales"] == 1.0
    across = [c for c in result["cells"] if c["encoder"] != c["decoder"]]
    assert all(c["differing_indexes"] > 0 for c in across)
    assert all(c["desyncs"] + c["differing_symbols"] > 0 for c in across)
    same = [c for c in result["cells"] if c["encoder"] == c["decoder"]]
    assert all(c["differing_indexes"] + c["desyncs"] == 0 for c in same)


@pytest.mark.parametrize("backend", [n for n in BACKENDS if split_device(n)[1] == "cpu"])
def test_every_installed_backend_is_tried(backend: str, picture: np.ndarray) -> None:
    if backend == "cpu":
        pytest.skip("follows plans, and is tried where there are some: test_cpu_backend.py")
    pytest.importorskip({"ort": "onnxruntime"}.get(backend, backend))
    codecs = available("demo")
    assert f"{backend}-1" in codecs and f"{backend}-2" in codecs
    stream = codecs["ort-1"].encode(picture)
    found = codecs[f"{backend}-2"].decode(stream)
    assert np.abs(found.astype(int) - codecs["ort-1"].decode(stream)).max() <= 1


def test_auto_takes_an_installed_backend(picture: np.ndarray) -> None:
    with latentsr.load("demo", backend="auto", threads=1) as codec:
        stream = codec.encode(picture)
        runs_on = codec.engine("analysis").runs_on
    with latentsr.load("demo", backend="ort", threads=1) as codec:
        assert codec.decode(stream).shape == picture.shape
    assert ("OpenVINO" in runs_on) == (find_spec("openvino") is not None)


def test_every_gpu_backend_is_tried(picture: np.ndarray) -> None:
    gpu_or_skip()
    codecs = available("demo")
    found = [name for name in codecs if name.endswith("-cuda")]
    if not found:
        missing("no engine library for it can be loaded")
    result = verify({n: c for n, c in codecs.items() if n in (*found, "ort-1")}, [picture])
    facts = result.as_dict()
    assert facts["differing_indexes"] == facts["differing_symbols"] == facts["desyncs"] == 0
