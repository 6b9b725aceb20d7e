"""Codecs with context models and passes: the same symbols on every engine and instruction set.

python benchmarks/exactness_families.py PICTURES... [--codec CHECKPOINT...] [--reduce 1]
                                        [--families mbt2018 ...] [--out results.json]

For each codec: backends x 1 and 2 threads x instruction sets of this machine. Each combination
encodes every picture, each other one decodes all of those streams, and symbols and scale indexes
are compared value by value (`latentsr.report.verify`). Then the picture's corner is coded again
with 64-bit integer sums in NumPy, graphs and context model: the bytes must be the runtime's.
Codecs are the checkpoints given, and the families with seeded weights that are scaled so that
latents have likely statistics.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import context_models
import numpy as np
import passes
import torch
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.entropy import Coder, isa
from latentsr.entropy.context_tensors import load_context
from latentsr.entropy.reference_context import Latent, encode
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.pipeline.routes import Run
from latentsr.report.verify import verify
from latentsr_export import exporter
from latentsr_export.integer_graph import IntegerGraph

CORNER = 128
THREADS = (1, 2)
BACKENDS = ("ort", "openvino")


def codecs_of(bundle: str) -> dict[str, Codec]:
    """A codec for each combination; the first stream binds the instruction set."""
    found = {}
    small = np.zeros((64, 64, 3), np.uint8)
    for name in isa.supported():
        os.environ["LATENTSR_ISA"] = name
        for backend in BACKENDS:
            for threads in THREADS:
                codec = latentsr.load(bundle, backend=backend, threads=threads)
                codec.decode(codec.encode(small), "lr")
                found[f"{backend}-{threads}-{name}"] = codec
    del os.environ["LATENTSR_ISA"]
    return found


def reference_differs(codec: Codec, picture: np.ndarray) -> int:
    """Chunks and graph outputs that 64-bit integers make otherwise."""
    run = codec.run_encode(picture, "encode", True)
    bundle = codec.bundle
    differing = 0
    for step in bundle.manifest.routes["encode"].steps:
        twin = bundle.manifest.exact.get(str(step.get("graph")))
        if twin is not None:
            ports = bundle.manifest.graphs[twin]
            given = {port: run.values[v] for port, v in zip(ports.inputs, step["in"], strict=True)}
            found = IntegerGraph(bundle.graph(twin)).run(given)
            for port, value in zip(ports.outputs, step["out"], strict=True):
                differing += not np.array_equal(found[port], run.values[value])
    return differing + _contexts_differ(codec, run)


def _contexts_differ(codec: Codec, run: Run) -> int:
    bundle = codec.bundle
    differing = 0
    for chunk in bundle.manifest.chunks:
        if chunk.context is None:
            continue
        tensors = load_context(bundle, chunk.context.tensors, chunk.channels)
        limits = bundle.tensors[f"{chunk.name}.thresholds"][:-1]
        latent = Latent.empty(tensors, limits, run.values["features"][0])
        symbols, indexes = encode(latent, run.values[chunk.name][0])
        data = Coder(bundle.tables(chunk)).encode(symbols, indexes, parts=1)
        differing += data != run.chunks[chunk.name]
    return differing


def networks(given: argparse.Namespace, x: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """What to check, by name."""
    found: dict[str, Callable[[], Any]] = {}
    for path in given.codec:
        found[path.stem] = lambda path=path: context_models.load(path)  # type: ignore[misc]
    for family in given.families:
        if family in passes.FAMILIES:
            found[family] = lambda family=family: passes.spread(family, x)  # type: ignore[misc]
        else:
            found[family] = lambda family=family: context_models.spread(family, 192, x)  # type: ignore[misc]
    return found


def main() -> None:
    known = [*context_models.FAMILIES, *passes.FAMILIES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--codec", nargs="*", type=Path, default=[], help="checkpoints of mbt2018")
    parser.add_argument("--families", nargs="*", default=known, choices=known)
    parser.add_argument("--reduce", type=int, default=1, help="take every n-th row and column")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = [to_rgb8(path)[:: given.reduce, :: given.reduce]
                for path in expand(given.pictures, PICTURES)]  # fmt: skip
    x = torch.from_numpy(pictures[0][:128, :192].copy()).permute(2, 0, 1)[None].float() / 255
    result: dict[str, Any] = {"machine": describe_machine(), "reduce": given.reduce, "codecs": {}}
    with torch.no_grad(), tempfile.TemporaryDirectory() as place:
        for name, build in networks(given, x).items():
            start = time.perf_counter()
            checkpoint, bundle = Path(place) / f"{name}.pth", Path(place) / f"{name}.lsr"
            torch.save(build().state_dict(), checkpoint)
            exporter.export(checkpoint, bundle)
            codecs = codecs_of(str(bundle))
            found = verify(codecs, pictures).as_dict()
            found["pairs"] = len(found.pop("cells"))
            found["parity"] = {k: v for k, v in found["parity"].items() if ":" not in k}
            first = next(iter(codecs.values()))
            found["reference_differs"] = reference_differs(first, pictures[0][:CORNER, :CORNER])
            found["seconds"] = round(time.perf_counter() - start, 1)
            result["codecs"][name] = found
            print(name, json.dumps({k: v for k, v in found.items() if k != "parity"}), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
