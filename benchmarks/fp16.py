"""What FP16 costs: parity of every network, and dB of whole routes, on real pictures.

python benchmarks/fp16.py [BUNDLES...] --pictures PICTURES... [--sr WEIGHTS...]
    [--sr-pictures PICTURES...] [--families all] [--presets all] [--out results.json]

Bundles get FP16 variants as `latentsr export --fp16` would write them; SR weights are traced and
converted alone, on the pictures reduced by their scale. FP16 is emulated: every operator computes
in float32, its result is rounded to FP16. `naive` is a conversion of all values without
calibration. The change in dB is that of the PSNR against the original. `loud`: the bundle's graphs
with GDN, made 256 times as loud inside, which in float32 changes no bit of the result. Families and
presets have seeded weights: see fp16_families.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from families import FAMILIES
from fp16_families import family_row, preset_row
from fp16_rows import FIELDS, bundle_rows, engine, naive, weights
from machine import describe_machine

from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr
from latentsr_export.fp16.calibration import Sample
from latentsr_export.fp16.convert import convert
from latentsr_export.fp16.gate import crops, difference, reduced
from latentsr_export.parts import GraphSpec
from latentsr_export.pixel_sr import load_pixel_sr
from latentsr_export.presets import PRESETS
from latentsr_export.trace import trace


def network_row(path: Path, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Quality of one SR network's pictures in float32, FP16, and converted naively."""
    network = load_pixel_sr(path)
    spec = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture")
    data = trace(path.stem, spec)
    originals = crops(pictures, network.scale)
    samples = [{"x": _planes(reduced(picture, network.scale))} for picture in originals]
    half = convert(data, samples)
    full, ours, plain = (_run(d, samples) for d in (data, half.emulation, naive(data)))
    rows = [[psnr(_picture(made), original) for made, original in zip(each, originals, strict=True)]
            for each in (full, ours, plain)]  # fmt: skip
    changes = np.array(rows[1]) - np.array(rows[0])
    return {
        "network": network.name, "scale": network.scale, "parameters": network.parameters,
        **{key: half.report[key] for key in FIELDS[:-1]},
        "weights_bytes_fp32": weights(data), "parity": difference(full, ours),
        "psnr_fp32": float(np.mean(rows[0])), "change_db": float(changes.mean()),
        "worst_db": float(changes.min()),
        "naive_change_db": float(np.mean(np.array(rows[2]) - np.array(rows[0]))),
    }  # fmt: skip


def _planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)[np.newaxis] / 255


def _picture(planes: np.ndarray) -> np.ndarray:
    samples = np.nan_to_num(planes[0], nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(samples, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def _run(data: bytes, samples: Sequence[Sample]) -> list[np.ndarray]:
    half = engine(data)
    return [half.run(sample)["hr"] for sample in samples]


def chosen(given: Sequence[str], known: Iterable[str]) -> list[str]:
    """The names given, or all where that is said."""
    return list(known) if list(given) == ["all"] else list(given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*")
    parser.add_argument("--pictures", nargs="+", required=True)
    parser.add_argument("--sr", nargs="*", type=Path, default=[])
    parser.add_argument("--sr-pictures", nargs="*", help="for the SR weights; default: all")
    parser.add_argument("--families", nargs="*", default=[], help="names, or all")
    parser.add_argument("--presets", nargs="*", default=[], help="names, or all")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = [to_rgb8(path) for path in expand(given.pictures, PICTURES)]
    shown = [to_rgb8(path) for path in expand(given.sr_pictures or given.pictures, PICTURES)]
    rows: dict[str, dict[str, Callable[[], Any]]] = {
        "bundles": {Path(b).stem: lambda b=b: bundle_rows(b, pictures) for b in given.bundles},
        "networks": {path.stem: lambda path=path: network_row(path, shown) for path in given.sr},
        "families": {f: lambda f=f: family_row(f, pictures)
                     for f in chosen(given.families, FAMILIES)},
        "presets": {p: lambda p=p: preset_row(p, pictures)
                    for p in chosen(given.presets, (preset.name for preset in PRESETS))},
    }  # fmt: skip
    result: dict[str, Any] = {"machine": describe_machine("onnx"), "pictures": len(pictures),
                              "sr_pictures": len(shown)}  # fmt: skip
    for kind, makers in rows.items():
        for name, make in makers.items():
            row = result.setdefault(kind, {})[name] = make()
            show(name, row)
            if given.out:
                given.out.write_text(json.dumps(result, indent=1) + "\n")


def show(name: str, row: dict[str, Any]) -> None:
    """Prints what a row says, a line for each graph and route."""
    if "graphs" not in row:
        keys = ("network", "nodes", "parity", "psnr_fp32", "change_db", "worst_db",
                "naive_change_db")  # fmt: skip
        print(name, json.dumps({key: row[key] for key in keys}), flush=True)
        return
    for kind in ("graphs", "loud", "routes"):
        for part, found in row[kind].items():
            print(name, kind, part, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
