"""Context models: a Kodak picture decoded here and by CompressAI, in one run on one machine.

python benchmarks/context.py PICTURES... [--codec CHECKPOINT] [--families mbt2018 cheng2020-anchor]
    [--channels 192] [--rounds 5] [--slow-rounds 1] [--threads 1] [--foreign] [--out FILE]

Each model is exported into a bundle: the checkpoint given, or networks with seeded weights that are
scaled so that latents have likely statistics. For each picture our stream is decoded by the
runtime and CompressAI's own strings by CompressAI, in turn in this process with as many threads
each; with --foreign the runtime reads CompressAI's strings as well. Figures are medians over the
rounds:

decode      from bytes to the uint8 picture (CompressAI: from strings to the float picture)
entropy     what turns the bytes of y into the latent, once the hyperprior's output is there
            (CompressAI: `_decompress_ar`; of encode, `_compress_ar`)
encode      from the picture to bytes (CompressAI: from a padded tensor to strings, once)
products    of `entropy`, the context model's products: what is left without the coder
coder       of `entropy`, the same symbols decoded with all table rows known beforehand
glue        of `entropy`, what is left: the step in the route, and cold caches, while the two
            calls above are repeated
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import context_models
import numpy as np
import torch
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.interop import from_compressai
from latentsr.pipeline.context_step import ContextEntropy
from latentsr_export import exporter

Ms = dict[str, float]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds and result of one call."""
    start = time.perf_counter()
    result = call()
    return 1e3 * (time.perf_counter() - start), result


def median_ms(call: Callable[[], Any], rounds: int) -> float:
    """Median milliseconds of some calls."""
    return statistics.median(timed(call)[0] for _ in range(rounds))


class Ours:
    """A bundle of the network, and one picture's stream at a time."""

    def __init__(self, network: Any, threads: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        torch.save(network.state_dict(), folder / "codec.pth")
        exporter.export(folder / "codec.pth", folder / "codec.lsr")
        self.codec: Codec = latentsr.load(folder / "codec.lsr", threads=threads)
        step = self.codec.machine.entropy["y"]
        assert isinstance(step, ContextEntropy)
        self.step = step

    def decode(self, stream: bytes) -> Ms:
        """Milliseconds of a whole decode and of its entropy stage for y."""
        ms, _ = timed(lambda: self.codec.decode(stream))
        stages = [s for s in self.codec.timeline.stages if s.kind == "entropy"]
        return {"decode": ms, "entropy": stages[-1].ms}

    def encode(self, picture: np.ndarray) -> Ms:
        """Milliseconds of a whole encode and of its entropy stage for y."""
        ms, _ = timed(lambda: self.codec.encode(picture))
        stages = [s for s in self.codec.timeline.stages if s.kind == "entropy"]
        return {"encode": ms, "entropy": stages[-1].ms}

    def parts(self, picture: np.ndarray, rounds: int) -> Ms:
        """What the kernel and the coder alone take of the entropy stage."""
        run = self.codec.run_encode(picture, "encode", True)
        exact, features = self.step.exact, run.values["features"][0]
        assert exact is not None
        data, threads = run.chunks["y"], self.step.threads
        scan = exact.quantise(features, run.values["y"][0], threads)
        coder = self.step.coder
        return {
            "kernel": median_ms(lambda: exact.decode(features, data, threads), rounds),
            "coder": median_ms(lambda: coder.decode(data, scan.scan_indexes), rounds),
        }


class Theirs:
    """CompressAI's own strings of one picture."""

    def __init__(self, network: Any, picture: np.ndarray) -> None:
        self.network = network
        x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        pad = (0, -x.size(3) % 64, 0, -x.size(2) % 64)
        self.x = torch.nn.functional.pad(x, pad, mode="replicate")
        self.out: Any = None
        self.encoded = self._clocked("encode", "_compress_ar", self._compress)

    def _compress(self) -> None:
        self.out = self.network.compress(self.x)

    def decode(self) -> Ms:
        """Milliseconds of `decompress` and of the part that reads y."""
        out = self.out
        return self._clocked(
            "decode", "_decompress_ar",
            lambda: self.network.decompress(out["strings"], out["shape"]),
        )  # fmt: skip

    def _clocked(self, name: str, method: str, call: Callable[[], Any]) -> Ms:
        """Milliseconds of a call, and of the model's own method within it."""
        inner = getattr(type(self.network), method)
        spent = []

        def clocked(*given: Any) -> Any:
            ms, result = timed(lambda: inner(self.network, *given))
            spent.append(ms)
            return result

        setattr(self.network, method, clocked)
        try:
            ms, _ = timed(call)
        finally:
            delattr(self.network, method)
        return {name: ms, "entropy": sum(spent)}


def compare(
    ours: Ours, network: Any, picture: np.ndarray, given: argparse.Namespace
) -> dict[str, Any]:
    """Both sides in turn, and what ours consists of."""
    stream = ours.codec.encode(picture)
    ours_encode = [ours.encode(picture) for _ in range(given.rounds)]
    theirs = Theirs(network, picture)
    calls: dict[str, tuple[Callable[[], Ms], int]] = {
        "ours": (lambda: ours.decode(stream), given.rounds),
        "compressai": (theirs.decode, given.slow_rounds),
    }
    if given.foreign:
        out = theirs.out
        foreign = from_compressai(ours.codec.bundle, out["strings"], out["shape"])
        calls["ours on their strings"] = (lambda: ours.decode(foreign), given.rounds)
    ours.decode(stream)  # engines load
    found: dict[str, list[Ms]] = {side: [] for side in calls}
    for number in range(max(count for _, count in calls.values())):
        for side, (call, count) in calls.items():
            if number < count:
                found[side].append(call())
    ms = {
        side: {what: statistics.median(row[what] for row in rows) for what in rows[0]}
        for side, rows in found.items()
    }
    encode = {what: statistics.median(r[what] for r in ours_encode) for what in ours_encode[0]}
    positions = [side // 16 for side in ours.codec.open_stream(stream).padded_size]
    return {
        "bytes": len(stream),
        "bytes_compressai": sum(len(s) for each in theirs.out["strings"] for s in each),
        "ms": ms,
        "encode_ms": {"ours": encode, "compressai": theirs.encoded},
        "encode_times_faster": {what: theirs.encoded[what] / encode[what] for what in encode},
        "shares": shares(ms["ours"]["entropy"], ours.parts(picture, given.rounds)),
        "positions": positions[0] * positions[1],
        "positions_per_second": {
            side: 1e3 * positions[0] * positions[1] / row["entropy"] for side, row in ms.items()
        },
        "times_faster": {
            side: {what: ms["compressai"][what] / row[what] for what in row}
            for side, row in ms.items()
            if side != "compressai"
        },
    }


def shares(entropy: float, parts: Ms) -> dict[str, float]:
    """Parts of the entropy stage; they come from separate calls, so noise may exceed the glue."""
    return {
        "products": (parts["kernel"] - parts["coder"]) / entropy,
        "coder": parts["coder"] / entropy,
        "glue": (entropy - parts["kernel"]) / entropy,
    }


def networks(given: argparse.Namespace, picture: np.ndarray) -> dict[str, Callable[[], Any]]:
    """What to measure, by name."""
    if given.codec is not None:
        return {given.codec.stem: lambda: context_models.load(given.codec)}
    height, width = (side // 64 * 64 for side in picture.shape[:2])
    x = torch.from_numpy(picture[:height, :width].copy()).permute(2, 0, 1)[None].float() / 255
    return {
        family: lambda family=family: context_models.spread(family, given.channels, x)  # type: ignore[misc]
        for family in given.families
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--codec", type=Path, help="checkpoint of mbt2018, instead of --families")
    parser.add_argument("--families", nargs="*", default=list(context_models.FAMILIES))
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of CompressAI")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--foreign", action="store_true", help="read CompressAI's strings, too")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    files = expand(given.pictures, PICTURES)
    result: dict[str, Any] = {
        "machine": describe_machine(), "threads": given.threads, "rounds": given.rounds,
        "slow_rounds": given.slow_rounds, "models": {},
    }  # fmt: skip
    with torch.no_grad():
        for name, build in networks(given, to_rgb8(files[0])).items():
            network = build()
            ours = Ours(network, given.threads)
            note = ours.codec.bundle.manifest.raw["notes"]["exact"]
            rows = {}
            for file in files:
                rows[file.name] = found = compare(ours, network, to_rgb8(file), given)
                print(name, file.name, json.dumps(found["ms"]), flush=True)
            result["models"][name] = {
                "channels": ours.codec.bundle.manifest.raw["codec"]["channels"],
                "rate_cost_percent": note["rate_cost_percent"], "pictures": rows,
                "medians": summary(list(rows.values())),
            }  # fmt: skip
            print(name, json.dumps(result["models"][name]["medians"], indent=1), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians over pictures of what is a number, table by table."""
    return {
        key: summary([row[key] for row in rows])
        if isinstance(value, dict)
        else statistics.median(row[key] for row in rows)
        for key, value in rows[0].items()
    }


if __name__ == "__main__":
    main()
