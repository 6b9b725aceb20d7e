"""Exact graphs as exported, and with the kernels that engines have Winograd's algorithm for.

latentsr verify BUNDLE PICTURES... --save encoded.lsv
python benchmarks/winograd.py BUNDLE encoded.lsv [--note TEXT] [--out results.json]

The exporter adds a row of zeros to kernels of 3x3 and 5x5 (`latentsr_export.no_winograd`). Here the
row is taken away again. Every CPU engine of this machine runs both graphs on the hyper-latents in
the file; what it makes is compared with 64-bit integers, value by value, and the kernels that it
chose for convolutions are named. Needs onnx, but no torch, so that it runs where streams are
decoded; the file may come from another machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from machine import describe_machine
from onnx import numpy_helper

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle
from latentsr.errors import BackendError, UsageError
from latentsr.report.verify_file import read
from latentsr_export.integer_graph import IntegerGraph
from latentsr_export.no_winograd import FAST

ENGINES = ("ort", "openvino")


def narrowed(data: bytes) -> bytes:
    """The graph with square kernels again, where the last row of theirs is zeros."""
    model = onnx.load_from_string(data)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:  # weights that are stored in fewer bits
        if node.op_type == "Cast" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    for node in model.graph.node:
        found = {one.name: one for one in node.attribute}
        if node.op_type != "Conv" or (kernel := list(found["kernel_shape"].ints))[1] not in FAST:
            continue
        tensor = weights[node.input[1]]
        values = numpy_helper.to_array(tensor)
        if kernel[0] == kernel[1] + 1 and not values[:, :, -1].any():
            square = np.ascontiguousarray(values[:, :, :-1])
            tensor.CopyFrom(numpy_helper.from_array(square, tensor.name))
            found["kernel_shape"].ints[0] -= 1
            found["pads"].ints[2] -= 1
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def hyper_latents(bundle: Bundle, path: Path) -> tuple[str, str, list[np.ndarray]]:
    """The exact graph, its port, and what it gets for each picture in the file."""
    steps = bundle.manifest.routes["encode"].steps
    coded = [step["out"] for step in steps if step["op"] == "entropy_encode"]
    for step in steps:
        graph = bundle.manifest.exact.get(str(step.get("graph")))
        if graph is not None and len(step["in"]) == 1 and step["in"][0] in coded:
            place = coded.index(step["in"][0])
            port = bundle.manifest.graphs[graph].inputs[0]
            pictures = next(iter(read(path).values()))
            return graph, port, [picture.latents[place] for picture in pictures]
    raise UsageError("bundle has no exact graph of one coded latent: expected a hyperprior's")


def load(graph: bytes, name: str) -> Engine:
    """An engine that can tell its kernels; BackendError where it is not installed."""
    return get_backend(name).load(graph, "exact", EngineOptions("cpu", 1, profile=True))


def compare(engine: Engine, port: str, given: Sequence[np.ndarray], known: Sequence[Any]) -> Any:
    """How many values the engine makes otherwise than integers do, and its kernels."""
    engine.begin_profile()
    differing = values = pictures = 0
    largest = 0.0
    for one, expected in zip(given, known, strict=True):
        found = engine.run({port: one})
        wrong = sum(int((found[name] != value).sum()) for name, value in expected.items())
        values += sum(value.size for value in expected.values())
        gap = max(float(np.abs(found[name] - value).max()) for name, value in expected.items())
        differing, largest, pictures = differing + wrong, max(largest, gap), pictures + bool(wrong)
    kinds = sorted({f"{n.op_type} {n.ran_by}" for n in engine.end_profile() if "onv" in n.op_type})
    return {
        "values": values,
        "differing": differing,
        "largest_difference": largest,
        "pictures_with_any": pictures,
        "convolutions": kinds,
    }


def main() -> None:
    """Run both graphs on all engines and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("encoded", type=Path)
    parser.add_argument("--note", default="", help="what to know of this machine")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    bundle = Bundle(options.bundle)
    graph, port, given = hyper_latents(bundle, options.encoded)
    exported = bundle.graph(graph)
    known = [IntegerGraph(exported).run({port: one}) for one in given]
    rows = []
    for form, data in (("as exported", exported), ("square kernels", narrowed(exported))):
        for name in ENGINES:
            try:
                engine = load(data, name)
            except BackendError as error:
                print(f"{name}: {error}")
                continue
            row = {"graph": form, "engine": name, **compare(engine, port, given, known)}
            print(row)
            rows.append(row)
    if options.out:
        machine = {**describe_machine("onnx"), "note": options.note}
        facts = {"machine": machine, "pictures": len(given), "rows": rows}
        options.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
