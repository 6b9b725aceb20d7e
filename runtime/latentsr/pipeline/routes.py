"""Routes: a route is a list of steps, a step is a JSON object, and this file runs them.

Steps work on named values. An encode route starts with ``picture`` (uint8 HWC); a decode route
starts with nothing but the stream and ends by setting ``picture``. The steps::

    {"op": "graph", "graph": G, "in": [values], "out": [values]}     run an engine, by position
    {"op": "entropy_encode", "chunk": C, "in": v, "out": v_hat, "scales": s, "means": m}
    {"op": "entropy_decode", "chunk": C, "out": v_hat, "scales": s, "means": m}
    {"op": "entropy_...", ..., "features": f}         chunks with a context model, no scales, means
    {"op": "jpeg_encode", "chunk": C, "in": picture, "quality": q, "subsampling": "4:2:0"}
    {"op": "jpeg_decode", "chunk": C, "out": picture}
    {"op": "pad", "in": picture, "out": x, "multiple": m}
                                                      uint8 HWC → float32 NCHW 0..1, edge-padded
    {"op": "crop", "in": x, "out": x, "scale": k}     remove k times the padding, a view of NCHW
    {"op": "clamp", "in": x, "out": x}                limit to 0..1
    {"op": "picture", "in": x, "out": picture}        float32 NCHW 0..1 → uint8 HWC, rounded
    {"op": "resize", "in": picture, "out": picture, "scale": k, "filter": "bicubic"}
    {"op": "reduce", "in": picture, "out": picture, "scale": k, "filter": "bicubic"}

On encoding `pad` fills sides up to multiples of m, by default the bundle's, and the stream's size
is that of the picture that the last `pad` or `jpeg_encode` gets: a picture of 501x333 that
`reduce` takes by 4 is coded as 126x84, and comes back as 504x336.
Streams whose scales are exact run the twin that the manifest names under `entropy.exact` in place
of a float graph. `scales` belongs to gaussian chunks, `means` is optional. Unknown steps, graphs,
chunks and values are refused before anything runs. A new system is a new list of steps, not a new
branch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentsr.backends.base import Engine
from latentsr.backends.values import Resident, as_it_is, for_engine, on_host
from latentsr.bundle import Bundle
from latentsr.entropy.coder import Coder
from latentsr.entropy.repair import Repair
from latentsr.errors import BundleError, StreamError
from latentsr.manifest import Route
from latentsr.pipeline import image_steps, jpeg_step
from latentsr.pipeline.context_step import ContextEntropy
from latentsr.pipeline.entropy_step import EntropyModel
from latentsr.stream import Padding
from latentsr.timing import Stage, Timeline

Step = Mapping[str, Any]
ON_GPU = " on cuda"  # what follows the stage name of a step that was decoded there
_PARAMETERS = ("scales", "means", "features")  # what an entropy step may take besides


@dataclass
class Run:
    """One call of a route: the picture's geometry, the named values, what was coded, the times.

    threads: that may share an image step of a large picture. multiple, centred: how an encode
    route pads, see `image_steps.Geometry`. symbols: int32 (1, C, h, w) of each latent that was
    decoded, perhaps on a device.
    """

    width: int
    height: int
    padding: Padding
    form: str = "compressai"
    exact: bool = False
    threads: int = 1
    multiple: int = 0
    centred: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    chunks: dict[str, bytes] = field(default_factory=dict)
    symbols: dict[str, np.ndarray] = field(default_factory=dict)
    symbol_crc: int = 0
    repairs: list[Repair] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width after padding."""
        pad = self.padding
        return self.height + pad.top + pad.bottom, self.width + pad.left + pad.right


@dataclass(frozen=True)
class Machine:
    """What steps run on: the bundle, its entropy models, and engines by graph name."""

    bundle: Bundle
    entropy: Mapping[str, EntropyModel | ContextEntropy]
    engine: Callable[[str], Engine]


def entropy_models(bundle: Bundle, threads: int) -> dict[str, EntropyModel | ContextEntropy]:
    """What codes each chunk, by its name; BundleError where its tensors are wrong."""
    found: dict[str, EntropyModel | ContextEntropy] = {}
    coders: dict[tuple[str, int], Coder] = {}
    for chunk in bundle.manifest.chunks:
        if chunk.is_file:
            continue
        if chunk.context is not None:
            found[chunk.name] = ContextEntropy(bundle, chunk, threads)
            continue
        key = chunk.tables, chunk.skip
        shared = coders.get(key) if chunk.model == "gaussian" else None
        model = found[chunk.name] = EntropyModel(bundle, chunk, threads, shared)
        coders[key] = model.coder
    return found


def execute(route: Route, run: Run, machine: Machine) -> None:
    """Run all steps in order; leaves results in `run`."""
    for step in route.steps:
        kind, name = describe(step)
        with run.timeline.stage(name, kind) as stage:
            STEPS[step["op"]][1](step, run, machine, stage)


def describe(step: Step) -> tuple[str, str]:
    """Kind and stage name of a step."""
    kind = STEPS[step["op"]][0]
    subject = step.get("graph") or step.get("chunk")
    if step["op"] == "graph":
        return kind, str(subject)
    return kind, f"{step['op']} {subject}" if subject else str(step["op"])


def check(name: str, route: Route, bundle: Bundle) -> None:
    """Raise BundleError where a route names an unknown step, graph, chunk or value."""
    known = {"picture"} if route.kind == "encode" else set()
    # A list: what a step names may be any JSON value, even one that cannot be hashed.
    chunks = [chunk.name for chunk in bundle.manifest.chunks]
    for number, step in enumerate(route.steps):
        fault = _fault(step, known, bundle, chunks)
        if fault:
            raise BundleError(
                f"route {name}, step {number} is wrong: found {dict(step)}, expected {fault}; "
                "export the bundle again"
            )
        known |= set(outputs_of(step))
    coded = [step["chunk"] for step in route.steps if step["op"] in ENCODERS]
    if route.kind == "encode" and sorted(coded) != sorted(chunks):
        raise BundleError(
            f"route {name} codes the wrong chunks: found {coded}, expected {chunks}, each once; "
            "export the bundle again"
        )
    if route.kind == "decode" and "picture" not in known:
        raise BundleError(f"route {name} makes no picture: expected a step with out 'picture'")


def _fault(step: Step, known: set[str], bundle: Bundle, chunks: list[str]) -> str | None:
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
    missing = set(inputs_of(step)) - known
    return f"values made by earlier steps, not {sorted(missing)}" if missing else None


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
    wrong = [key for key in _PARAMETERS if (key == "features") != context and key in step]
    if wrong or (context and "features" not in step):
        return "features for a chunk with a context model, for others scales and means"
    return None


def _is_multiple(value: object) -> bool:
    return type(value) is int and 1 <= value <= 256


def _is_names(step: Step, key: str, count: int) -> bool:
    names = step.get(key)
    return isinstance(names, list) and len(names) == count


def inputs_of(step: Step) -> list[Any]:
    """Names of the values that a step takes."""
    names = [step[key] for key in _PARAMETERS if step.get(key) is not None]
    if step["op"] == "graph":
        return names + list(step["in"])
    return names if step["op"] in DECODERS else [*names, step.get("in")]


def outputs_of(step: Step) -> list[Any]:
    """Names of the values that a step sets."""
    if step["op"] == "graph":
        return list(step["out"])
    return [] if step["op"] == "jpeg_encode" else [step.get("out")]


def _graph(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    manifest = machine.bundle.manifest
    name = manifest.exact.get(step["graph"], step["graph"]) if run.exact else step["graph"]
    graph, engine = manifest.graphs[name], machine.engine(name)
    given = (for_engine(run.values[value]) for value in step["in"])
    inputs = dict(zip(graph.inputs, given, strict=True))
    first = inputs[graph.inputs[0]]
    stage.macs = round(graph.macs_per_position * first.shape[-1] * first.shape[-2])
    outputs = engine.run(inputs)
    missing = set(graph.outputs) - set(outputs)
    if missing:
        raise BundleError(f"graph {step['graph']} lacks outputs {sorted(missing)}; export again")
    for port, value in zip(graph.outputs, step["out"], strict=True):
        run.values[value] = outputs[port]


def _given(step: Step, key: str, run: Run) -> Any:
    return run.values[step[key]] if step.get(key) is not None else None


def _entropy_encode(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    del stage
    model: Any = machine.entropy[step["chunk"]]
    given = [_given(step, key, run) for key in model.INPUTS]
    data, latent, crc = model.encode(on_host(run.values[step["in"]]), *given, run)
    run.chunks[step["chunk"]] = data
    run.values[step["out"]] = latent
    run.symbol_crc = model.crc(crc, run.symbol_crc)


def _entropy_decode(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    model: Any = machine.entropy[step["chunk"]]
    given = [_given(step, key, run) for key in model.INPUTS]
    latent, symbols = model.decode(_chunk(step, run), run.padded_size, *given, run)
    stage.name += ON_GPU if isinstance(symbols, Resident) else ""
    run.values[step["out"]] = latent
    run.symbols[step["chunk"]] = symbols
    run.symbol_crc = model.crc(symbols, run.symbol_crc)


def _chunk(step: Step, run: Run) -> bytes:
    if step["chunk"] not in run.chunks:
        raise StreamError(f"stream lacks chunk {step['chunk']}; decode with its own bundle")
    return run.chunks[step["chunk"]]


def _jpeg_encode(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    del machine, stage
    run.chunks[step["chunk"]] = jpeg_step.encode(run.values[step["in"]], run, step)


def _jpeg_decode(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    del machine, stage
    run.values[step["out"]] = jpeg_step.decode(_chunk(step, run), run)


def _image(
    function: Callable[..., Any], take: Callable[[Any], Any] = on_host
) -> Callable[[Step, Run, Machine, Stage], None]:
    def apply(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
        del machine, stage
        run.values[step["out"]] = function(take(run.values[step["in"]]), run, step)

    return apply


STEPS: dict[str, tuple[str, Callable[[Step, Run, Machine, Stage], None]]] = {
    "graph": ("engine", _graph),
    "entropy_encode": ("entropy", _entropy_encode),
    "entropy_decode": ("entropy", _entropy_decode),
    "jpeg_encode": ("image", _jpeg_encode),
    "jpeg_decode": ("image", _jpeg_decode),
    "pad": ("image", _image(image_steps.pad)),
    "crop": ("image", _image(image_steps.crop, as_it_is)),
    "clamp": ("image", _image(image_steps.clamp, as_it_is)),
    "picture": ("image", _image(image_steps.picture, as_it_is)),
    "resize": ("image", _image(image_steps.resize)),
    "reduce": ("image", _image(image_steps.reduce)),
}
ENCODERS = ("entropy_encode", "jpeg_encode")
DECODERS = ("entropy_decode", "jpeg_decode")
CODING = (*ENCODERS, *DECODERS)
