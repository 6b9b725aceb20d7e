"""The same symbols on every engine of this machine: CPUs, CUDA, TensorRT, FP32 and FP16.

python benchmarks/gpu/exactness.py BUNDLE [PICTURES ...] [--plans-twice] [--save encoded.lsv]
                                   [--out exactness.json]

Every engine encodes every picture and decodes what every other one encoded; scale indexes and
symbols are compared one by one (`latentsr.report.verify`). With FP16 variants in the bundle the
GPU's engines take part in FP16 as well. --plans-twice: TensorRT plans of the graphs that decide
scales are built again from nothing, since two builds may choose other kernels, and take part as
`tensorrt-again`. --save: leave what was encoded in a file, which `latentsr verify --with` decodes
on machines of other kinds. Exit code 1 where anything differs, or no engine but the CPU's could be
loaded and this is no dry run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentsr.backends import ON_GPU
from latentsr.backends.base import EngineOptions
from latentsr.bench.machine import describe_machine
from latentsr.bundle import DEMO, Bundle
from latentsr.codec import Codec
from latentsr.errors import LatentSRError
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.plans.cache import Cache
from latentsr.report.verify import available, verify
from latentsr.report.verify_file import write


def with_fp16(bundle: str, codecs: dict[str, Codec]) -> None:
    """Add the GPU's engines in FP16."""
    opened = Bundle(bundle)
    if not any("fp16" in graph.variants for graph in opened.manifest.graphs.values()):
        return
    for backend in ON_GPU:
        if f"{backend}-cuda" in codecs:
            options = EngineOptions(device="cuda", precision="fp16")
            codecs[f"{backend}-cuda-fp16"] = Codec(opened, backend, options)


def pictures_of(names: list[str], dry: bool) -> list[np.ndarray]:
    """The pictures, or the shipped one in three sizes."""
    if names:
        return [to_rgb8(path) for path in expand(names, PICTURES)]
    with Image.open(DEMO.parent / "coffee.png") as image:
        whole = image.convert("RGB")
    sizes = [(333, 251), (97, 64)] if dry else [whole.size, (333, 251), (97, 64)]
    return [np.asarray(whole.resize(size, Image.Resampling.BICUBIC)) for size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--plans-twice", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--out", type=Path, default=Path("exactness.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(given, Path(folder))
    given.out.write_text(json.dumps(result, indent=1))
    counts = {key: result[key] for key in ("differing_indexes", "differing_symbols", "desyncs")}
    print(f"{result['symbols']} symbols each way: {counts}; {result['runs_on']}")
    for name, reason in result["failed"].items():
        print(f"left out: {name}: {reason}")
    differs = any(counts.values())
    on_gpu = any("-cuda" in name for name in result["combinations"])
    sys.exit(1 if differs or not (on_gpu or given.dry_run) else 0)


def run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Figures of `verify` over all engines here, and where each really ran."""
    codecs = available(given.bundle)
    with_fp16(given.bundle, codecs)
    if given.plans_twice and "tensorrt-cuda" in codecs:
        options = EngineOptions(device="cuda", cache=Cache(folder))
        codecs["tensorrt-again"] = Codec(Bundle(given.bundle), "tensorrt", options)
    pictures, lost = pictures_of(given.pictures, given.dry_run), {}
    for name in list(codecs):  # an engine that fails must not hide what the others do
        try:
            codecs[name].encode(pictures[-1])
        except LatentSRError as error:
            lost[name] = str(error)[:400]
            del codecs[name]
    found = verify(codecs, pictures, keep=given.save is not None)
    if given.save is not None:
        write(given.save, found.encoded)
    where = {name: codec.runs_on("lr") for name, codec in codecs.items()}
    return {"machine": describe_machine(), **found.as_dict(), "runs_on": where, "failed": lost}


if __name__ == "__main__":
    main()
