"""FP16 variants for a bundle: converted, checked on whole routes, and written beside the others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec
from latentsr.digits import apart
from latentsr.errors import BundleError, ExportError
from latentsr.image import to_rgb8
from latentsr.manifest import Manifest
from latentsr_export.fp16.calibration import Sample
from latentsr_export.fp16.convert import Half, convert, worst_node
from latentsr_export.fp16.exponents import LINEAR, SAFETY
from latentsr_export.fp16.flow import read_flow
from latentsr_export.fp16.gate import (
    GATE_DB,
    Case,
    cases,
    changes,
    difference,
    record,
    with_engines,
)
from latentsr_export.pack import check_target, write_bundle

PICTURE = DEMO.parent / "coffee.png"
Progress = Callable[[str], None]


def add_fp16(
    bundle: Bundle,
    output: str | Path,
    pictures: Sequence[Any] | None = None,
    ports: str = "fp32",
    progress: Progress = lambda text: None,
) -> Bundle:
    """Write a bundle again with an FP16 variant of every graph that may have one.

    output: where to, may be the bundle's own place. pictures: paths or uint8 (H, W, 3) for
    calibration and gate, by default the shipped one. ports: type of the variants' inputs and
    outputs; ``fp16`` is for engines that hand values on in memory of their own.
    Graphs that decide scales, and their exact twins, have none: one rounding there would lose
    pictures. Raises ExportError where values leave FP16's range, or a route loses more than
    0.02 dB; nothing is written then.
    """
    output = Path(output)
    check_target(output)
    shown = [to_rgb8(picture) for picture in pictures or [PICTURE]]
    with Codec(bundle, "ort", EngineOptions()) as codec:
        given = cases(codec, shown)
        progress("calibrating for FP16")
        samples, full = record(codec, given)
        halves = {}
        for name in convertible(bundle):
            if name in samples:
                progress(f"converting {name} to FP16")
                halves[name] = convert(bundle.graph(name), samples[name], ports)
        progress("checking FP16 on whole routes")
        table = changes(given, full, _results(codec, halves, given))
        _check_gate(table, halves, samples, bundle.manifest)
        variants = {name: {"file": f"graphs/{name}.fp16.onnx", **half.report,
                           "parity": {"fp32": _parity(codec, name, half, samples[name])}}
                    for name, half in halves.items()}  # fmt: skip
    progress("writing the FP16 graphs")
    return _write(bundle, output, halves, variants, table)


def write_with_fp16(
    output: Path,
    manifest: Mapping[str, Any],
    graphs: Mapping[str, bytes],
    tensors: Mapping[str, np.ndarray],
    pictures: Sequence[np.ndarray],
    progress: Progress,
) -> Bundle:
    """As `pack.write_bundle`, with FP16 variants; leaves nothing at `output` where they fail."""
    with tempfile.TemporaryDirectory(prefix="latentsr-") as folder:
        plain = write_bundle(Path(folder) / output.name, manifest, graphs, tensors)
        return add_fp16(plain, output, pictures, progress=progress)


def convertible(bundle: Bundle) -> list[str]:
    """Graphs that may have an FP16 variant: they compute, and decide no scale."""
    manifest = bundle.manifest
    kept = {*manifest.entropy_graphs, *manifest.exact, *manifest.exact.values()}
    for route in manifest.routes.values():
        kept |= _deciding(route.steps)
    return [name for name in manifest.graphs if name not in kept and _computes(bundle, name)]


def _deciding(steps: Sequence[Mapping[str, Any]]) -> set[str]:
    """Graphs of a route on which the scales or means of an entropy step depend."""
    found: set[str] = set()
    needed: set[str] = set()
    for step in reversed(steps):
        if step["op"].startswith("entropy"):
            # What was coded is the same for both sides: nothing before it matters any more.
            needed -= {step["out"]}
            needed |= {step[key] for key in ("scales", "means", "features") if step.get(key)}
        elif step["op"] == "graph":
            if needed & set(step["out"]):
                found.add(step["graph"])
                needed |= set(step["in"])
        elif step.get("out") in needed and "in" in step:
            needed.add(step["in"])
    return found


def _computes(bundle: Bundle, name: str) -> bool:
    return any(node.op_type in LINEAR for node in read_flow(bundle.graph(name)).nodes)


def _engine(data: bytes, name: str) -> Engine:
    return get_backend("ort").load(data, name, EngineOptions())


def _results(
    codec: Codec, halves: Mapping[str, Half], given: Sequence[Case]
) -> list[tuple[np.ndarray, int]]:
    engines = {name: _engine(half.emulation, name) for name, half in halves.items()}

    def engine(name: str) -> Engine:
        return engines[name] if name in engines else codec.engine(name)

    try:
        return with_engines(codec, engine, given)
    except BundleError as error:  # a picture with samples that are not finite
        raise ExportError(f"a route fails in FP16: {error}") from None


def _parity(codec: Codec, name: str, half: Half, samples: Sequence[Sample]) -> dict[str, Any]:
    """For each output of a graph, FP16 against float32 on the samples."""
    engines = codec.engine(name), _engine(half.emulation, name)
    full, rounded = ([engine.run(sample) for sample in samples] for engine in engines)
    return {
        port: difference([made[port] for made in full], [made[port] for made in rounded])
        for port in codec.bundle.manifest.graphs[name].outputs
    }


def _check_gate(
    table: Mapping[str, Mapping[str, float]],
    halves: Mapping[str, Half],
    samples: Mapping[str, Sequence[Sample]],
    manifest: Manifest,
) -> None:
    for name, row in table.items():
        # `not >=` also catches NaN.
        if not row["worst_db"] >= -GATE_DB:
            own = [str(step.get("graph")) for step in manifest.routes[name].steps]
            # A route without networks of its own loses what the encoder lost.
            graph = next((g for g in reversed(own) if g in halves), next(iter(halves)))
            node = worst_node(halves[graph], min(samples[graph], key=_size))
            found = apart(row["worst_db"], -GATE_DB, 3)
            raise ExportError(
                f"route {name} loses quality in FP16: found {found} dB, expected at "
                f"least -{GATE_DB} dB on every picture; in graph {graph} node {node} "
                "adds most, export without fp16"
            )


def _size(sample: Sample) -> int:
    return sum(value.size for value in sample.values())


def _write(
    bundle: Bundle,
    output: Path,
    halves: Mapping[str, Half],
    variants: Mapping[str, Mapping[str, Any]],
    table: Mapping[str, Any],
) -> Bundle:
    made = ("format", "format_version", "files")
    manifest = {key: value for key, value in bundle.manifest.raw.items() if key not in made}
    manifest["graphs"] = {
        name: {**entry, "variants": {"fp16": variants[name]}} if name in variants else entry
        for name, entry in manifest["graphs"].items()
    }
    rounded = {route: {key: round(value, 4) for key, value in row.items()}
               for route, row in table.items()}  # fmt: skip
    manifest["fp16"] = {"safety": SAFETY, "gate_db": GATE_DB, "routes": rounded}
    files = {Path(graph.file).stem: bundle.graph(name)
             for name, graph in bundle.manifest.graphs.items()}  # fmt: skip
    files |= {f"{name}.fp16": half.data for name, half in halves.items()}
    return write_bundle(output, manifest, files, bundle.tensors)
