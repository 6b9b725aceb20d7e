"""A graph that makes scales and means runs once for both, also in tiles, to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import latentsr
from codec_cases import exported, made
from latentsr.backends.base import Engine
from latentsr.errors import EngineMemoryError
from tiling_cases import assert_same

GRAPH = "entropy_parameters_exact"


class Counted(Engine):
    """An engine that counts its runs, and has no memory for inputs of more than some positions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.runs, self.largest, self.most = 0, 0, 1 << 30

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        positions = max(value.shape[2] * value.shape[3] for value in inputs.values())
        if positions > self.most:
            raise EngineMemoryError("no memory")
        self.runs, self.largest = self.runs + 1, max(self.largest, positions)
        return self._engine.run(inputs)

    @property
    def runs_on(self) -> str:
        return self._engine.runs_on


def test_one_run_makes_scales_and_means(picture: np.ndarray, tmp_path: Path) -> None:
    bundle = exported(tmp_path / "codec.lsr", made("mbt2018-mean"), picture)
    large = np.tile(picture, (5, 6, 1))
    with latentsr.load(bundle.path, threads=1) as codec:
        stream = codec.encode(large)
        expected = codec.decode(stream)
        seen = codec._engines[GRAPH] = Counted(codec.engine(GRAPH))
        assert codec.encode(large, memory="1GiB") == stream
        assert seen.runs == 1
        assert_same(codec.decode(stream, memory="1GiB"), expected)
        assert seen.runs == 2
        seen.most = seen.largest - 1
        assert codec.encode(large, memory="1GiB") == stream
        assert seen.runs == 4
        assert_same(codec.decode(stream, memory="1GiB"), expected)
