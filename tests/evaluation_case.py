"""An evaluation's result made by hand, with figures that a test can look for."""

from __future__ import annotations

from typing import Any

from latentsr.evaluate.result import summarise
from latentsr.evaluate.schema import SCHEMA, SCHEMA_VERSION

BYTES = {"low": 300, "middle": 600, "high": 1200}


def bundle(label: str, **more: Any) -> dict[str, Any]:
    """A bundle of two routes at scale 4."""
    return {"label": label, "name": label, "family": "bmshj2018-hyperprior",
            "fingerprint": "00" * 8, "bytes": 1000, "random_weights": False, "scale": 4,
            "runs_on": "CPU", "routes": ["latent_x4", "pixel_x4"], **more}  # fmt: skip


def rows(label: str, size: int, pixel_original: float = 30.0) -> list[dict[str, Any]]:
    """Rows of two pictures of 160x80: better with more bytes, the second 1 dB above the first."""
    found = []
    for number in range(2):
        for route, anchor, gain in (("latent_x4", None, 0.0), ("pixel_x4", "decoded", -0.5),
                                    ("pixel_x4", "original", None)):  # fmt: skip
            psnr = pixel_original if gain is None else 20 + size / 200 + gain
            psnr += number
            rate = {"bytes": size, "bpp_hr": 8 * size / 12800, "bpp_lr": 8 * size / 800,
                    "ratio_hr": 38400 / size, "ratio_lr": 2400 / size}  # fmt: skip
            found.append({
                "bundle": label, "picture": f"{number}.png", "route": route, "anchor": anchor,
                "width": 160, "height": 80, "lr_width": 40, "lr_height": 20,
                "rate": None if gain is None else rate,
                "figures": {"psnr": psnr, "psnr_y": psnr + 1, "ssim": psnr / 50,
                            "ms_ssim": psnr / 40},
            })  # fmt: skip
    return found


def result(**sizes: int) -> dict[str, Any]:
    """A result with a bundle for each label and size in bytes."""
    made = [row for label, size in sizes.items() for row in rows(label, size)]
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "created": "2026-05-04T12:30:00+00:00",
        "command": ["latentsr", "evaluate"], "versions": {"latentsr": "0.1.0", "openvino": None},
        "settings": {"backend": "ort", "device": "cpu", "threads": None, "reduction": "matlab",
                     "border": 0, "crop": "cut", "metrics": []},
        "pictures": ["0.png", "1.png"], "bundles": [bundle(label) for label in sizes],
        "rows": made, "summary": summarise(made), "failures": [],
    }  # fmt: skip
