"""Whether a bundle's route can run: its steps, their graphs, chunks and values, before any runs.

Values are of two kinds, which do not stand in for each other: pictures, uint8 (H, W, 3), and
planes, float32 (1, C, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping

from latentsr.bundle import Bundle
from latentsr.errors import BundleError
from latentsr.manifest import Route
from latentsr.pipeline import image_steps, jpeg_step
from latentsr.pipeline.steps import (
    CODING,
    ENCODERS,
    PARAMETERS,
    STEPS,
    Step,
    inputs_of,
    outputs_of,
)

_PICTURE, _PLANES = "a picture", "planes"
_TAKES_PICTURES = ("pad", "resize", "reduce", "jpeg_encode")
_MAKES_PICTURES = ("picture", "resize", "reduce", "jpeg_decode")


def check(name: str, route: Route, bundle: Bundle) -> None:
    """Raise BundleError where a route names an unknown step, graph, chunk or value."""
    known = {"picture": _PICTURE} if route.kind == "encode" else {}
    # A list: what a step names may be any JSON value, even one that cannot be hashed.
    chunks = [chunk.name for chunk in bundle.manifest.chunks]
    for number, step in enumerate(route.steps):
        fault = _fault(step, known, bundle, chunks)
        if fault:
            raise BundleError(
                f"route {name}, step {number} is wrong: found {dict(step)}, expected {fault}; "
                "export the bundle again"
            )
        made = _PICTURE if step["op"] in _MAKES_PICTURES else _PLANES
        known |= dict.fromkeys(outputs_of(step), made)
    coded = [step["chunk"] for step in route.steps if step["op"] in ENCODERS]
    if route.kind == "encode" and sorted(coded) != sorted(chunks):
        raise BundleError(
            f"route {name} codes the wrong chunks: found {coded}, expected {chunks}, each once; "
            "export the bundle again"
        )
    if route.kind == "decode" and "picture" not in known:
        raise BundleError(f"route {name} makes no picture: expected a step with out 'picture'")


def _fault(step: Step, known: Mapping[str, str], bundle: Bundle, chunks: list[str]) -> str | None:
    op = step.get("op")
    if not isinstance(op, str) or op not in STEPS:
        return f"an op among {', '.join(STEPS)}"
    if op == "graph":
        name = step.get("graph")
        graph = bundle.manifest.graphs.get(name) if isinstance(name, str) else None
        if graph is None:
            return f"a graph among {', '.join(bundle.manifest.graphs)}"
        if not _is_names(step, "in", len(graph.inputs)) or not _is_names(
            step, "out", len(graph.outputs)
        ):
            return f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
    if op in CODING:
        wrong = _coding_fault(step, bundle, chunks)
        if wrong:
            return wrong
    scale = step.get("scale", 1)
    if not isinstance(scale, int) or not 1 <= scale <= 64:
        return "a scale of 1..64"
    if "multiple" in step and (op != "pad" or not _is_multiple(step["multiple"])):
        return "a multiple of 1..256 in pad steps only"
    if op in ("resize", "reduce") and step.get("filter") not in image_steps.FILTERS:
        return f"a filter among {', '.join(image_steps.FILTERS)}"
    if not all(isinstance(v, str) for v in (*inputs_of(step), *outputs_of(step))):
        return "values given by name"
    missing = set(inputs_of(step)) - set(known)
    if missing:
        return f"values made by earlier steps, not {sorted(missing)}"
    taken = _PICTURE if op in _TAKES_PICTURES else _PLANES
    others = sorted(value for value in set(inputs_of(step)) if known[value] != taken)
    return f"{taken} as its input, not {known[others[0]]} as {others[0]} is" if others else None


def _coding_fault(step: Step, bundle: Bundle, chunks: list[str]) -> str | None:
    """What a step that codes a chunk should say instead, or None where it is right."""
    if step.get("chunk") not in chunks:
        return f"a chunk among {', '.join(sorted(chunks))}"
    chunk = bundle.manifest.chunks[chunks.index(step["chunk"])]
    if chunk.is_file != step["op"].startswith("jpeg"):
        return f"steps for a chunk of model {chunk.model}"
    if chunk.is_file:
        return jpeg_step.fault(step) if step["op"] == "jpeg_encode" else None
    context = chunk.context is not None
    wrong = [key for key in PARAMETERS if (key == "features") != context and key in step]
    if wrong or (context and "features" not in step):
        return "features for a chunk with a context model, for others scales and means"
    return None


def _is_multiple(value: object) -> bool:
    return type(value) is int and 1 <= value <= 256


def _is_names(step: Step, key: str, count: int) -> bool:
    names = step.get(key)
    return isinstance(names, list) and len(names) == count
