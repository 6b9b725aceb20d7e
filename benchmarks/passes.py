"""Checkerboard and ELIC: a picture decoded in passes here and by CompressAI, in one run.

python benchmarks/passes.py PICTURES... [--families cheng2020-anchor-checkerboard elic2022-official]
    [--rounds 5] [--slow-rounds 3] [--threads 1] [--out FILE]

Networks of the usual size, (192, 192) and (192, 320), with seeded weights that are scaled so that
latents have likely statistics: only speed, sizes and equality mean something. For each picture our
exact stream and CompressAI's own strings are decoded by the runtime, and the strings by CompressAI,
in turn in this process with as many threads each. Figures are medians over the rounds:

decode      from bytes to the uint8 picture (CompressAI: from strings to the float picture)
latent      from bytes to all of ŷ: networks and coder of all passes (CompressAI: its latent codec)
coder       of `latent`, all entropy stages together

`difference` is the largest of what the runtime and CompressAI make of the same strings, in 1/255.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai import models
from context import Ms, summary, timed
from context_models import likely_scales, stretch
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.interop import from_compressai
from latentsr_export import exporter

FAMILIES: dict[str, Callable[[], Any]] = {
    "cheng2020-anchor-checkerboard": lambda: models.Cheng2020AnchorCheckerboard(192),
    "elic2022-official": lambda: models.Elic2022Official(192, 320),
}


def spread(family: str, x: torch.Tensor) -> Any:
    """A network with seeded weights whose latents and scales reach from 0.1 to 20."""
    torch.manual_seed(0)
    return spread_passes(FAMILIES[family]().eval(), x, attention=False)


def spread_passes(network: Any, x: torch.Tensor, attention: bool) -> Any:
    """Likely statistics for a network that decodes in passes; tables made.

    attention: keep what an attention block at the end of g_a adds, so that scales are met less
    closely.
    """
    scales = likely_scales(network.g_a(x).shape[1])
    _rescale(network.g_a, x, scales, attention)
    inner = ((m, getattr(m, "entropy_parameters", None)) for m in network.latent_codec.modules())
    coders = [coder for coder, layers in inner if layers is not None and list(layers.children())]
    lasts = [coder.entropy_parameters[-1] for coder in coders]
    seen: dict[Any, torch.Tensor] = {}
    hooks = [last.register_forward_hook(lambda m, _, out: seen.update({m: out})) for last in lasts]
    network(x)
    for hook in hooks:
        hook.remove()
    first = 0
    for coder, last in zip(coders, lasts, strict=True):
        own = scales[first : first + last.out_channels // 2]
        first += len(own)
        wanted = {"scales": (0.2 * own, own), "means": (0.3 * own, torch.zeros_like(own))}
        halves = zip(*(wanted[name] for name in coder.y.chunks), strict=True)
        stretch(last, seen[last], *(torch.cat(half) for half in halves))
    network.update(force=True)
    return network


def _rescale(g_a: Any, x: torch.Tensor, scales: torch.Tensor, attention: bool) -> None:
    """Give each channel of y its scale and mean 0, by the last convolution of g_a."""
    last, before = g_a[-1], g_a[-2]
    if isinstance(last, torch.nn.Conv2d):
        stretch(last, g_a(x), scales)
    elif attention:
        stretch(before, g_a[:-1](x), scales)
    else:  # x + a(x): what it adds is left out, its input rescaled
        gain = scales / g_a(x).std((0, 2, 3)).clamp_min(1e-6)
        last.conv_b[-1].weight.zero_()
        last.conv_b[-1].bias.fill_(-20.0)
        before.weight.mul_(gain[:, None, None, None])
        before.bias.mul_(gain)


class Sides:
    """A bundle of the network and the network, one picture at a time."""

    def __init__(self, network: Any, threads: int) -> None:
        self.network = network
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        torch.save(network.state_dict(), folder / "codec.pth")
        exporter.export(folder / "codec.pth", folder / "codec.lsr", random_weights=True)
        self.codec: Codec = latentsr.load(folder / "codec.lsr", threads=threads)

    def ours(self, stream: bytes) -> Ms:
        """A decode here; the latent is there when synthesis begins."""
        ms, _ = timed(lambda: self.codec.decode(stream))
        stages = self.codec.timeline.stages
        end = [stage.name for stage in stages].index("synthesis")
        coder = sum(stage.ms for stage in stages if stage.kind == "entropy")
        return {"decode": ms, "latent": sum(stage.ms for stage in stages[:end]), "coder": coder}

    def theirs(self, out: dict[str, Any]) -> Ms:
        """CompressAI's decode, first without the synthesis."""
        latent, _ = timed(
            lambda: self.network.latent_codec.decompress(out["strings"], out["shape"])
        )
        whole, _ = timed(lambda: self.network.decompress(out["strings"], out["shape"]))
        return {"decode": whole, "latent": latent}


def compare(sides: Sides, picture: np.ndarray, given: argparse.Namespace) -> dict[str, Any]:
    """All three in turn."""
    stream = sides.codec.encode(picture)
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.pad(x, (0, -x.size(3) % 64, 0, -x.size(2) % 64), mode="replicate")
    out = sides.network.compress(x)
    size = picture.shape[1], picture.shape[0]
    foreign = from_compressai(sides.codec.bundle, out["strings"], out["shape"], size)
    calls: dict[str, tuple[Callable[[], Ms], int]] = {
        "ours": (lambda: sides.ours(stream), given.rounds),
        "ours on their strings": (lambda: sides.ours(foreign), given.rounds),
        "compressai": (lambda: sides.theirs(out), given.slow_rounds),
    }
    expected = sides.network.decompress(out["strings"], out["shape"])["x_hat"][0]
    found = sides.codec.decode(foreign).transpose(2, 0, 1)
    expected = expected[:, : found.shape[1], : found.shape[2]].numpy() * 255
    sides.ours(stream)  # engines load
    rows: dict[str, list[Ms]] = {side: [] for side in calls}
    for number in range(max(count for _, count in calls.values())):
        for side, (call, count) in calls.items():
            if number < count:
                rows[side].append(call())
    ms = {
        side: {what: statistics.median(row[what] for row in found) for what in found[0]}
        for side, found in rows.items()
    }
    return {
        "bytes": len(stream),
        "bytes_compressai": sum(len(s) for each in out["strings"] for s in each),
        "difference": float(np.abs(found - expected).max()),
        "ms": ms,
        "times_faster": {
            side: {what: ms["compressai"][what] / ms[side][what] for what in ms["compressai"]}
            for side in ms if side != "compressai"
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=3, help="of CompressAI")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    files = expand(given.pictures, PICTURES)
    result: dict[str, Any] = {
        "machine": describe_machine(), "threads": given.threads, "rounds": given.rounds,
        "slow_rounds": given.slow_rounds, "models": {},
    }  # fmt: skip
    first = to_rgb8(files[0])[:256, :384]
    with torch.no_grad():
        for family in given.families:
            x = torch.from_numpy(first.copy()).permute(2, 0, 1)[None].float() / 255
            sides = Sides(spread(family, x), given.threads)
            manifest = sides.codec.bundle.manifest
            rows = {}
            for file in files:
                rows[file.name] = found = compare(sides, to_rgb8(file), given)
                print(family, file.name, json.dumps(found), flush=True)
            result["models"][family] = {
                "channels": manifest.raw["codec"]["channels"], "passes": len(manifest.chunks) - 1,
                "rate_cost_percent": manifest.raw["notes"]["exact"]["rate_cost_percent"],
                "pictures": rows, "medians": summary(list(rows.values())),
            }  # fmt: skip
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
