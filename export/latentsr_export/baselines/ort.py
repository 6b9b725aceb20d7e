"""Plain ONNX Runtime sessions glued together with CompressAI's entropy models, as people do it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsr.bench.route_subject import PARAMETERS
from latentsr.bench.subject import Facts, Setup
from latentsr.errors import BackendError, BundleError
from latentsr.timing import Timeline
from latentsr_export.baselines.subject import CompressAISubject, versions


class CompressAIOrt(CompressAISubject):
    """The bundle's float graphs in sessions with ONNX Runtime's defaults; only threads are set."""

    def _prepare(self, setup: Setup) -> Facts:
        scales = {route.scale for route in self._bundle.manifest.routes.values()
                  if any(step.get("graph") == "pixel_sr" for step in route.steps)}  # fmt: skip
        if not scales:
            raise BundleError(
                "bundle has no pixel SR network: found no route with graph pixel_sr, expected "
                "one; export the bundle with --pixel-sr"
            )
        names = ["synthesis", "pixel_sr"]
        if len(self._bundle.manifest.chunks) > 1:
            names.append("entropy_parameters")
        self._sessions = {name: self._session(name, setup.threads) for name in names}
        library = f"ONNX Runtime {version('onnxruntime')}"
        about = f"CompressAI {version('compressai')} entropy coder + {library} sessions as they are"
        random = bool(self._bundle.manifest.raw.get("random_weights", False))
        runs_on = "+".join(self._sessions["synthesis"].get_providers())
        return Facts(about, runs_on, max(scales), random, versions("onnxruntime"))

    def _session(self, name: str, threads: int | None) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise BackendError(
                "engine library is missing: found no onnxruntime, expected it for baseline "
                "compressai-ort; run: pip install 'latentsr[cpu]'"
            ) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        graph = self._bundle.graph(name)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def _call(self, name: str, x: np.ndarray) -> list[np.ndarray]:
        session = self._sessions[name]
        made: list[np.ndarray] = session.run(None, {session.get_inputs()[0].name: x})
        return made

    def _macs(self, name: str, x: np.ndarray) -> int:
        graph = self._bundle.manifest.graphs[name]
        return round(graph.macs_per_position * x.shape[-2] * x.shape[-1])

    def _scales(self, z_hat: Tensor) -> Tensor:
        return torch.from_numpy(self._call("entropy_parameters", z_hat.numpy())[0])

    def _decompress(
        self, strings: list[list[bytes]], shape: tuple[int, int], timeline: Timeline
    ) -> Tensor:
        first = self._bundle.manifest.chunks[0].name
        with timeline.stage(f"entropy_decode {first}", "entropy"):
            latent = self._network.entropy_bottleneck.decompress(strings[-1], shape).numpy()
        if len(strings) > 1:
            macs = self._macs("entropy_parameters", latent)
            with timeline.stage("entropy_parameters", PARAMETERS, macs):
                parameters = self._call("entropy_parameters", latent)
            with timeline.stage("entropy_decode y", "entropy"):
                latent = self._decode_y(strings[0], *map(torch.from_numpy, parameters))
        with timeline.stage("synthesis", "engine", self._macs("synthesis", latent)):
            x_hat = self._call("synthesis", latent)[0]
        return torch.from_numpy(x_hat)

    def _decode_y(
        self, strings: list[bytes], scales: Tensor, means: Tensor | None = None
    ) -> np.ndarray:
        conditional = self._network.gaussian_conditional
        indexes = conditional.build_indexes(scales)
        latent: np.ndarray = conditional.decompress(strings, indexes, means=means).numpy()
        return latent

    def _enlarge(self, x: Tensor, timeline: Timeline) -> np.ndarray:
        with timeline.stage("clamp", "image"):
            small = np.clip(x.numpy(), 0, 1)
        with timeline.stage("pixel_sr", "engine", self._macs("pixel_sr", small)):
            hr = self._call("pixel_sr", small)[0]
        with timeline.stage("picture", "image"):
            samples = np.round(np.clip(hr[0], 0, 1) * 255).astype(np.uint8)
            return np.ascontiguousarray(samples.transpose(1, 2, 0))
