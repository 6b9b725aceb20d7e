"""What all CompressAI baselines share: strings from a file, decompressed, cropped, enlarged."""

from __future__ import annotations

import contextlib
import tempfile
import time
from abc import abstractmethod
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import latentsr
from latentsr import compressai_file
from latentsr.bench.route_subject import PARAMETERS
from latentsr.bench.subject import Facts, Item, Setup, Subject
from latentsr.bundle import Bundle
from latentsr.errors import BackendError
from latentsr.files import read_stream
from latentsr.timing import Stage, Timeline
from latentsr_export.baselines.strings import Coded, transcode
from latentsr_export.restore import restore_codec


class CompressAISubject(Subject):
    """CompressAI's model, restored from the bundle; subclasses enlarge what it decodes."""

    def start(self, setup: Setup) -> Facts:
        """Restore the model and make ready whatever enlarges."""
        if setup.device != "cpu":
            raise BackendError(
                f"baseline runs on the CPU only: found device {setup.device!r}, expected 'cpu'; "
                "measure it with --backend ort"
            )
        set_threads(setup.threads)
        self._setup = setup
        self._bundle = Bundle(setup.bundle)
        self._network: Any = restore_codec(self._bundle)
        self._inputs: dict[int, Coded] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="latentsr-baseline-")
        return self._prepare(setup)

    @abstractmethod
    def _prepare(self, setup: Setup) -> Facts:
        """Load what the subclass needs besides the codec."""

    @abstractmethod
    def _enlarge(self, x: Tensor, timeline: Timeline) -> np.ndarray:
        """float32 (1, 3, h, w) in 0..1 → uint8 (h·scale, w·scale, 3), its stages timed."""

    def load(self, index: int, item: Item) -> int:
        """Code the stream's symbols again as CompressAI's strings; returns their file's size."""
        setup = self._setup
        path = Path(self._folder.name) / f"{index}.bin"
        data = read_stream(item.stream)
        codec = latentsr.load(setup.bundle, setup.backend, threads=setup.threads)
        with codec, torch.inference_mode():
            self._inputs[index] = transcode(codec, data, self._network, self._scales, path)
        return path.stat().st_size

    def run(self, index: int) -> Timeline:
        """Read, decompress, crop, enlarge."""
        return self._make(index)[1]

    def output(self, index: int) -> np.ndarray:
        """The enlarged picture."""
        return np.ascontiguousarray(self._make(index)[0])

    def _make(self, index: int) -> tuple[np.ndarray, Timeline]:
        coded, timeline = self._inputs[index], Timeline()
        with timeline.stage("read file", "read"):
            file = compressai_file.read(coded.path.read_bytes())
        strings = [[string] for string in file.strings]
        with torch.inference_mode():
            x_hat = self._decompress(strings, file.shape, timeline)
            with timeline.stage("crop", "image"):
                x = coded.crop(x_hat)
            return self._enlarge(x, timeline), timeline

    def _decompress(
        self, strings: list[list[bytes]], shape: tuple[int, int], timeline: Timeline
    ) -> Tensor:
        """The padded picture in 0..1, float32 (1, 3, H', W')."""
        clock = StageClock(self._network, self._bundle)
        x_hat: Tensor = self._network.decompress(strings, shape)["x_hat"]
        timeline.stages += clock.stages(shape)
        return x_hat

    def _scales(self, z_hat: Tensor) -> Tensor:
        """The hyper-synthesis's scales, as ``decompress`` computes them."""
        made: Tensor = self._network.h_s(z_hat)
        return made.chunk(2, 1)[0] if self._bundle.manifest.family == "mbt2018-mean" else made


class Timed(nn.Module):
    """A network that notes when it last began and ended, so that its caller need not change."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.began = self.ended = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """What the network makes of `x`."""
        self.began = time.perf_counter()
        made: Tensor = self.network(x)
        self.ended = time.perf_counter()
        return made


class StageClock:
    """Stages of one ``decompress`` call, which runs as CompressAI wrote it, told by its networks.

    Made just before the call. The synthesis lasts to the end of the call, with the clamp.
    """

    def __init__(self, network: Any, bundle: Bundle) -> None:
        self._network, self._manifest = network, bundle.manifest
        self._start = time.perf_counter()

    def stages(self, shape: tuple[int, int]) -> list[Stage]:
        """The stages up to now; shape: of the last latent's grid."""
        end, found, at = time.perf_counter(), [], self._start
        first = self._manifest.chunks[0]
        rows, columns = (side * first.stride for side in shape)
        for chunk, attribute, graph, kind in (
            ("z", "h_s", "entropy_parameters", PARAMETERS),
            ("y", "g_s", "synthesis", "engine"),
        ):
            network = getattr(self._network, attribute, None)
            if network is None:
                continue
            stride = self._manifest.chunks[0 if attribute == "h_s" else -1].stride
            macs = self._manifest.graphs[graph].macs_per_position
            macs *= (rows // stride) * (columns // stride)
            ended = end if attribute == "g_s" else network.ended
            found += [
                Stage(f"entropy_decode {chunk}", "entropy", (network.began - at) * 1e3),
                Stage(graph, kind, (ended - network.began) * 1e3, round(macs)),
            ]
            at = ended
        return found


def watch(network: Any) -> None:
    """Put `Timed` around the networks that ``decompress`` runs."""
    for attribute in ("h_s", "g_s"):
        if hasattr(network, attribute):
            setattr(network, attribute, Timed(getattr(network, attribute)))


def set_threads(threads: int | None) -> None:
    """PyTorch's threads: `threads` for each operation, operations one after the other."""
    if threads is not None:
        torch.set_num_threads(threads)
    # Refused where PyTorch has run something in parallel before, as it may in a test.
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)


def versions(*packages: str) -> dict[str, str]:
    """Versions of what every one of these baselines uses, and of `packages`."""
    return {name: version(name) for name in ("torch", "compressai", *packages)}


def runs_on() -> str:
    """PyTorch, its device and threads as they are."""
    return f"PyTorch {version('torch')} CPU, {torch.get_num_threads()} threads"
