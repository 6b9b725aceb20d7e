"""Strings exchanged with CompressAI in both directions, for each codec family, over a folder.

python benchmarks/compressai_exchange.py FOLDER --codec codec.pth [--out results.json]

The scale hyperprior is the given checkpoint. The factorized and the mean-scale codec take its
trained analysis and synthesis transforms; their entropy parts are seeded random weights, so they
code real latents badly (escape codes and all), which is what an exchange test wants. Half of the
pictures are cropped to odd sizes. Counted: pictures that agree within 1/255, desyncs (which must
come as errors), scale indexes that differ between torch and ONNX Runtime, wrong pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.errors import DesyncError
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.interop import from_compressai, to_compressai

warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from compressai import models  # noqa: E402

from latentsr_export.checkpoint import load_state  # noqa: E402
from latentsr_export.exporter import export  # noqa: E402

FAMILIES = {
    "bmshj2018-factorized": models.FactorizedPrior,
    "bmshj2018-hyperprior": models.ScaleHyperprior,
    "mbt2018-mean": models.MeanScaleHyperprior,
}


def build(family: str, codec: Path) -> Any:
    """A network of the family with the trained transforms."""
    trained = models.ScaleHyperprior.from_state_dict(load_state(codec)).eval()
    if family == "bmshj2018-hyperprior":
        return trained
    torch.manual_seed(5)
    network = FAMILIES[family](trained.N, trained.M).eval()
    network.g_a.load_state_dict(trained.g_a.state_dict())
    network.g_s.load_state_dict(trained.g_s.state_dict())
    if family == "mbt2018-mean":
        with torch.no_grad():
            network.h_s[-1].weight.mul_(30)
    network.update(force=True)
    return network


def differing_indexes(network: Any, codec: Codec, z_string: bytes, shape: Any) -> tuple[int, int]:
    """Scale indexes that torch and the engine compute differently, and all of them."""
    z_hat = network.entropy_bottleneck.decompress([z_string], shape)
    scales = network.h_s(z_hat)
    if network.h_s[-1].__class__.__name__ == "Conv2d":
        scales = scales.chunk(2, 1)[0]
    expected = network.gaussian_conditional.build_indexes(scales)
    found = codec.engine("entropy_parameters").run({"z_hat": z_hat.numpy()})["scales"]
    ours = network.gaussian_conditional.build_indexes(torch.from_numpy(found))
    return int((expected != ours).sum()), expected.numel()


def compare(decoded: np.ndarray, x_hat: torch.Tensor) -> float:
    """Largest difference in steps of 1/255 between our bytes and CompressAI's float picture."""
    height, width = decoded.shape[:2]
    expected = x_hat[0, :, :height, :width].permute(1, 2, 0).numpy()
    return float(np.abs(decoded - expected * 255).max())


def exchange(network: Any, codec: Codec, picture: np.ndarray) -> dict[str, Any]:
    """Both directions for one picture."""
    height, width = picture.shape[:2]
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    padded = torch.nn.functional.pad(x, (0, -width % 64, 0, -height % 64), mode="replicate")
    out = network.compress(padded)
    result: dict[str, Any] = {"size": [width, height], "indexes": 0, "of": 0}
    if len(out["strings"]) == 2:
        found = differing_indexes(network, codec, out["strings"][1][0], out["shape"])
        result["indexes"], result["of"] = found
    stream = from_compressai(codec.bundle, out["strings"], out["shape"], (width, height))
    try:
        theirs = network.decompress(out["strings"], out["shape"])["x_hat"]
        result["theirs_here"] = compare(codec.decode(stream), theirs)
    except DesyncError as error:
        result["theirs_here"] = f"DesyncError: {error}"
    data = codec.encode(picture, exact=False)
    strings, shape = to_compressai(codec.bundle, codec.open_stream(data))
    result["ours_there"] = compare(codec.decode(data), network.decompress(strings, shape)["x_hat"])
    return result


def tally(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Counts over the pictures."""
    here = [row["theirs_here"] for row in rows]
    return {
        "pictures": len(rows),
        "theirs_here_within_1": sum(isinstance(d, float) and d <= 1 for d in here),
        "theirs_here_desync_reported": sum(isinstance(d, str) for d in here),
        "theirs_here_wrong_picture": sum(isinstance(d, float) and d > 1 for d in here),
        "ours_there_within_1": sum(row["ours_there"] <= 1 for row in rows),
        "indexes_differing": sum(row["indexes"] for row in rows),
        "indexes": sum(row["of"] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = [to_rgb8(path) for path in expand([given.folder], PICTURES)]
    pictures = [p[: -17 - i, : -5 - 3 * i] if i % 2 else p for i, p in enumerate(pictures)]
    result: dict[str, Any] = {"machine": describe_machine(), "families": {}}
    for family in FAMILIES:
        network = build(family, given.codec)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = Path(folder) / "codec.pth"
            torch.save(network.state_dict(), path)
            export(path, Path(folder) / "codec.lsr")
            with latentsr.load(Path(folder) / "codec.lsr") as codec:
                rows = [exchange(network, codec, picture) for picture in pictures]
        result["families"][family] = {"tally": tally(rows), "pictures": rows}
        print(family, tally(rows), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
