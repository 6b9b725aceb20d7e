"""Verification: encode with every engine, decode with every engine, count what differs.

A combination is a backend with a thread count. Each one encodes every picture; each other one
decodes those streams; scale indexes and symbols are compared with the encoder's, value by value;
of chunks with a context model, whose indexes never leave the coder, the symbols alone. What engines
of another machine encoded can be given as well (`latentsr.report.verify_file`).
Besides, what every graph makes is compared across combinations: on the encode route of each
picture, and on all decode routes of the first one's corner.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentsr.backends import BACKENDS, ON_GPU, split_device
from latentsr.backends.values import on_host
from latentsr.bundle import Bundle
from latentsr.codec import Codec, load
from latentsr.errors import BackendError, CorruptStream, UsageError
from latentsr.manifest import Route
from latentsr.pipeline import routes
from latentsr.pipeline.entropy_step import EntropyModel
from latentsr.pipeline.routes import Run
from latentsr.plans.plan import planned
from latentsr.report.verify_file import Encoded

THREADS = (1, 2)
CORNER = 128  # pixels a side: pixel SR networks take their time


@dataclass
class Cell:
    """One encoder and one decoder over all pictures."""

    encoder: str
    decoder: str
    differing_indexes: int = 0
    differing_symbols: int = 0
    desyncs: int = 0
    repaired_indexes: int = 0


@dataclass
class Verification:
    """All cells, how many symbols each encoder here wrote, and parity of graphs across engines.

    encoders: the combinations here, and those whose streams were given. others: of the latter, how
    many symbols each wrote. encoded: what each combination here made of each picture, where it was
    to be kept.
    """

    combinations: list[str]
    encoders: list[str]
    cells: list[Cell]
    pictures: int
    symbols: int = 0
    others: dict[str, int] = field(default_factory=dict)
    encoded: dict[str, list[Encoded]] = field(default_factory=dict)
    contexts: list[str] = field(default_factory=list)  # chunks whose symbols alone are compared
    parity: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Figures for JSON; the totals are sums over the cells."""
        return {
            "combinations": self.combinations,
            "encoders": self.encoders,
            "pictures": self.pictures,
            "symbols": self.symbols,
            "others": self.others,
            "symbols_alone": self.contexts,
            "differing_indexes": sum(cell.differing_indexes for cell in self.cells),
            "differing_symbols": sum(cell.differing_symbols for cell in self.cells),
            "desyncs": sum(cell.desyncs for cell in self.cells),
            "repaired_indexes": sum(cell.repaired_indexes for cell in self.cells),
            "cells": [vars(cell) for cell in self.cells],
            "parity": self.parity,
        }


def available(bundle: str) -> dict[str, Codec]:
    """A codec for each backend that can be loaded here, thread count, and kind of device."""
    found: dict[str, Codec] = {}
    for backend in (name for name in BACKENDS if split_device(name)[1] == "cpu"):
        if backend == "cpu" and not planned(Bundle(bundle), "fp32"):
            continue  # it would be ONNX Runtime once more
        for threads in THREADS:
            if not _add(found, f"{backend}-{threads}", load(bundle, backend, "cpu", threads)):
                break
    for backend in ON_GPU:
        _add(found, f"{backend}-cuda", load(bundle, backend, "cuda"))
    if not found:
        raise UsageError("no engine library is installed; run: pip install 'latentsr[cpu]'")
    return found


def _add(found: dict[str, Codec], name: str, codec: Codec) -> bool:
    """Add a codec whose engines can be loaded here."""
    try:
        codec.engine(next(iter(codec.bundle.manifest.graphs)))
    except BackendError:
        return False
    found[name] = codec
    return True


def verify(
    codecs: dict[str, Codec],
    pictures: Sequence[np.ndarray],
    exact: bool = True,
    others: Mapping[str, Sequence[Encoded]] | None = None,
    keep: bool = False,
) -> Verification:
    """Run the whole matrix over uint8 (H, W, 3) pictures.

    exact: use the exact graphs, where the bundle has them; False shows what the float graphs do.
    others: by encoder, what engines elsewhere encoded; it is decoded by each codec, whatever the
    pictures. keep: leave in the result what was encoded here.
    """
    names = list(codecs)
    first = codecs[names[0]]
    encoders = [*names, *(others or {})]
    cells = {(a, b): Cell(a, b) for a in encoders for b in names}
    chunks = first.bundle.manifest.chunks
    result = Verification(names, encoders, list(cells.values()), len(pictures))
    result.contexts = [chunk.name for chunk in chunks if chunk.context]
    for picture in pictures:
        runs = {n: codec.run_encode(picture, "encode", exact) for n, codec in codecs.items()}
        _parity(runs, result.parity)
        encoded = {name: _encoded(codecs[name], run) for name, run in runs.items()}
        result.symbols += sum(value.size for value in encoded[names[0]].latents)
        for a, b in itertools.product(names, names):
            _decode_and_compare(codecs[b], encoded[a], cells[a, b])
        if keep:
            for name, one in encoded.items():
                result.encoded.setdefault(name, []).append(one)
    for a, listed in (others or {}).items():
        result.others[a] = sum(value.size for one in listed for value in one.latents)
        for one, b in itertools.product(listed, names):
            _decode_and_compare(codecs[b], one, cells[a, b])
    if pictures:
        _parity_of_decoding(codecs, pictures[0][:CORNER, :CORNER], exact, result.parity)
    return result


def _encoded(codec: Codec, run: Run) -> Encoded:
    latents = [on_host(run.values[step["out"]]) for step in _steps(codec, "encode")]
    return Encoded(codec.pack(run), tuple(latents), tuple(_indexes(codec, run)))


def _decode_and_compare(codec: Codec, encoded: Encoded, cell: Cell) -> None:
    _, run = codec.begin_decode(encoded.stream)
    route = codec.bundle.route("lr", "decode")
    # The chain up to the latents is enough: pixels are not what must be equal.
    coding = [i for i, step in enumerate(route.steps) if step["op"] == "entropy_decode"]
    if not coding:
        return  # the stream is a file, which no engine writes or reads
    last = coding[-1]
    steps = Route(route.kind, route.scale, route.steps[: last + 1], route.about)
    try:
        routes.execute(steps, run, codec.machine)
    except CorruptStream:
        cell.desyncs += 1
    else:
        found = [on_host(run.values[step["out"]]) for step in _steps(codec, "lr")]
        cell.differing_symbols += _differing(encoded.latents, found)
        cell.repaired_indexes += sum(repair.changed for repair in run.repairs)
    known = _indexes(codec, run)
    # After a desync the chunks that were not read have none.
    cell.differing_indexes += _differing(encoded.indexes[: len(known)], known)


def _differing(encoded: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> int:
    """How many values differ, of those that an encoder had and those that a decoder found."""
    shapes = [[value.shape for value in values] for values in (encoded, found)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"latents do not belong to their stream: found shapes {shapes[0]}, expected "
            f"{shapes[1]}; let `latentsr verify --save` write the file again"
        )
    return sum(int((a != b).sum()) for a, b in zip(encoded, found, strict=True))


def _steps(codec: Codec, route: str) -> list[routes.Step]:
    found = codec.bundle.manifest.routes[route].steps
    return [step for step in found if step["op"].startswith("entropy")]


def _indexes(codec: Codec, run: Run) -> list[np.ndarray]:
    found = []
    for step in _steps(codec, "encode"):
        scales = on_host(run.values.get(str(step.get("scales"))))
        if scales is not None:
            model = codec.machine.entropy[step["chunk"]]
            assert isinstance(model, EntropyModel)  # context models take features
            found.append(model.indexes(scales, scales.shape, run.exact))
    return found


def _parity_of_decoding(
    codecs: dict[str, Codec], picture: np.ndarray, exact: bool, parity: dict[str, float]
) -> None:
    """Run every decode route of one small stream on all engines and compare what they make."""
    first = next(iter(codecs.values()))
    encoded = first.run_encode(picture, "encode", exact)
    for name, route in first.bundle.manifest.routes.items():
        if route.kind != "decode":
            continue
        runs = {}
        for combination, codec in codecs.items():
            run = Run(encoded.width, encoded.height, encoded.padding, encoded.form, encoded.exact)
            run.chunks = dict(encoded.chunks)
            try:
                routes.execute(route, run, codec.machine)
            except CorruptStream:
                continue  # counted where all pictures are decoded
            runs[combination] = run
        _parity(runs, parity, f"{name}: ")


def _parity(runs: dict[str, Run], parity: dict[str, float], prefix: str = "") -> None:
    """Largest difference of each float value against the first engine's."""
    listed = list(runs.values())
    for name, value in listed[0].values.items() if listed else ():
        if value.dtype != np.float32:
            continue
        first = on_host(value)
        found = max(float(np.abs(on_host(run.values[name]) - first).max()) for run in listed)
        key = prefix + name
        parity[key] = max(parity.get(key, 0.0), found)
