"""What FP16 costs a bundle: parity of its graphs, change of its routes, GDN that is louder inside.

See fp16.py for what the figures are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr_export.fp16.calibration import Sample, ranges
from latentsr_export.fp16.convert import convert
from latentsr_export.fp16.emulation import emulated
from latentsr_export.fp16.exponents import LINEAR, Plan
from latentsr_export.fp16.flow import finish, read_flow
from latentsr_export.fp16.gate import cases, difference, record
from latentsr_export.fp16.gdn import Gdn, find_gdns
from latentsr_export.fp16.halves import Typed
from latentsr_export.fp16.rescale import Rescaled
from latentsr_export.fp16.variants import add_fp16, convertible
from latentsr_export.trace import weights_bytes

Samples = Mapping[str, Sequence[Sample]]
LOUD = 8
FIELDS = ("nodes", "islands", "gdn", "rescaled", "weights_bytes", "parity")


def bundle_rows(name: str, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Parity of a bundle's graphs and change of its routes."""
    with tempfile.TemporaryDirectory() as folder:
        made = add_fp16(Bundle(name), Path(folder) / "half.lsr", pictures)
        raw = made.manifest.raw
    graphs = {
        graph: {"weights_bytes_fp32": weights(Bundle(name).graph(graph)),
                **{key: entry["variants"]["fp16"][key] for key in FIELDS}}
        for graph, entry in raw["graphs"].items() if "variants" in entry
    }  # fmt: skip
    return {"codec": raw["codec"], "graphs": graphs, "routes": raw["fp16"]["routes"],
            "loud": loud_rows(Bundle(name), inputs(Bundle(name), pictures[:2]))}  # fmt: skip


def inputs(bundle: Bundle, pictures: Sequence[np.ndarray]) -> Samples:
    """What each graph meets on the gate's crops of the pictures."""
    codec = Codec(bundle, "ort", EngineOptions())
    return record(codec, cases(codec, pictures))[0]


def loud_rows(bundle: Bundle, samples: Samples) -> dict[str, Any]:
    """dB against float32 where GDN layers see larger values, of ours and of the naive FP16."""
    rows = {}
    for name in convertible(bundle):
        data, met = bundle.graph(name), samples.get(name)
        gdns = find_gdns(read_flow(data))
        if not met or not gdns:
            continue
        quiet = finish(read_flow(data).model)
        loud = _louder(data, gdns, met)
        half = convert(loud, met)
        port = bundle.manifest.graphs[name].outputs[0]
        full, same, ours, plain = (
            [each.run(sample)[port] for sample in met]
            for each in map(engine, (quiet, loud, half.emulation, naive(loud)))
        )
        rows[name] = {
            "equal_in_fp32": all(map(np.array_equal, full, same)),
            "fp16_psnr_db": difference(full, ours)["psnr_db"], "gdn": half.report["gdn"],
            **naive_row(full, plain),
        }  # fmt: skip
    return rows


def naive_row(full: Sequence[np.ndarray], plain: Sequence[np.ndarray]) -> dict[str, Any]:
    """dB of what the naive conversion makes, or that it is not finite."""
    broken = any(not np.isfinite(values).all() for values in plain)
    return {"naive_psnr_db": None if broken else difference(full, plain)["psnr_db"],
            "naive_is_nan": broken}  # fmt: skip


def _louder(data: bytes, gdns: Sequence[Gdn], samples: Sequence[Sample]) -> bytes:
    """The graph with what GDN layers square times 2^LOUD; x · root comes out times 2^2 LOUD.

    Only layers behind convolutions, which take the difference. Behind x · root, a convolution
    takes it, too, or else a product that `Rescaled` adds.
    """
    flow = read_flow(data)
    chosen = [gdn for gdn in gdns if flow.producer[gdn.x].op_type in LINEAR]
    outs = {
        gdn.out: -2 * LOUD for gdn in chosen if gdn.multiplies
        and all(node.op_type in LINEAR for node in flow.consumers.get(gdn.out, []))
    }  # fmt: skip
    plan = Plan({**outs, **{gdn.x: -LOUD for gdn in chosen}}, dict.fromkeys(chosen, -LOUD))
    return Rescaled(flow, plan, ranges(data, flow.tensors, samples)).write(gdns)


def naive(data: bytes) -> bytes:
    """Every value FP16, whatever its size; emulated."""
    return emulated(Typed(read_flow(data), {}).write())


def weights(data: bytes) -> int:
    """Bytes of a graph's weights."""
    return weights_bytes(onnx.load_from_string(data))


def engine(data: bytes) -> Engine:
    """The graph in ONNX Runtime."""
    return get_backend("ort").load(data, "fp16", EngineOptions())
