"""Where ONNX Runtime runs each node of each graph: its own account, after placing them.

python benchmarks/gpu/placement.py BUNDLES_OR_GRAPHS... [--provider NAME] [--note TEXT]
    [--out placement.json]

All graphs of a bundle with their variants and pieces, or single ONNX files. Sessions are made as
the backend makes them, on the CUDA provider by default, and none is run. `nodes`: how many there
are after ONNX Runtime's own fusions; `cpu`: operators that it left to the CPU. Exit code 1 where
those do not compute shapes alone. Needs ONNX Runtime 1.24.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime as ort

from latentsr.backends import ort_session
from latentsr.backends.base import EngineOptions
from latentsr.bench.machine import describe_machine
from latentsr.bundle import Bundle

GPU = EngineOptions(device="cuda")


def graphs_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Labels and bytes."""
    if path.suffix == ".onnx":
        yield path.stem, path.read_bytes()
        return
    yield from Bundle(path).every_graph()


def placed(data: bytes, providers: list[tuple[str, Any]]) -> dict[str, Any]:
    """One graph."""
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(data, settings, providers=providers, enable_fallback=0)
    left = ort_session.left_to_cpu(session)
    if left is None:
        sys.exit(f"ONNX Runtime does not tell: found {ort.__version__}, expected 1.24; update it")
    parts = session.get_provider_graph_assignment_info()
    nodes = sum(len(part.get_nodes()) for part in parts)
    return {"nodes": nodes, "cpu": dict(left) if providers[0][0] != ort_session.CPU else {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("given", nargs="+", type=Path)
    parser.add_argument("--provider", default=ort_session.CUDA)
    parser.add_argument("--note", default="", help="what else is to be said of the machine")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    providers = ort_session.providers_for(GPU, 0, tensorrt=False)
    if given.provider == ort_session.CPU:
        providers = [(ort_session.CPU, {})]
    ort_session.preload(ort)
    rows: dict[str, dict[str, Any]] = {}
    for path in given.given:
        for label, data in graphs_of(path):
            rows.setdefault(path.stem, {})[label] = found = placed(data, providers)
            print(path.stem, label, json.dumps(found), flush=True)
    machine = describe_machine(("latentsr", "onnxruntime-gpu", "onnxruntime"))
    result = {"machine": machine, "note": given.note, "onnxruntime": ort.__version__,
              "provider": given.provider, "graphs": rows}  # fmt: skip
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    every = [found for each in rows.values() for found in each.values()]
    wrong = [found for found in every if not found["cpu"].keys() <= ort_session.ON_SHAPES]
    print(f"{len(every)} graphs, {len(wrong)} with more than shapes on the CPU")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
