"""The kinds of steps: what each takes, sets and does; `pipeline.routes` specifies them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from latentsr.backends.values import Resident, as_it_is, for_engine, on_host
from latentsr.decode_checks import check_planes
from latentsr.errors import BundleError, StreamError
from latentsr.pipeline import image_steps, jpeg_step
from latentsr.pipeline.run import Machine, Run
from latentsr.timing import Stage

Step = Mapping[str, Any]
ON_GPU = " on cuda"  # what follows the stage name of a step that was coded there
PARAMETERS = ("scales", "means", "features")  # what an entropy step may take besides


def describe(step: Step) -> tuple[str, str]:
    """Kind and stage name of a step."""
    kind = STEPS[step["op"]][0]
    subject = step.get("graph") or step.get("chunk")
    if step["op"] == "graph":
        return kind, str(subject)
    return kind, f"{step['op']} {subject}" if subject else str(step["op"])


def inputs_of(step: Step) -> list[Any]:
    """Names of the values that a step takes."""
    names = [step[key] for key in PARAMETERS if step.get(key) is not None]
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
    outputs = engine.run_lean(inputs) if run.lean else engine.run(inputs)
    missing = set(graph.outputs) - set(outputs)
    if missing:
        raise BundleError(f"graph {step['graph']} lacks outputs {sorted(missing)}; export again")
    for port, value in zip(graph.outputs, step["out"], strict=True):
        check_planes(step["graph"], port, outputs[port])
        run.values[value] = outputs[port]


def _given(step: Step, key: str, run: Run) -> Any:
    return run.values[step[key]] if step.get(key) is not None else None


def _entropy_encode(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    model: Any = machine.entropy[step["chunk"]]
    given = [_given(step, key, run) for key in model.INPUTS]
    data, latent, symbols = model.encode(run.values[step["in"]], *given, run)
    stage.name += ON_GPU if isinstance(symbols, Resident) else ""
    run.chunks[step["chunk"]] = data
    run.values[step["out"]] = latent
    run.symbol_crc = model.crc(symbols, run.symbol_crc)


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


def _pad(step: Step, run: Run, machine: Machine, stage: Stage) -> None:
    del stage
    image = on_host(run.values[step["in"]])
    run.values[step["out"]] = image_steps.pad(image, run, step, machine.planes)


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
    "pad": ("image", _pad),
    "crop": ("image", _image(image_steps.crop, as_it_is)),
    "clamp": ("image", _image(image_steps.clamp, as_it_is)),
    "picture": ("image", _image(image_steps.picture, as_it_is)),
    "resize": ("image", _image(image_steps.resize)),
    "reduce": ("image", _image(image_steps.reduce)),
}
ENCODERS = ("entropy_encode", "jpeg_encode")
DECODERS = ("entropy_decode", "jpeg_decode")
CODING = (*ENCODERS, *DECODERS)
