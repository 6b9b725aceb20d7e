"""What integer context models cost: bytes of y and picture quality, against the float network.

python benchmarks/context_rate.py CHECKPOINT PICTURES... [--without CHECKPOINT] [--out results.json]

CHECKPOINT: trained weights of a codec with a context model. Both paths get the same y and ẑ and
are coded in one form (`compressai`, whose overhead is next to nothing): the float network as
CompressAI runs it, the integers as our container stores them. PSNR: of the decoded picture against
the original. --without: a codec that was trained without a context model, from the same transforms
and on the same pictures, to see whether the context model helps at all; bytes there are those of y
and z of a `compressai` stream.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.pipeline.context_step import ContextEntropy
from latentsr.report.metrics import psnr
from latentsr_export import exporter


def measure(codec: Codec, picture: np.ndarray) -> dict[str, float]:
    """Bytes and PSNR of one picture by both paths."""
    step = codec.machine.entropy["y"]
    assert isinstance(step, ContextEntropy) and step.exact is not None
    exact = codec.run_encode(picture, "encode", True)
    scan = step.exact.quantise(exact.values["features"][0], exact.values["y"][0], 1)
    integer = len(step.coder.encode(scan.scan_symbols, scan.scan_indexes, form="compressai"))
    plain = codec.encode(picture, exact=False)
    pictures = [codec.decode(data, "lr") for data in (codec.encode(picture), plain)]
    y, z = (len(codec.open_stream(plain).chunks[i]) for i in (1, 0))
    return {
        "bytes_integer": integer, "bytes_float": y, "cost_percent": 100 * (integer / y - 1),
        "psnr_integer": psnr(pictures[0], picture), "psnr_float": psnr(pictures[1], picture),
        "bytes_float_with_z": y + z,
    }  # fmt: skip


def measure_without(codec: Codec, picture: np.ndarray) -> dict[str, float]:
    """Bytes of y and z, and PSNR, of the codec without a context model."""
    data = codec.encode(picture, exact=False)
    size = sum(map(len, codec.open_stream(data).chunks))
    return {"bytes_float_with_z": size, "psnr_float": psnr(codec.decode(data, "lr"), picture)}


def loaded(checkpoint: Path, folder: str) -> Codec:
    exporter.export(checkpoint, Path(folder) / f"{checkpoint.stem}.lsr")
    return latentsr.load(Path(folder) / f"{checkpoint.stem}.lsr", threads=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--without", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    files = expand(given.pictures, PICTURES)
    result: dict[str, Any] = {"machine": describe_machine()}
    with tempfile.TemporaryDirectory() as folder:
        codec = loaded(given.checkpoint, folder)
        manifest = codec.bundle.manifest
        rows = {file.name: measure(codec, to_rgb8(file)) for file in files}
        costs = [row["cost_percent"] for row in rows.values()]
        result |= {
            "family": manifest.family, "channels": manifest.raw["codec"]["channels"],
            "mean_cost_percent": statistics.fmean(costs), "worst_cost_percent": max(costs),
            "largest_psnr_loss": max(r["psnr_float"] - r["psnr_integer"] for r in rows.values()),
            "bytes_float_with_z": sum(r["bytes_float_with_z"] for r in rows.values()),
            "psnr_float": statistics.fmean(r["psnr_float"] for r in rows.values()),
        }  # fmt: skip
        if given.without:
            other = loaded(given.without, folder)
            found = [measure_without(other, to_rgb8(file)) for file in files]
            result["without"] = {
                "family": other.bundle.manifest.family,
                "bytes_float_with_z": sum(r["bytes_float_with_z"] for r in found),
                "psnr_float": statistics.fmean(r["psnr_float"] for r in found),
            }
        print(json.dumps(result, indent=1))
        result["pictures"] = rows
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
