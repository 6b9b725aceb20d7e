"""What exact entropy parameters cost in bytes: measured against the float graphs, and gated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

from codec_cases import exported, made
from latentsr.errors import ExportError
from latentsr_export.exact_parts import LEVELS, add_exact
from latentsr_export.exact_passes import add_exact_passes
from latentsr_export.load import codec_parts
from latentsr_export.parts import CodecParts

MAKERS = {
    "mbt2018-mean": "exact_parts",
    "mbt2018": "exact_context",
    "cheng2020-anchor-checkerboard": "exact_passes",
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_cost_is_measured_and_gated(
    name: str, picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = made(name)
    bundle = exported(tmp_path / "codec.lsr", network, picture)
    cost = bundle.manifest.raw["notes"]["exact"]["rate_cost_percent"]
    # Integers stand near the floats: a large saving means that unlike things were compared.
    assert -1 < cost < 1.5
    monkeypatch.setattr(f"latentsr_export.{MAKERS[name]}.GATE", cost - 0.01)
    with pytest.raises(ExportError, match=r"too much: found -?\d+\.\d+ % more bytes, expected"):
        exported(tmp_path / "again.lsr", network, picture)
    assert not (tmp_path / "again.lsr").exists()


def with_exact(parts: CodecParts, picture: np.ndarray) -> CodecParts:
    if parts.passes is not None:
        return add_exact_passes(parts, [picture])
    return add_exact(parts, parts.predicted[0], [picture])


@pytest.mark.parametrize("name", ["mbt2018-mean", "cheng2020-anchor-checkerboard"])
def test_the_levels_that_cost_least_are_taken(
    name: str, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = codec_parts(made(name))
    taken = with_exact(parts, picture).notes["exact"]
    costs = {}
    for levels in LEVELS:
        monkeypatch.setattr(f"latentsr_export.{MAKERS[name]}.LEVELS", (levels,))
        costs[levels] = with_exact(parts, picture).notes["exact"]["rate_cost_percent"]
    assert len(set(costs.values())) > 1
    assert taken["rate_cost_percent"] == min(costs.values()) == costs[taken["hidden_levels"]]
