"""Who is measured on a GPU: our chain on each engine library, and what people run instead.

Every contender is a `Codec`, so all decode the same bytes with the same entropy coder and the same
image steps; only the engines differ, and that favours the baselines. Ours keep values on the device
from graph to graph; so does PyTorch here. `plain` ONNX Runtime gets and gives NumPy arrays, as in
most programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentsr.backends import split_device
from latentsr.backends.base import Backend, Engine, EngineOptions
from latentsr.backends.precision import check_precision
from latentsr.backends.values import Resident
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.errors import BackendError


@dataclass(frozen=True)
class Contender:
    """A name for tables, the precision, and what makes the codec."""

    name: str
    precision: str
    make: Callable[[Bundle], Codec]


class TorchResident(Resident):
    """A tensor on the device."""

    def __init__(self, tensor: Any) -> None:
        self.tensor, self.shape = tensor, tuple(tensor.shape)
        self.dtype = np.dtype(np.float32)

    def to_host(self) -> np.ndarray:
        found: np.ndarray = self.tensor.cpu().numpy()
        return found

    def window(self, top: int, left: int, height: int, width: int) -> Resident:
        cut = self.tensor[:, :, top : top + height, left : left + width]
        return TorchResident(cut.contiguous())

    def empty(self, height: int, width: int) -> Resident:
        return TorchResident(self.tensor.new_empty((*self.shape[:2], height, width)))

    def put(self, piece: Any, top: int, left: int) -> None:
        import torch

        given = piece.tensor if isinstance(piece, TorchResident) else torch.as_tensor(piece)
        rows, columns = given.shape[2:]
        self.tensor[:, :, top : top + rows, left : left + columns] = given


class TorchEngine(Engine):
    """A graph in PyTorch."""

    def __init__(self, data: bytes, outputs: tuple[str, ...], backend: TorchBackend) -> None:
        import torch
        from torch_graph import TorchGraph

        exact = backend.deciding is not None and data in backend.deciding
        self._type = torch.float16 if backend.half and not exact else torch.float32
        self._outputs, self._device = outputs, torch.device(backend.device)
        self._tf32 = backend.half
        network = TorchGraph(data).to(self._device).to(self._type).eval()
        self._network = torch.compile(network, dynamic=False) if backend.compiled else network

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        import torch

        # One switch for the whole process, and another contender may have run before this one.
        torch.backends.cudnn.allow_tf32 = self._tf32
        with torch.inference_mode():
            given = [v.tensor if isinstance(v, TorchResident)
                     else torch.from_numpy(np.ascontiguousarray(v)).to(self._device)
                     for v in inputs.values()]  # fmt: skip
            made = self._network(*(tensor.to(self._type) for tensor in given))
            return {name: TorchResident(tensor.float())
                    for name, tensor in zip(self._outputs, made, strict=True)}  # fmt: skip

    @property
    def runs_on(self) -> str:
        import torch

        return f"PyTorch {torch.__version__} on {self._device}"


@dataclass
class TorchBackend(Backend):
    """PyTorch for the graphs of one bundle."""

    bundle: Bundle
    device: str
    half: bool
    compiled: bool
    deciding: frozenset[bytes] | None = None

    name = package = "torch"

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        try:
            return TorchEngine(graph, self.bundle.manifest.graphs[label].outputs, self)
        except (ImportError, ValueError, RuntimeError) as error:
            raise BackendError(f"PyTorch cannot run graph {label}: found {error}") from error


@dataclass
class PlainOrtBackend(Backend):
    """ONNX Runtime: NumPy in, NumPy out; its defaults but for graphs that decide scales."""

    deciding: frozenset[bytes]

    name = package = "onnxruntime"

    def load(self, graph: bytes, label: str, options: EngineOptions) -> Engine:
        import onnxruntime as ort

        from latentsr.backends.ort import OrtEngine

        provider = "CPUExecutionProvider" if options.device == "cpu" else "CUDAExecutionProvider"
        plain = {"cudnn_conv_algo_search": "DEFAULT"} if options.device != "cpu" else {}
        chosen = (provider, plain if graph in self.deciding else {})
        session = ort.InferenceSession(graph, providers=[chosen])
        if session.get_providers()[0] != provider:
            raise BackendError(f"onnxruntime has no {provider}: found {session.get_providers()}")
        return OrtEngine(session, label)


def _ours(backend: str, precision: str, graphs: bool | None = None) -> Contender:
    name, device = split_device(backend)
    options = EngineOptions(device=device, precision=precision, graphs=graphs)
    title = f"{name} {device} {precision}" + (" captured" if graphs else "")

    def make(bundle: Bundle) -> Codec:
        check_precision(bundle, precision, name)
        return Codec(bundle, name, options)

    return Contender(title, precision, make)


def _with(backend: Callable[[Bundle], Backend], device: str) -> Callable[[Bundle], Codec]:
    def make(bundle: Bundle) -> Codec:
        codec = Codec(bundle, "ort", EngineOptions(device=device))
        codec.backend = backend(bundle)
        return codec

    return make


def _deciding(bundle: Bundle) -> frozenset[bytes]:
    """Graphs whose results must be right to the bit, whatever the others may round to."""
    names = (*bundle.manifest.entropy_graphs, *bundle.manifest.exact.values())
    return frozenset(bundle.graph(name) for name in names)


def _torch(device: str, precision: str, compiled: bool) -> Contender:
    def backend(bundle: Bundle) -> TorchBackend:
        return TorchBackend(bundle, device, precision == "fp16", compiled, _deciding(bundle))

    title = f"torch {'compile' if compiled else 'eager'} {device} {precision}"
    return Contender(title, precision, _with(backend, device))


def _plain(bundle: Bundle) -> PlainOrtBackend:
    return PlainOrtBackend(_deciding(bundle))


def contenders(dry: bool) -> list[Contender]:
    """All of them; on a dry run those that need no GPU."""
    if dry:
        plain = Contender("plain ort cpu fp32", "fp32", _with(_plain, "cpu"))
        return [_ours("ort", "fp32"), plain, _torch("cpu", "fp32", compiled=False)]
    plain = Contender("plain ort cuda fp32", "fp32", _with(_plain, "cuda"))
    return [
        _ours("tensorrt", "fp32"), _ours("tensorrt", "fp16"),
        _ours("tensorrt-rtx", "fp32"), _ours("tensorrt-rtx", "fp16"),
        _ours("ort:cuda", "fp32"), _ours("ort:cuda", "fp16"), _ours("ort:cuda", "fp16", True),
        _ours("ort-tensorrt", "fp16"), plain, _torch("cuda", "fp32", compiled=False),
        _torch("cuda", "fp16", compiled=False), _torch("cuda", "fp16", compiled=True),
    ]  # fmt: skip


def opened(found: list[Contender], bundle: Bundle, stream: bytes) -> tuple[dict[str, Codec], Any]:
    """Codecs that can decode the stream's plain picture, and why the others cannot."""
    codecs, skipped = {}, []
    for contender in found:
        try:
            codec = contender.make(bundle)
            codec.decode(stream)
        except Exception as error:  # of whatever library: the others are still to be measured
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            skipped.append({"contender": contender.name, "reason": reason[:400]})
        else:
            codecs[contender.name] = codec
    return codecs, skipped
