"""Windows in manifests: read, or refused with the place of the fault; whatever they say is safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from latentsr.bundle import Bundle
from latentsr.errors import BundleError, LatentSRError
from latentsr.json_reader import Reader
from latentsr.windows import Input, NoWindow, Window, read_window
from spoiled_bundles import VALUES, places
from tiling_cases import demo_with

ONE = {"step": [1, 1], "before": [2, 3], "after": [4, 5]}
GOOD = {"inputs": [ONE], "outputs": [[4, 4]], "channels": [3], "bytes": 100}


def _read(window: object, inputs: int = 1, outputs: int = 1) -> Window | NoWindow | None:
    return read_window(Reader({"window": window}, "g"), inputs, outputs)


def test_forms() -> None:
    assert read_window(Reader({}, "g"), 1, 1) is None
    assert _read({"whole": "why"}) == NoWindow("why", 0.0)
    assert _read({"whole": "why", "bytes": 7.5}) == NoWindow("why", 7.5)
    assert _read(GOOD) == Window((Input((1, 1), (2, 3), (4, 5)),), ((4, 4),), (3,), 100.0)
    pieces = [{**GOOD, "value": "v", "macs_per_position": 3}, {**GOOD, "macs_per_position": 5.5}]
    window = _read({**GOOD, "pieces": pieces})
    assert isinstance(window, Window)
    assert [(p.value, p.macs_per_position) for p in window.pieces] == [("v", 3.0), ("", 5.5)]
    many = _read({**GOOD, "pieces": [pieces[0]] * 15 + [pieces[1]]})
    assert isinstance(many, Window) and len(many.pieces) == 16


def test_graphs_of_two_inputs_have_no_pieces() -> None:
    two = {**GOOD, "inputs": [ONE, ONE]}
    assert isinstance(_read(two, inputs=2), Window)
    with pytest.raises(BundleError, match="parts of a graph of one input"):
        _read({**two, "pieces": [{**GOOD, "macs_per_position": 1}]}, inputs=2)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": []}, {"inputs": [ONE, ONE]}, {"inputs": [{**ONE, "step": [0, 1]}]},
        {"inputs": [{**ONE, "before": [-1, 1]}]}, {"inputs": [{**ONE, "after": [1]}]},
        {"inputs": [{**ONE, "after": [1, 1 << 40]}]}, {"inputs": [{**ONE, "after": [True, 1]}]},
        {"outputs": [[4]]}, {"outputs": [[0, 4]]}, {"outputs": []}, {"channels": [0]},
        {"channels": []}, {"channels": [1.5]}, {"bytes": -1}, {"bytes": True}, {"bytes": "x"},
        {"pieces": [GOOD]}, {"pieces": [{**GOOD, "value": "v", "macs_per_position": 1}]},
        {"pieces": [{**GOOD, "macs_per_position": 1}] * 2}, {"pieces": {}},
        {"pieces": [{**GOOD, "value": "v", "macs_per_position": 1}] * 17},
    ],
)  # fmt: skip
def test_faults(change: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"malformed at g\.window"):
        _read({**GOOD, **change})


def test_the_demo_bundle_has_windows() -> None:
    graphs = Bundle("demo").manifest.graphs
    assert all(isinstance(graph.window, Window) for graph in graphs.values())
    window = graphs["latent_sr"].window
    assert isinstance(window, Window)
    assert window.outputs == ((64, 64),)
    assert len(window.pieces) == 2


def test_spoiled_windows_are_refused_or_harmless(tmp_path: Path, picture: np.ndarray) -> None:
    """Each value of a window in turn is another: a picture of that size, or a LatentSRError."""
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(picture[:20, :30])
    spoiled = Bundle("demo").manifest.raw["graphs"]["latent_sr"]["window"]
    refused = 0
    for number, path in enumerate(places(spoiled)):
        for value in (*VALUES, 3, 1 << 20):

            def change(raw: dict, path: tuple = path, value: object = value) -> None:
                inside: Any = raw["graphs"]["latent_sr"]["window"]
                for key in path[:-1]:
                    inside = inside[key]
                inside[path[-1]] = value

            if (number + len(repr(value))) % 3:
                continue  # a third of all is enough
            folder = demo_with(tmp_path / "b.lsr", change)
            try:
                with latentsr.load(folder, threads=1) as codec:
                    found = codec.upscale(stream, memory="12MiB", region=(3, 5, 70, 50))
                    assert found.shape == (50, 70, 3)
            except LatentSRError:
                refused += 1
            for file in sorted(folder.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            folder.rmdir()
    assert refused > 60
