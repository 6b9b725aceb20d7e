"""A benchmark result made by hand, with figures that a test can look for in a report."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = {"read file": "read", "entropy_decode y": "entropy", "latent_sr": "engine"}


def figures(middle: float) -> dict[str, float]:
    """Figures around a median."""
    parts = {"min": 0.9, "mean": 1.02, "p50": 1.0, "p90": 1.1, "p95": 1.2, "p99": 1.3, "max": 1.4}
    return {name: middle * factor for name, factor in parts.items()} | {"cov": 0.083}


def route(name: str, ms: float, psnr: float | None, scale: int = 4, **more: Any) -> dict[str, Any]:
    """A contender with three stages, two launches and two pictures."""
    stages = [
        {"name": stage, "kind": kind, "ms": figures(ms * share), "share": share,
         "macs": 2.5e9 if kind == "engine" else 0.0,
         "gmacs_per_s": 61.7 if kind == "engine" else None,
         "sgemm_share": 0.77 if kind == "engine" else None}
        for (stage, kind), share in zip(KINDS.items(), (0.05, 0.1, 0.8), strict=True)
    ]  # fmt: skip
    quality = {"psnr": psnr, "psnr_y": psnr, "ssim": None if psnr is None else 0.9,
               "ms_ssim": None if psnr is None else psnr / 40}  # fmt: skip
    found = {
        "name": name, "kind": "route", "about": f"about {name}", "runs_on": "TestProvider",
        "scale": scale, "random_weights": False, "versions": {"engine": "1.2.3"}, "samples": 6,
        "latency_ms": figures(ms), "after_pause_ms": figures(1.5 * ms), "stages": stages,
        "stage_share": 0.95, "timer_share": 0.001,
        "launches": [[ms, ms * 1.1, ms * 0.95], [ms * 1.05, ms, ms * 0.9]],
        "launch_stages": [dict.fromkeys(KINDS, ms / 3)] * 2,
        "pictures": [{"name": f"{n}.png", "bytes": 3000 + 500 * n, "p50_ms": ms, **quality}
                     for n in range(2)],
        "quality": None if psnr is None else quality, "bytes": 3250.0, "macs": 2.5e9,
        "throughput": [{"in_flight": n, "pictures": 20, "seconds": 20 * ms / 1e3,
                        "pictures_per_s": 1e3 / ms * n, "output_mp_per_s": 4.2,
                        "busy_cores": 1.25} for n in (1, 2)],
        "memory": {"peak_bytes": 123 << 20},
        "cold_start": {key: figures(222.0) for key in ("process_ms", "load_ms", "first_ms")},
        "sizes": [{"width": 64 * n, "height": 64, "p50_ms": ms * n} for n in (1, 4, 16)],
    }  # fmt: skip
    return found | more


def ratio(slow: str, fast: str, value: float) -> dict[str, Any]:
    """A ratio with an interval of ±5 %."""
    return {"slow": slow, "fast": fast, "ratio": value, "low": value * 0.95, "high": value * 1.05,
            "level": 0.952, "count": 15}  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    """A whole result: four contenders, one of them of another scale."""
    found = {
        "schema": "latentsr-bench", "schema_version": 1, "created": "2026-05-04T12:30:00+00:00",
        "command": ["latentsr", "bench", "a b.lsr", "--threads", "2"],
        "machine": {
            "cpu": "Test CPU 9000", "cores": 4, "isa": ["avx2"], "memory_bytes": 8 << 30,
            "system": "TestOS", "python": "3.11.0", "versions": {"latentsr": "0.1", "x": None},
            "timer": {"resolution_ns": 1.0, "stage_cost_us": 0.9},
            "sgemm": {"gmacs_per_s": figures(80.0), "threads": 2},
        },
        "bundle": {"name": "unit", "family": "hyper", "fingerprint": "0123456789abcdef",
                   "bytes": 5 << 20, "random_weights": False},
        "settings": {"backend": "ort", "device": "cpu", "threads": 2, "launches": 2, "warmup": 1,
                     "rounds": 3, "write": None, "excluded": ["the start"]},
        "pictures": [{"name": f"{n}.png", "width": 256, "height": 192, "coded_width": 64,
                      "coded_height": 48, "bytes": 3000 + 500 * n, "bpp": 7.8,
                      "bpp_output": 0.488} for n in range(2)],
        "routes": [route("lr", 5.0, 33.0, scale=1), route("bicubic", 8.25, 25.11),
                   route("latent_x4", 41.3, 26.44), route("pixel_x4", 297.0, 26.52)],
        "ratios": [ratio("latent_x4", "bicubic", 5.01), ratio("pixel_x4", "bicubic", 36.0),
                   ratio("pixel_x4", "latent_x4", 7.19)],
        "load": [{"seconds": 3.0, "other_share": 0.01, "stolen_share": None}],
        "warnings": ["lr: unstable", "bicubic: unstable", "the host took 7% of the processors"],
    }  # fmt: skip
    return found | more


def pictures() -> dict[str, np.ndarray]:
    """Noisy variants of a gradient, each of another colour, uint8 (120, 200, 3)."""
    generator = np.random.default_rng(3)
    ramp = np.linspace(0, 160, 200)[None, :, None] * np.ones((120, 1, 3))
    found = {}
    for number, name in enumerate(("original", "latent_x4", "pixel_x4")):
        colour = ramp + generator.integers(0, 12, ramp.shape)
        colour[..., number] += 80
        found[name] = colour.astype(np.uint8)
    return found


HOSTILE = "<script>alert(1)</script>|\"'&`[x](javascript:1)**b**\x1b[31m\u202e\ud800\n</style>"


def hostile() -> dict[str, Any]:
    """The result with the hostile text in every place that holds free text."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(one, key) for one in value]
        free = isinstance(value, str) and key != "schema"
        return f"{value}{HOSTILE}" if free else value

    found: dict[str, Any] = poison(result())
    return found
