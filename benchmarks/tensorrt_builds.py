"""What NVIDIA's own parser and builder say of every graph: TensorRT for RTX builds without a GPU.

python benchmarks/tensorrt_builds.py [BUNDLES...] [--sr WEIGHTS...] [--families all]
    [--presets all] --pictures PICTURES... [--out results.json]

Each graph of a bundle is parsed as a strongly typed network and built into a plan for inputs of
sides from 16 to 256: as it is, its FP16 variant, and the pieces that run in tiles. Bundles and SR
weights without FP16 variants get them first, calibrated on the pictures; families and presets have
seeded weights, see families.py and fp16_families.py. `half`: layers whose samples the parsed
network has in FP16, `float` those in FP32; where a graph is refused, `refused` says why. Exit code
1 where any is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from families import FAMILIES, likely
from fp16 import chosen
from fp16_families import NARROWED
from machine import describe_machine

from latentsr.backends.profiles import Profile
from latentsr.backends.tensorrt_api import RTX, library
from latentsr.backends.tensorrt_build import TURING, BuildOptions, Built, build_plan
from latentsr.bundle import Bundle
from latentsr.errors import BackendError
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr_export import exporter
from latentsr_export.fp16.convert import convert
from latentsr_export.fp16.gate import crops, reduced
from latentsr_export.fp16.variants import add_fp16
from latentsr_export.parts import GraphSpec
from latentsr_export.pixel_sr import load_pixel_sr
from latentsr_export.presets import PRESETS
from latentsr_export.presets.export import export_preset
from latentsr_export.trace import trace

SIDES = (16, 64, 256)
Pictures = Sequence[np.ndarray]


def row(data: bytes, label: str, fp16: bool) -> dict[str, Any]:
    """One graph, for Ampere and later, and for Turing."""
    try:
        _built(data, label, fp16, TURING)
        begin = time.perf_counter()
        built = _built(data, label, fp16, "")
    except BackendError as error:
        return {"refused": str(error)}
    seconds = round(time.perf_counter() - begin, 2)
    types = [layer["Precision"] for layer in built.parsed]
    return {"layers": len(types), "half": types.count("HALF"), "float": types.count("FLOAT"),
            "plan_bytes": len(built.plan), "seconds": seconds}  # fmt: skip


def _built(data: bytes, label: str, fp16: bool, target: str) -> Built:
    options = BuildOptions(fp16=fp16, target=target)
    return build_plan(data, label, profile(data), options, library(RTX))


def profile(data: bytes) -> Profile:
    """Sides from 16 to 256 wherever the graph leaves them open."""
    inputs = onnx.load_model_from_string(data).graph.input
    parts = [
        {port.name: tuple(d.dim_value or side for d in port.type.tensor_type.shape.dim)
         for port in inputs} for side in SIDES
    ]  # fmt: skip
    return Profile(*parts)


def bundle_rows(bundle: Bundle) -> dict[str, Any]:
    return {label: row(data, label, label.endswith(" fp16"))
            for label, data in bundle.every_graph()}  # fmt: skip


def with_fp16(bundle: Bundle, pictures: Pictures) -> dict[str, Any]:
    if any(graph.variants for graph in bundle.manifest.graphs.values()):
        return bundle_rows(bundle)
    with tempfile.TemporaryDirectory() as place:
        return bundle_rows(add_fp16(bundle, Path(place) / "half.lsr", pictures))


def family_rows(family: str, pictures: Pictures) -> dict[str, Any]:
    corner = torch.from_numpy(pictures[0].copy()).permute(2, 0, 1)[None].float() / 255
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "codec.pth"
        torch.save(likely(family, corner).state_dict(), file)
        made = exporter.export(file, file.with_suffix(".lsr"), random_weights=True)
        return with_fp16(made, pictures)


def preset_rows(name: str, pictures: Pictures) -> dict[str, Any]:
    options = NARROWED.get(name, {})
    with tempfile.TemporaryDirectory() as place:
        made = export_preset(name, Path(place) / "preset.lsr", random=True, options=options)
        return with_fp16(made, pictures)


def network_rows(path: Path, pictures: Pictures) -> dict[str, Any]:
    """One SR network's weights, traced and converted alone."""
    network = load_pixel_sr(path)
    data = trace(path.stem, GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture"))
    samples = [
        {"x": np.ascontiguousarray(reduced(picture, network.scale).transpose(2, 0, 1)[None] / 255,
                                   np.float32)} for picture in crops(pictures, network.scale)
    ]  # fmt: skip
    half = convert(data, samples).data
    return {"fp32": row(data, path.stem, False), "fp16": row(half, path.stem, True)}


def corners(pictures: Pictures) -> Pictures:
    """Calibration reads ranges only, which no build depends on."""
    return [picture[:128, :192].copy() for picture in pictures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*")
    parser.add_argument("--pictures", nargs="+", required=True)
    parser.add_argument("--sr", nargs="*", type=Path, default=[])
    parser.add_argument("--families", nargs="*", default=[], help="names, or all")
    parser.add_argument("--presets", nargs="*", default=[], help="names, or all")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = corners([to_rgb8(path) for path in expand(given.pictures, PICTURES)])
    makers: dict[str, dict[str, Callable[[], Any]]] = {
        "bundles": {Path(b).stem: lambda b=b: with_fp16(Bundle(b), pictures)
                    for b in given.bundles},
        "networks": {p.stem: lambda p=p: network_rows(p, pictures) for p in given.sr},
        "families": {f: lambda f=f: family_rows(f, pictures)
                     for f in chosen(given.families, FAMILIES)},
        "presets": {p: lambda p=p: preset_rows(p, pictures)
                    for p in chosen(given.presets, (preset.name for preset in PRESETS))},
    }  # fmt: skip
    result: dict[str, Any] = {
        "machine": describe_machine("onnx", "tensorrt_rtx"), "sides": SIDES, "narrowed": NARROWED,
    }  # fmt: skip
    refused = 0
    for kind, rows in makers.items():
        for name, make in rows.items():
            found = result.setdefault(kind, {})[name] = make()
            for label, each in found.items():
                refused += "refused" in each
                print(name, label, json.dumps(each), flush=True)
            if given.out:
                given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{refused} graphs refused")
    sys.exit(refused > 0)


if __name__ == "__main__":
    main()
