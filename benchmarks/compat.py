"""CompressAI's five classic models on one picture, before and after latentsr.compat.install().

python benchmarks/compat.py PICTURE [--repeats 7] [--slow-repeats 2] [--threads 1] [--out FILE]

Models have the sizes of quality 5 and seeded random weights; the analysis transform, the layer that
makes the scales and the priors are set so that rates are about those of a trained codec (printed).
Both sides run in turn in this one process; figures are medians. `total` is the whole call, networks
included; `entropy` is the part inside the entropy models and coders: quantisation, scale indexes,
coding, means. Strings must be equal, decoded pictures too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import describe_machine

warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from compressai import models  # noqa: E402
from compressai.entropy_models import EntropyBottleneck, EntropyModel, GaussianConditional  # noqa: E402
from compressai.models import google  # noqa: E402

import latentsr.compat  # noqa: E402
from latentsr.image import to_rgb8  # noqa: E402

BUILD: dict[str, Callable[[], Any]] = {
    "bmshj2018-factorized": lambda: models.FactorizedPrior(128, 192),
    "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(128, 192),
    "mbt2018-mean": lambda: models.MeanScaleHyperprior(128, 192),
    "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(192, 192),
    "cheng2020-anchor": lambda: models.Cheng2020Anchor(192),
}
AUTOREGRESSIVE = {"mbt2018", "cheng2020-anchor"}
TIMED = [
    (EntropyModel, "compress"), (EntropyModel, "decompress"),
    (GaussianConditional, "build_indexes"), (GaussianConditional, "quantize"),
]  # fmt: skip
TIMED_CODERS = {"BufferedRansEncoder": ["encode_with_indexes", "flush"],
                "RansDecoder": ["set_stream", "decode_stream"]}  # fmt: skip


def last_convolution(network: Any) -> Any:
    return [m for m in network.modules() if hasattr(m, "weight") and hasattr(m, "kernel_size")][-1]


def build(name: str, x: torch.Tensor) -> Any:
    """A model whose latents deviate by about as much as its scales and priors say."""
    torch.manual_seed(5)
    model = BUILD[name]().eval()
    model.entropy_bottleneck = EntropyBottleneck(model.entropy_bottleneck.channels, init_scale=2)
    y = model.g_a(x)
    analysis = last_convolution(model.g_a)
    analysis.weight.mul_(0.7 / y.std())
    analysis.bias.zero_()
    if name in AUTOREGRESSIVE:
        scales = last_convolution(model.entropy_parameters)
    elif hasattr(model, "h_s"):
        scales = last_convolution(model.h_s)
    if hasattr(model, "h_s"):
        scales.weight.mul_(2)
        scales.bias.zero_()
        scales.bias[: model.M] = 0.6
    model.update(force=True)
    return model


class Clock:
    """Seconds spent inside the outermost of the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.inside = False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self.inside:
                return function(*args, **kwargs)
            self.inside = True
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start
                self.inside = False

        return timed


@contextmanager
def clocked() -> Iterator[Clock]:
    """Time the entropy parts, whoever they belong to at the moment."""
    clock = Clock()
    undo = [(owner, name, vars(owner).get(name)) for owner, name in TIMED]
    undo += [(google, name, getattr(google, name)) for name in TIMED_CODERS]
    for owner, name in TIMED:
        setattr(owner, name, clock.wrap(getattr(owner, name)))
    for name, methods in TIMED_CODERS.items():
        coder = getattr(google, name)
        members = {method: clock.wrap(getattr(coder, method)) for method in methods}
        setattr(google, name, type(name, (coder,), members))
    try:
        yield clock
    finally:
        for owner, name, value in undo:
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def once(model: Any, x: torch.Tensor) -> tuple[dict[str, float], Any, torch.Tensor]:
    """Milliseconds of one compress and one decompress, the strings and the picture."""
    ms = {}
    with clocked() as clock:
        start = time.perf_counter()
        out = model.compress(x)
        ms["compress total"] = 1e3 * (time.perf_counter() - start)
        ms["compress entropy"], clock.seconds = 1e3 * clock.seconds, 0.0
        start = time.perf_counter()
        decoded = model.decompress(out["strings"], out["shape"])["x_hat"]
        ms["decompress total"] = 1e3 * (time.perf_counter() - start)
        ms["decompress entropy"] = 1e3 * clock.seconds
    return ms, out["strings"], decoded


def compare(name: str, x: torch.Tensor, repeats: int) -> dict[str, Any]:
    """Both sides in turn, the first turn of each not counted unless it is the only one."""
    model = build(name, x)
    times: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    made = {}
    for _ in range(repeats):
        for side, change in (("before", latentsr.compat.uninstall),
                             ("after", latentsr.compat.install)):  # fmt: skip
            change()
            ms, strings, decoded = once(model, x)
            times[side].append(ms)
            made[side] = strings, decoded
    latentsr.compat.uninstall()
    kept = {side: rows[1:] or rows for side, rows in times.items()}
    medians = {
        side: {what: statistics.median(row[what] for row in rows) for what in rows[0]}
        for side, rows in kept.items()
    }
    strings = made["before"][0]
    return {
        "repeats": repeats,
        "bits_per_pixel": 8 * sum(len(s) for each in strings for s in each) / x[0, 0].numel(),
        "strings_equal": made["after"][0] == strings,
        "pictures_equal": torch.equal(made["after"][1], made["before"][1]),
        "ms": medians,
        "times_faster": {
            what: medians["before"][what] / ms for what, ms in medians["after"].items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--models", nargs="*", default=list(BUILD), choices=list(BUILD))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--slow-repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pixels = torch.from_numpy(to_rgb8(given.picture).copy())
    x = pixels.permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.pad(x, (0, -x.size(3) % 64, 0, -x.size(2) % 64), mode="replicate")
    result: dict[str, Any] = {
        "machine": describe_machine(), "picture": given.picture.name,
        "size": [x.size(3), x.size(2)], "threads": given.threads, "models": {},
    }  # fmt: skip
    with torch.no_grad():
        for name in given.models:
            repeats = given.slow_repeats if name in AUTOREGRESSIVE else given.repeats
            found = compare(name, x, repeats)
            result["models"][name] = found
            equal = found["strings_equal"] and found["pictures_equal"]
            print(f"{name}: {found['bits_per_pixel']:.2f} bpp, equal: {equal}", flush=True)
            for what, ratio in found["times_faster"].items():
                before, after = (found["ms"][side][what] for side in ("before", "after"))
                print(f"  {what:19} {before:9.1f} -> {after:9.1f} ms  ×{ratio:.1f}", flush=True)
            if not equal:
                raise SystemExit(f"{name}: results differ")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
