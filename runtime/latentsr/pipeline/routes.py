"""Routes: a route is a list of steps, a step is a JSON object, and `execute` runs them.

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
of a float graph. `scales` belongs to gaussian chunks, `means` is optional. Where the list says
picture, a step takes or makes uint8 HWC, elsewhere float32 NCHW. Unknown steps, graphs, chunks and
values, and values of the other kind, are refused before anything runs. A new system is a new list
of steps, not a new branch here.
"""

from __future__ import annotations

from latentsr.manifest import Route
from latentsr.pipeline.route_check import check
from latentsr.pipeline.run import Machine, Run, entropy_models
from latentsr.pipeline.steps import (
    CODING,
    DECODERS,
    ENCODERS,
    STEPS,
    Step,
    describe,
    inputs_of,
    outputs_of,
)

__all__ = [
    "CODING",
    "DECODERS",
    "ENCODERS",
    "STEPS",
    "Machine",
    "Run",
    "Step",
    "check",
    "describe",
    "entropy_models",
    "execute",
    "inputs_of",
    "outputs_of",
]


def execute(route: Route, run: Run, machine: Machine) -> None:
    """Run all steps in order; leaves results in `run`."""
    for step in route.steps:
        kind, name = describe(step)
        with run.timeline.stage(name, kind) as stage:
            STEPS[step["op"]][1](step, run, machine, stage)
