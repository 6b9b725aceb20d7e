"""What exact entropy parameters cost: bytes, picture quality and time, against the float ones.

python benchmarks/exact_cost.py BUNDLES... --pictures PICTURES... [--repeats 9] [--out results.json]

Both graphs of a bundle get the same ẑ. Bytes: y coded in one form (`compressai`, whose overhead is
next to nothing) with the symbols and scale indexes that each graph leads to. PSNR: of the picture
decoded by the `lr` route against the original. Time: both graphs in turn on the same ẑ, median of
the ratios, with one and with two threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr


def coded(codec: Codec, picture: np.ndarray, exact: bool) -> tuple[int, float, np.ndarray]:
    """Bytes of y, PSNR of the decoded picture, and ẑ."""
    run = codec.run_encode(picture, "encode", exact)
    model = codec.machine.entropy["y"]
    means = run.values.get("means")
    symbols = np.rint(run.values["y"] - (0 if means is None else means)).astype(np.int32)
    indexes = model.indexes(run.values["scales"], symbols.shape, exact)
    size = len(model.coder.encode(symbols, indexes, form="compressai"))
    decoded = codec.decode(codec.encode(picture, exact=exact))
    return size, psnr(decoded, picture), run.values["z_hat"]


def ratios(bundle: str, latents: list[np.ndarray], threads: int, repeats: int) -> list[float]:
    """Time of the exact graph over that of the float graph, one ratio for each pair of calls."""
    found = []
    with latentsr.load(bundle, threads=threads) as codec:
        (name, twin), *_ = codec.bundle.manifest.exact.items()
        engines = [codec.engine(name), codec.engine(twin)]
        for z_hat in latents:
            for turn in range(repeats + 1):
                spent = []
                for engine in engines:
                    start = time.perf_counter()
                    engine.run({"z_hat": z_hat})
                    spent.append(time.perf_counter() - start)
                if turn:  # the first is a warm-up
                    found.append(spent[1] / spent[0])
    return found


def cost(bundle: str, pictures: list[np.ndarray], repeats: int) -> dict[str, Any]:
    """Figures of one bundle."""
    rows, latents = [], []
    with latentsr.load(bundle) as codec:
        for picture in pictures:
            before, after = (coded(codec, picture, exact) for exact in (False, True))
            rows.append({"float_bytes": before[0], "exact_bytes": after[0],
                         "percent": 100 * (after[0] / before[0] - 1),
                         "psnr_float": before[1], "psnr_exact": after[1]})  # fmt: skip
            latents.append(after[2])
        facts = codec.bundle.manifest.raw
    percents = [row["percent"] for row in rows]
    changes = [row["psnr_exact"] - row["psnr_float"] for row in rows]
    timed = {
        f"time_ratio_{threads}_threads": statistics.median(
            ratios(bundle, latents[::4], threads, repeats)
        )
        for threads in (1, 2)
    }
    return {
        "codec": facts["codec"], "pictures": len(rows),
        "mean_percent": statistics.mean(percents), "largest_percent": max(percents),
        "mean_psnr_change": statistics.mean(changes),
        "largest_psnr_change": max(changes, key=abs), **timed, "rows": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--pictures", nargs="+", required=True)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = [to_rgb8(path) for path in expand(given.pictures, PICTURES)]
    result: dict[str, Any] = {"machine": describe_machine(), "bundles": {}}
    for bundle in given.bundles:
        found = cost(bundle, pictures, given.repeats)
        result["bundles"][Path(bundle).stem] = found
        print(bundle, json.dumps({k: v for k, v in found.items() if k != "rows"}), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
