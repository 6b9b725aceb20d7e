"""What FP16 costs each codec family and preset: against FP32, as seeded weights show no picture.

For each graph: the share of its nodes that compute in FP16, islands of float32, and dB of FP16
against FP32's peak, as the exporter makes it and `naive`. For each route: dB between the 8-bit
pictures of FP16 and FP32, the worst picture, each encoded in its own precision (`against_fp32_db`),
where symbols may round the other way, and decoded from the bytes of the FP32 encoder
(`same_bytes_db`). `loud`, of graphs with GDN, and `naive`: see fp16.py.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from families import likely
from fp16_rows import FIELDS, engine, inputs, loud_rows, naive, naive_row

from latentsr.backends.base import Engine, EngineOptions
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.report.metrics import psnr
from latentsr_export import exporter
from latentsr_export.fp16.calibration import Sample
from latentsr_export.fp16.emulation import emulated
from latentsr_export.fp16.gate import cases
from latentsr_export.fp16.variants import add_fp16
from latentsr_export.presets.export import export_preset

Pictures = Sequence[np.ndarray]
# EDSR of 256 features and 32 blocks takes some ten minutes.
NARROWED = {"jin-jpeg-car-sr": {"features": 64}, "tun-car-lee-edsr": {"features": 64}}


def family_row(family: str, pictures: Pictures) -> dict[str, Any]:
    """A codec family, its weights made likely on the first picture's corner."""
    corner = torch.from_numpy(pictures[0][:128, :192].copy())
    network = likely(family, corner.permute(2, 0, 1)[None].float() / 255)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        torch.save(network.state_dict(), folder / "codec.pth")
        made = exporter.export(folder / "codec.pth", folder / "codec.lsr", random_weights=True)
        return _row(made, pictures)


def preset_row(name: str, pictures: Pictures) -> dict[str, Any]:
    """A preset with untrained weights, of the paper's size but for `NARROWED`."""
    options = NARROWED.get(name, {})
    with tempfile.TemporaryDirectory() as place:
        made = export_preset(name, Path(place) / "preset.lsr", random=True, options=options)
        return {"narrowed": options, **_row(made, pictures)}


def _row(bundle: Bundle, pictures: Pictures) -> dict[str, Any]:
    samples = inputs(bundle, pictures)
    with tempfile.TemporaryDirectory() as place:
        made = add_fp16(bundle, Path(place) / "half.lsr", pictures)
        halves = {name: engine(emulated(made.graph(name, "fp16")))
                  for name, graph in made.manifest.graphs.items() if graph.variants}  # fmt: skip
        raw = made.manifest.raw
    graphs = {
        name: _graph_row(raw["graphs"][name], bundle.graph(name), samples[name]) for name in halves
    }
    loud = loud_rows(bundle, samples)
    for found in loud.values():
        found["gdn"] = _choices(found["gdn"])
    same = _same_bytes(bundle, halves, pictures)
    routes = {
        route: {"against_fp32_db": found["against_fp32_db"], "same_bytes_db": same[route],
                "bytes_percent": found["bytes_percent"]}
        for route, found in raw["fp16"]["routes"].items()
    }  # fmt: skip
    return {"codec": raw["codec"], "graphs": graphs, "routes": routes, "loud": loud}


def _graph_row(entry: dict[str, Any], data: bytes, met: Sequence[Sample]) -> dict[str, Any]:
    """One graph, what the manifest lists by name counted."""
    nodes, islands, gdn, rescaled, _, parity = (entry["variants"]["fp16"][key] for key in FIELDS)
    port = next(iter(parity["fp32"]))
    full, plain = ([each.run(sample)[port] for sample in met]
                   for each in map(engine, (data, naive(data))))  # fmt: skip
    return {
        "nodes": nodes, "fp16_share": round(nodes["fp16"] / (nodes["fp16"] + nodes["fp32"]), 4),
        "islands": [{"reason": each["reason"], "nodes": len(each["nodes"])} for each in islands],
        "gdn": _choices(gdn), "rescaled_tensors": len(rescaled), "parity": parity["fp32"],
        **naive_row(full, plain),
    }  # fmt: skip


def _choices(layers: Sequence[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(layer["choice"] for layer in layers))


def _same_bytes(bundle: Bundle, halves: dict[str, Engine], pictures: Pictures) -> dict[str, float]:
    """For each route, the worst dB between both precisions' pictures of the same streams."""
    full, half = (Codec(bundle, "ort", EngineOptions()) for _ in range(2))
    half.machine = replace(
        half.machine, engine=lambda name: halves[name] if name in halves else full.engine(name)
    )
    worst: dict[str, float] = {}
    for case in cases(full, pictures):
        stream = full.encode(case.given, case.encode)
        found = psnr(full.decode(stream, case.decode), half.decode(stream, case.decode))
        worst[case.decode] = round(min(found, worst.get(case.decode, 999.0)), 4)
    return worst
