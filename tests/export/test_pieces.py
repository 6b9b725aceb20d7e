"""Pieces of graphs, and windows for bundles that have none yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")

import onnx  # noqa: E402
from torch import nn  # noqa: E402

from latentsr.bundle import DEMO, Bundle  # noqa: E402
from latentsr_export.add_windows import add_windows, main  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pieces import window_with_pieces  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402
from tiling_cases import demo_with, without_windows  # noqa: E402


def _trunk_and_head(layers: int) -> nn.Module:
    """Many layers on a small grid, then much work on a large one."""
    trunk = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(layers)]
    head = [nn.Conv2d(8, 64 * 16, 1), nn.PixelShuffle(4), nn.Conv2d(64, 64, 3, padding=1),
            nn.Conv2d(64, 3, 3, padding=1)]  # fmt: skip
    return nn.Sequential(*trunk, *head).eval()


def _graph(module: nn.Module) -> bytes:
    return trace("g", GraphSpec(module, ("x",), ("y",), 8, 1, "picture"))


def test_a_wide_trunk_is_cut_off() -> None:
    graph = _graph(_trunk_and_head(12))
    window = window_with_pieces(graph)
    pieces = window["pieces"]
    assert "value" in pieces[0] and "value" not in pieces[-1]
    margins = [piece["inputs"][0]["before"][0] for piece in pieces]
    assert margins[0] >= 10 > margins[-1]
    values = {name for node in onnx.load_from_string(graph).graph.node for name in node.output}
    assert all(piece["value"] in values for piece in pieces[:-1])
    counted = pieces[0]["macs_per_position"] + sum(
        piece["macs_per_position"] * 16 ** (pieces[0]["outputs"][0][0] == 4)
        for piece in pieces[1:2]
    )
    assert counted > 12 * 8 * 8 * 9


def test_a_narrow_graph_stays_whole() -> None:
    assert "pieces" not in window_with_pieces(_graph(nn.Conv2d(8, 3, 3, padding=1)))


def test_the_demo_bundle_has_what_its_graphs_say() -> None:
    """The shipped manifest is what `add_windows` and a fresh export write."""
    bundle = Bundle(DEMO)
    for name, graph in bundle.manifest.raw["graphs"].items():
        assert graph["window"] == window_with_pieces(bundle.graph(name)), name


def test_windows_are_added_and_nothing_else(tmp_path: Path) -> None:
    path = demo_with(tmp_path / "old.lsr", without_windows)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    bundle = add_windows(path)
    after = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert [p.name for p in before if before[p] != after[p]] == ["manifest.json"]
    assert (path / "manifest.json").read_bytes() == (DEMO / "manifest.json").read_bytes()
    assert bundle.fingerprint == Bundle(DEMO).fingerprint
    add_windows(path)
    assert (path / "manifest.json").read_bytes() == (DEMO / "manifest.json").read_bytes()


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = demo_with(tmp_path / "old.lsr", without_windows)
    monkeypatch.setattr("sys.argv", ["add_windows", str(path)])
    main()
    assert "windows of 7 graphs" in capsys.readouterr().out
    assert "window" in json.loads((path / "manifest.json").read_text())["graphs"]["latent_sr"]
    monkeypatch.setattr("sys.argv", ["add_windows", str(tmp_path / "none.lsr")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
