"""Same symbols everywhere: differing scale indexes and symbols over arithmetics, and the cost.

python benchmarks/exactness.py BUNDLE PICTURES... --codec CHECKPOINT [--large PICTURES...]
                               [--out results.json]

Runs the float and the exact entropy-parameter graph of a bundle on ẑ of each picture (as it is and
reduced by 4; the large ones as they are) with ONNX Runtime (1 and 2 threads, optimisation off and
on), OpenVINO (1 and 2 threads), PyTorch float32 and float64 and, for the exact graph, 64-bit
integers in NumPy. Counts scale indexes that differ from the first one's; then each codes y with its
own indexes and each other one decodes that. Besides: bytes of y with either graph.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from machine import describe_machine
from PIL import Image

import latentsr
from latentsr.codec import Codec
from latentsr.entropy import Coder, scale_indexes
from latentsr.errors import BackendError, CorruptStream
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8

warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from compressai.models import ScaleHyperprior  # noqa: E402

from latentsr_export.checkpoint import load_state  # noqa: E402
from latentsr_export.exact import quantise  # noqa: E402
from latentsr_export.integer_graph import IntegerGraph  # noqa: E402

GRAPHS = {"float": "entropy_parameters", "exact": "entropy_parameters_exact"}


def sessions(codec: Codec, graph: str) -> dict[str, Any]:
    """ONNX Runtime with every combination of threads and optimisation."""
    made = {}
    for threads in (1, 2):
        for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
            session = ort.InferenceSession(
                codec.bundle.graph(graph), options, providers=["CPUExecutionProvider"]
            )
            name = f"ort-{threads}-{level.removeprefix('ORT_').lower()}"
            made[name] = lambda z, s=session: s.run(["scales"], {"z_hat": z})[0]
    return made


def openvino_engines(codec: Codec, graph: str) -> dict[str, Any]:
    """OpenVINO with either thread count, where it is installed."""
    made = {}
    for threads in (1, 2):
        other = latentsr.load(codec.bundle.path, backend="openvino", threads=threads)
        try:
            engine = other.engine(graph)
        except BackendError as error:
            print(error)
            return {}
        made[f"openvino-{threads}"] = lambda z, e=engine: np.array(e.run({"z_hat": z})["scales"])
    return made


def runners(codec: Codec, kind: str, network: Any, levels: int) -> dict[str, Any]:
    """Functions ẑ → scales for one of the graphs."""
    made: dict[str, Any] = sessions(codec, GRAPHS[kind]) | openvino_engines(codec, GRAPHS[kind])
    module = network.h_s
    if kind == "exact":
        state = network.state_dict()
        fresh = ScaleHyperprior.from_state_dict(state).eval()
        module = quantise_like(fresh, codec, levels)
    made["torch-float32"] = lambda z: module.float()(torch.from_numpy(z)).numpy()
    made["torch-float64"] = lambda z: (
        module.double()(torch.from_numpy(z).double()).numpy().astype(np.float32)
    )
    if kind == "exact":
        reference = IntegerGraph(codec.bundle.graph(GRAPHS[kind]))
        made["numpy-int64"] = lambda z: reference.run({"z_hat": z})["scales"]
    return made


def quantise_like(network: Any, codec: Codec, levels: int) -> Any:
    """The exact module with the bundle's own integers, so that torch runs the same graph."""
    import onnx
    from onnx import numpy_helper

    medians = torch.from_numpy(np.array(codec.bundle.tensors["z.medians"]))
    flat = [torch.ones(1, network.N, 4, 4)]
    exact = quantise(network.h_s, flat, medians, False, levels).module
    model = onnx.load_from_string(codec.bundle.graph(GRAPHS["exact"]))
    arrays = {t.name: numpy_helper.to_array(t).astype(np.float32) for t in model.graph.initializer}
    exact.limit = float(codec.bundle.manifest.raw["notes"]["exact"]["proof"][0]["largest_input"])
    for number, layer in enumerate(exact.layers):
        name = f"layers.{number}.layer.weight"
        weight = arrays[name] if name in arrays else arrays[f"{name}_half"]
        rows, columns = layer.layer.kernel_size  # the graph's may have a row of zeros more
        layer.layer.weight.data = torch.from_numpy(weight[:, :, :rows, :columns].copy())
        layer.layer.bias.data = torch.from_numpy(arrays[f"layers.{number}.layer.bias"].copy())
        layer.shift.data = torch.from_numpy(arrays[f"layers.{number}.shift"].copy())
    return exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--large", nargs="*", default=[])
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of the bundle")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    network = ScaleHyperprior.from_state_dict(load_state(given.codec)).eval()
    result: dict[str, Any] = {"machine": describe_machine(), "graphs": {}}
    with latentsr.load(given.bundle) as codec, torch.no_grad():
        levels = codec.bundle.manifest.raw["notes"]["exact"]["hidden_levels"]
        latents = [latent(codec, p) for path in expand(given.pictures, PICTURES)
                   for p in views(to_rgb8(path))]  # fmt: skip
        latents += [latent(codec, to_rgb8(path)) for path in expand(given.large, PICTURES)]
        for kind in GRAPHS:
            result["graphs"][kind] = compare(codec, kind, network, levels, latents)
            print(kind, json.dumps(result["graphs"][kind]), flush=True)
        result["rate"] = rate(codec, latents)
        print(result["rate"]["summary"], flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def views(picture: np.ndarray) -> list[np.ndarray]:
    """The picture and its reduction by 4."""
    size = picture.shape[1] // 4, picture.shape[0] // 4
    return [picture, np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))]


def latent(codec: Codec, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and ẑ of a picture, by the bundle's own graphs."""
    height, width = picture.shape[:2]
    multiple = codec.bundle.manifest.multiple
    pads = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    padded = np.pad(picture, pads, mode="edge")
    x = np.ascontiguousarray(padded.transpose(2, 0, 1), np.float32)[np.newaxis] / np.float32(255)
    y = codec.engine("analysis").run({"x": x})["y"]
    z = codec.engine("hyper_analysis").run({"y": y})["z"]
    medians = codec.bundle.tensors["z.medians"].reshape(1, -1, 1, 1)
    return y, (np.rint(z - medians) + medians).astype(np.float32)


def compare(codec: Codec, kind: str, network: Any, levels: int, latents: Any) -> dict[str, Any]:
    """Differing indexes and values against the first runner, milliseconds, and the exchange."""
    table = codec.bundle.tensors["y.scale_table" if kind == "float" else "y.thresholds"]
    counts: dict[str, Any] = {}
    total = 0
    made = runners(codec, kind, network, levels)
    exchanged = dict.fromkeys(("pairs", "desyncs", "wrong_symbols"), 0)
    for y, z_hat in latents:
        found: dict[str, Any] = {}
        first = None
        for name, run in made.items():
            start = time.perf_counter()
            scales = np.ascontiguousarray(run(z_hat))
            ms = (time.perf_counter() - start) * 1e3
            entry = counts.setdefault(name, {"indexes": 0, "values": 0, "pictures": 0, "ms": []})
            entry["ms"].append(ms)
            first = scales if first is None else first
            found[name] = scale_indexes(scales, table)
            differing = int((found[name] != next(iter(found.values()))).sum())
            entry["indexes"] += differing
            entry["pictures"] += differing > 0
            entry["values"] += int((scales != first).sum())
        total += y.size
        exchange(codec.machine.entropy["y"].coder, y, list(found.values()), exchanged)
    for entry in counts.values():
        entry["ms"] = round(statistics.median(entry["ms"]), 3)
    return {"symbols": total, "latents": len(latents), "runs": counts, "exchange": exchanged}


def exchange(
    coder: Coder, y: np.ndarray, indexes: list[np.ndarray], counts: dict[str, int]
) -> None:
    """Code y with each one's indexes and decode that with each one's; equal ones decode once."""
    symbols = np.rint(y).astype(np.int32)
    groups: dict[bytes, list[np.ndarray]] = {}
    for array in indexes:
        groups.setdefault(hashlib.sha256(array.tobytes()).digest(), []).append(array)
    for writers in groups.values():
        stream = coder.encode(symbols, writers[0], form="lanes")
        for readers in groups.values():
            pairs = len(writers) * len(readers)
            counts["pairs"] += pairs
            try:
                decoded = coder.decode(stream, readers[0], form="lanes")
            except CorruptStream:
                counts["desyncs"] += pairs
                continue
            counts["wrong_symbols"] += pairs * int((decoded != symbols).sum())


def rate(codec: Codec, latents: Any) -> dict[str, Any]:
    """Bytes of y with the float and with the exact graph, per latent."""
    model = codec.machine.entropy["y"]
    rows = []
    for y, z_hat in latents:
        symbols = np.rint(y).astype(np.int32)
        sizes = []
        for kind, table in (("float", "y.scale_table"), ("exact", "y.thresholds")):
            scales = codec.engine(GRAPHS[kind]).run({"z_hat": z_hat})["scales"]
            indexes = scale_indexes(np.ascontiguousarray(scales), codec.bundle.tensors[table])
            sizes.append(len(model.coder.encode(symbols, indexes, form="lanes")))
        rows.append({"float": sizes[0], "exact": sizes[1],
                     "percent": round(100 * (sizes[1] / sizes[0] - 1), 4)})  # fmt: skip
    percents = [row["percent"] for row in rows]
    summary = {"mean_percent": statistics.mean(percents), "max_percent": max(percents),
               "min_percent": min(percents)}  # fmt: skip
    return {"summary": summary, "latents": rows}


if __name__ == "__main__":
    main()
