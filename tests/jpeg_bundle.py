"""A bundle whose streams are JPEG files, with the shipped bundle's pixel SR network."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from latentsr.bundle import DEMO

CHUNK = {"name": "picture", "model": "jpeg", "channels": 3, "stride": 1}
DECODE = {"op": "jpeg_decode", "chunk": "picture", "out": "picture"}
PAD = {"op": "pad", "in": "picture", "out": "x"}
REDUCE = {"op": "reduce", "in": "picture", "out": "picture", "scale": 4, "filter": "bicubic"}


def encoder(quality: object = 30, **more: object) -> dict[str, Any]:
    """A step that makes the file."""
    return {"op": "jpeg_encode", "chunk": "picture", "in": "picture", "quality": quality, **more}


def enlarger() -> list[dict[str, Any]]:
    """Steps from float32 ``x`` to the picture of four times its size."""
    graph = {"op": "graph", "graph": "pixel_sr", "in": ["x"], "out": ["hr"]}
    return [graph, {"op": "picture", "in": "hr", "out": "picture"}]


def raw_manifest() -> dict[str, Any]:
    """The manifest but for `files`."""
    demo = json.loads((DEMO / "manifest.json").read_text())
    decode = {"kind": "decode", "scale": 4, "about": ""}
    return {
        "format": "latentsr-bundle", "format_version": 1, "name": "jpeg", "upscale": "sr_x4",
        "codec": {"family": "jpeg", "channels": [3], "multiple": 1},
        "graphs": {"pixel_sr": demo["graphs"]["pixel_sr"]},
        "entropy": {"graphs": [], "chunks": [CHUNK]},
        "routes": {
            "encode": {"kind": "encode", "scale": 1, "steps": [encoder()]},
            "encode_hr": {"kind": "encode", "scale": 1, "steps": [REDUCE, encoder()]},
            "lr": {"kind": "decode", "scale": 1, "steps": [DECODE]},
            "sr_x4": {**decode, "steps": [DECODE, PAD, *enlarger()]},
        },
    }  # fmt: skip


def write_jpeg_bundle(path: Path, raw: dict[str, Any] | None = None) -> Path:
    """Write a bundle folder to `path`; raw: another manifest, but for `files`."""
    raw = raw_manifest() if raw is None else raw
    files = {"tables.safetensors": save({})}
    files["graphs/pixel_sr.onnx"] = (DEMO / "graphs" / "pixel_sr.onnx").read_bytes()
    (path / "graphs").mkdir(parents=True, exist_ok=True)
    listed = {}
    for name, data in files.items():
        (path / name).write_bytes(data)
        listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (path / "manifest.json").write_text(json.dumps({**raw, "files": listed}))
    return path
