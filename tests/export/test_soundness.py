"""Checkpoints that load and cannot work: failed training, and entropy tables that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

from codec_cases import made  # noqa: E402
from latentsr.errors import CheckpointError, ExportError  # noqa: E402
from latentsr_export.load import load_codec, load_latent_sr  # noqa: E402
from latentsr_export.networks.edsr import EDSR  # noqa: E402
from latentsr_export.networks.latent_sr import LatentSR  # noqa: E402
from latentsr_export.parity import check_parity  # noqa: E402
from latentsr_export.parts import CodecParts, GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import load_pixel_sr  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402

TABLES = ("_quantized_cdf", "_cdf_length", "_offset")
BOTTLENECK, GAUSSIAN = "entropy_bottleneck", "gaussian_conditional"


def _codec_file(folder: Path, **changes: Any) -> Path:
    """A hyperprior's checkpoint; changes: tensor, by name with __ for the dots, → another."""
    state = dict(made("bmshj2018-hyperprior").state_dict())
    for name, change in changes.items():
        key = name.replace("__", ".")
        state[key] = change(state[key])
    torch.save(state, folder / "codec.pth")
    return folder / "codec.pth"


def _with_first(value: float) -> Any:
    return lambda tensor: tensor.index_fill(0, torch.tensor([0]), value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["g_s.0.weight", "h_s.4.bias", "entropy_bottleneck.quantiles"])
def test_codecs_of_failed_training(tmp_path: Path, name: str, value: float) -> None:
    path = _codec_file(tmp_path, **{name.replace(".", "__"): _with_first(value)})
    with pytest.raises(CheckpointError, match=rf"not finite: found {value} in tensor '{name}' of"):
        load_codec(path)


def test_sr_networks_of_failed_training(tmp_path: Path) -> None:
    path = tmp_path / "sr.pth"
    cases: list[tuple[Any, Any]] = [
        (LatentSR(7, 8, 1, 4, (8, 7, 6, 5, 4, 3)), load_latent_sr), (EDSR(5, 1, 4), load_pixel_sr),
    ]  # fmt: skip
    for network, load in cases:
        state = network.state_dict()
        last = [key for key in state if key.endswith("bias")][-1]
        torch.save({**state, last: _with_first(float("nan"))(state[last])}, path)
        with pytest.raises(CheckpointError, match="not finite: found nan"):
            load(path)


def test_values_that_are_not_finite_fail_parity() -> None:
    class Divided(torch.nn.Module):
        """1 / (x - x): infinity or NaN from weights that are finite."""

        def __init__(self, top: float) -> None:
            super().__init__()
            self.top = top

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.top / (x - x)

    parts: Any = CodecParts("none", (3, 3), 16, {}, (), (), {}, (), ())
    for top in (0.0, 1.0):
        spec = GraphSpec(Divided(top), ("x",), ("y",), 3, 1, "picture")
        specs = {"divided": spec}
        graphs = {"divided": trace("divided", spec)}
        with pytest.raises(ExportError, match="divided makes values that are not finite"):
            check_parity(specs, graphs, [np.zeros((32, 48, 3), np.uint8)], parts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{BOTTLENECK}.{name}": 5 for name in TABLES}, "found 5 rows in entropy_b.*expected 10"),
        ({f"{GAUSSIAN}.{name}": 32 for name in TABLES}, "found 32 rows in gauss.*expected 64"),
        ({f"{GAUSSIAN}.scale_table": 32}, "found 64 rows in gaussian.*expected 32"),
        ({f"{GAUSSIAN}.scale_table": 0}, "found 64 rows in gaussian.*expected 0"),
        ({f"{BOTTLENECK}._cdf_length": 0}, "length: found 0 elements, expected 10"),
        ({f"{GAUSSIAN}._quantized_cdf": 0}, "found no rows.*gaussian_conditional of .*codec.pth"),
    ],
)  # fmt: skip
def test_tables_cut_short(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    cut = {k.replace(".", "__"): lambda t, rows=rows: t[:rows] for k, rows in changes.items()}
    path = _codec_file(tmp_path, **cut)
    with pytest.raises(CheckpointError, match=rf"{message}.*update\(force=True\)"):
        load_codec(path)


def test_scales_that_do_not_rise(tmp_path: Path) -> None:
    path = _codec_file(tmp_path, gaussian_conditional__scale_table=lambda scales: scales.flip(0))
    with pytest.raises(CheckpointError, match=r"do not rise.*gaussian_conditional of"):
        load_codec(path)


def test_quantiles_that_would_take_gigabytes(tmp_path: Path) -> None:
    far = {f"{BOTTLENECK}.{name}".replace(".", "__"): lambda table: table[:0] for name in TABLES}
    path = _codec_file(tmp_path, entropy_bottleneck__quantiles=lambda q: q * 1e9, **far)
    with pytest.raises(CheckpointError, match=r"tables cannot be made: found quantiles 2e\+10"):
        load_codec(path)
