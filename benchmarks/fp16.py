"""What FP16 costs: parity of every network, and dB of whole routes, on real pictures.

python benchmarks/fp16.py BUNDLES... --pictures PICTURES... [--sr WEIGHTS...]
    [--sr-pictures PICTURES...] [--out results.json]

Bundles get FP16 variants as `latentsr export --fp16` would write them; SR weights are traced and
converted alone, on the pictures reduced by their scale. FP16 is emulated: every operator computes
in float32, its result is rounded to FP16. `naive` is a conversion of all values without
calibration. The change in dB is that of the PSNR against the original. `loud`: the bundle's graphs
with GDN, made 256 times as loud inside, which in float32 changes no bit of the result.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from machine import describe_machine

from latentsr.backends import get_backend
from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr
from latentsr_export.fp16.calibration import Sample, ranges
from latentsr_export.fp16.convert import convert
from latentsr_export.fp16.emulation import emulated
from latentsr_export.fp16.exponents import LINEAR, Plan
from latentsr_export.fp16.flow import finish, read_flow
from latentsr_export.fp16.gate import cases, crops, difference, record, reduced
from latentsr_export.fp16.gdn import Gdn, find_gdns
from latentsr_export.fp16.halves import Typed
from latentsr_export.fp16.rescale import Rescaled
from latentsr_export.fp16.variants import add_fp16, convertible
from latentsr_export.parts import GraphSpec
from latentsr_export.pixel_sr import load_pixel_sr
from latentsr_export.trace import trace, weights_bytes

LOUD = 8
FIELDS = ("nodes", "islands", "gdn", "rescaled", "weights_bytes", "parity")


def bundle_rows(name: str, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Parity of a bundle's graphs and change of its routes."""
    with tempfile.TemporaryDirectory() as folder:
        made = add_fp16(Bundle(name), Path(folder) / "half.lsr", pictures)
        raw = made.manifest.raw
    graphs = {
        graph: {"weights_bytes_fp32": _weights(Bundle(name).graph(graph)),
                **{key: entry["variants"]["fp16"][key] for key in FIELDS}}
        for graph, entry in raw["graphs"].items() if "variants" in entry
    }  # fmt: skip
    return {"codec": raw["codec"], "graphs": graphs, "routes": raw["fp16"]["routes"],
            "loud": loud_rows(Bundle(name), pictures[:2])}  # fmt: skip


def loud_rows(bundle: Bundle, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """dB against float32 where GDN layers see larger values, of ours and of the naive FP16."""
    codec = Codec(bundle, "ort", EngineOptions())
    samples, _ = record(codec, cases(codec, pictures))
    rows = {}
    for name in convertible(bundle):
        data, met = bundle.graph(name), samples.get(name)
        gdns = find_gdns(read_flow(data))
        if not met or not gdns:
            continue
        quiet = finish(read_flow(data).model)
        loud = _louder(data, gdns, met)
        half, naive = convert(loud, met), emulated(Typed(read_flow(loud), {}).write())
        port = bundle.manifest.graphs[name].outputs[0]
        full, same, ours, plain = (
            [engine.run(sample)[port] for sample in met]
            for engine in map(_engine, (quiet, loud, half.emulation, naive))
        )
        broken = any(not np.isfinite(values).all() for values in plain)
        rows[name] = {
            "equal_in_fp32": all(map(np.array_equal, full, same)),
            "fp16_psnr_db": difference(full, ours)["psnr_db"], "gdn": half.report["gdn"],
            "naive_psnr_db": None if broken else difference(full, plain)["psnr_db"],
            "naive_is_nan": broken,
        }  # fmt: skip
    return rows


def _louder(data: bytes, gdns: Sequence[Gdn], samples: Sequence[Sample]) -> bytes:
    """The graph with what GDN layers square times 2^LOUD; x · root comes out times 2^2 LOUD.

    Only layers between convolutions, which take the difference.
    """
    flow = read_flow(data)
    chosen = [
        gdn for gdn in gdns if flow.producer[gdn.x].op_type in LINEAR
        and all(node.op_type in LINEAR for node in flow.consumers.get(gdn.out, []))
    ]  # fmt: skip
    outs = {gdn.out: -2 * LOUD for gdn in chosen if gdn.multiplies}
    plan = Plan({**outs, **{gdn.x: -LOUD for gdn in chosen}}, dict.fromkeys(chosen, -LOUD))
    return Rescaled(flow, plan, ranges(data, flow.tensors, samples)).write(gdns)


def network_row(path: Path, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Quality of one SR network's pictures in float32, FP16, and converted naively."""
    network = load_pixel_sr(path)
    spec = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture")
    data = trace(path.stem, spec)
    originals = crops(pictures, network.scale)
    samples = [{"x": _planes(reduced(picture, network.scale))} for picture in originals]
    half = convert(data, samples)
    naive = emulated(Typed(read_flow(data), {}).write())
    full, ours, plain = (_run(d, samples) for d in (data, half.emulation, naive))
    rows = [[psnr(_picture(made), original) for made, original in zip(each, originals, strict=True)]
            for each in (full, ours, plain)]  # fmt: skip
    changes = np.array(rows[1]) - np.array(rows[0])
    return {
        "network": network.name, "scale": network.scale, "parameters": network.parameters,
        **{key: half.report[key] for key in FIELDS[:-1]},
        "weights_bytes_fp32": _weights(data), "parity": difference(full, ours),
        "psnr_fp32": float(np.mean(rows[0])), "change_db": float(changes.mean()),
        "worst_db": float(changes.min()),
        "naive_change_db": float(np.mean(np.array(rows[2]) - np.array(rows[0]))),
    }  # fmt: skip


def _weights(data: bytes) -> int:
    return weights_bytes(onnx.load_from_string(data))


def _planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)[np.newaxis] / 255


def _picture(planes: np.ndarray) -> np.ndarray:
    samples = np.nan_to_num(planes[0], nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(samples, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def _engine(data: bytes) -> Engine:
    return get_backend("ort").load(data, "fp16", EngineOptions())


def _run(data: bytes, samples: Sequence[Sample]) -> list[np.ndarray]:
    engine = _engine(data)
    return [engine.run(sample)["hr"] for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--pictures", nargs="+", required=True)
    parser.add_argument("--sr", nargs="*", type=Path, default=[])
    parser.add_argument("--sr-pictures", nargs="*", help="for the SR weights; default: all")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = [to_rgb8(path) for path in expand(given.pictures, PICTURES)]
    shown = [to_rgb8(path) for path in expand(given.sr_pictures or given.pictures, PICTURES)]
    result: dict[str, Any] = {"machine": describe_machine("onnx"), "pictures": len(pictures),
                              "sr_pictures": len(shown), "bundles": {}, "networks": {}}  # fmt: skip
    for bundle in given.bundles:
        found = result["bundles"][Path(bundle).stem] = bundle_rows(bundle, pictures)
        for graph, row in found["graphs"].items():
            print(bundle, graph, row["nodes"], json.dumps(row["parity"]["fp32"]), flush=True)
        for graph, row in found["loud"].items():
            print(bundle, graph, "loud", json.dumps(row), flush=True)
        for route, row in found["routes"].items():
            print(bundle, route, json.dumps(row), flush=True)
    for path in given.sr:
        row = result["networks"][path.stem] = network_row(path, shown)
        keys = ("network", "nodes", "parity", "psnr_fp32", "change_db", "worst_db",
                "naive_change_db")  # fmt: skip
        print(path.stem, json.dumps({key: row[key] for key in keys}), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
