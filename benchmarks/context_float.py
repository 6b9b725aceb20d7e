"""CompressAI's own autoregressive strings (mbt2018), read by CompressAI and here, on one core.

python benchmarks/context_float.py PICTURES... [--checkpoint mbt.pth] [--channels 192] [--timed 3]
    [--out results.json]

The network is a checkpoint's, or one with seeded weights that are scaled so that latents have
likely statistics (context_models.py). Each picture is compressed by CompressAI and decoded here:
are the symbols those that went in, how many table rows had to be changed, how long did it take? The
first pictures are also timed against CompressAI's `decompress`, in turn and in this process, with
one thread each: the latent alone, and from strings to the picture. Both sides' networks before and
after the latent run in torch, so that only the reading of the latent differs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import context_models
import numpy as np
import torch
from machine import describe_machine

from latentsr.entropy import Coder, Tables
from latentsr.entropy.float_context import FloatContext
from latentsr.errors import CorruptStream
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8

ROUNDS = 3


def read_picture(path: Path) -> torch.Tensor:
    """Float32 (1, 3, H, W), cut to multiples of 64."""
    pixels = to_rgb8(path)
    height, width = (side // 64 * 64 for side in pixels.shape[:2])
    cut = torch.from_numpy(pixels[:height, :width].astype(np.float32) / 255)
    return cut.permute(2, 0, 1)[None].contiguous()


class Reader:
    """Both ways to read one model's strings."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.arrays = context_models.tensors(network)
        gaussian = network.gaussian_conditional
        parts = (gaussian.quantized_cdf, gaussian.cdf_length, gaussian.offset)
        coder = Coder(Tables(*(part.numpy() for part in parts)))
        self.context = FloatContext.from_tensors(coder, self.arrays)

    def features(self, out: dict[str, Any]) -> np.ndarray:
        z_hat = self.network.entropy_bottleneck.decompress(out["strings"][1], out["shape"])
        return context_models.features(self.network, z_hat, self.arrays)

    def ours(self, out: dict[str, Any]) -> torch.Tensor:
        with torch.no_grad():
            read = self.context.decode(out["strings"][0][0], self.features(out))
            return self.network.g_s(torch.from_numpy(read.latent)[None]).clamp_(0, 1)

    def theirs(self, out: dict[str, Any]) -> torch.Tensor:
        with torch.no_grad():
            return self.network.decompress(out["strings"], out["shape"])["x_hat"]

    def their_latent(self, out: dict[str, Any]) -> None:
        """CompressAI's reading of y alone, the part that `FloatContext.decode` does here."""
        with torch.no_grad():
            z_hat = self.network.entropy_bottleneck.decompress(out["strings"][1], out["shape"])
            parameters = self.network.h_s(z_hat)
            height, width = parameters.shape[2:]
            y_hat = torch.zeros(1, self.network.M, height + 4, width + 4)
            string = out["strings"][0][0]
            self.network._decompress_ar(string, y_hat, parameters, height, width, 5, 2)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def check(reader: Reader, picture: torch.Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
    """CompressAI's strings of a picture, and how their latent is read here."""
    out, symbols, rows = context_models.compress(reader.network, picture)
    features, data = reader.features(out), out["strings"][0][0]
    found: dict[str, Any] = {"symbols": symbols.size, "bytes": len(data), "rows": rows.mean()}
    start = time.perf_counter()
    try:
        read = reader.context.decode(data, features)
    except CorruptStream as error:
        return out, found | {"right": False, "error": str(error)}
    finally:
        found["ms"] = 1e3 * (time.perf_counter() - start)
    if not np.array_equal(read.symbols, symbols):
        raise SystemExit("accepted wrong symbols")
    repair = read.repair
    return out, found | {
        "right": True, "doubtful": repair.doubtful, "changed": repair.changed,
        "tries": repair.tries,
    }  # fmt: skip


def compare(reader: Reader, out: dict[str, Any]) -> dict[str, float]:
    """Median milliseconds of both, for the latent and for all, measured in turn."""
    features, data = reader.features(out), out["strings"][0][0]
    difference = float((reader.theirs(out) - reader.ours(out)).abs().max())
    if difference > 1e-3:
        raise SystemExit(f"pictures differ: found {difference}, expected at most 0.001")
    ways = {
        "latent": lambda: reader.context.decode(data, features),
        "all": lambda: reader.ours(out),
        "compressai_latent": lambda: reader.their_latent(out),
        "compressai_all": lambda: reader.theirs(out),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            times[name].append(1e3 * seconds(work))
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--timed", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    paths = expand(given.pictures, PICTURES)
    if given.checkpoint:
        network = context_models.load(given.checkpoint)
    else:
        network = context_models.spread("mbt2018", given.channels, read_picture(paths[0]))
    reader = Reader(network)
    result: dict[str, Any] = {
        "machine": describe_machine("compressai"),
        "network": {"N": network.N, "M": network.M, "trained": given.checkpoint is not None},
        "pictures": {},
    }
    for number, path in enumerate(paths):
        out, found = check(reader, read_picture(path))
        if number < given.timed and found["right"]:
            found["times_ms"] = compare(reader, out)
        result["pictures"][Path(path).name] = found
        print(Path(path).name, json.dumps(found), flush=True)
    result["summary"] = summary(list(result["pictures"].values()))
    print(json.dumps(result["summary"], indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    right = [one for one in found if one["right"]]
    timed = [one["times_ms"] for one in right if "times_ms" in one]
    totals: dict[str, Any] = {
        "pictures": len(found),
        "right": len(right),
        "repaired": sum(one["changed"] > 0 for one in right),
        "changes": sum(one["changed"] for one in right),
        "most_tries": max((one["tries"] for one in right), default=0),
        "median_ms": statistics.median(one["ms"] for one in right) if right else None,
        "largest_ms": max((one["ms"] for one in right), default=None),
    }
    for what in ("latent", "all") if timed else ():
        mine = statistics.median(one[what] for one in timed)
        theirs = statistics.median(one[f"compressai_{what}"] for one in timed)
        ratio = statistics.median(one[f"compressai_{what}"] / one[what] for one in timed)
        totals[what] = {"ms": mine, "compressai_ms": theirs, "ratio": ratio}
    return totals


if __name__ == "__main__":
    main()
