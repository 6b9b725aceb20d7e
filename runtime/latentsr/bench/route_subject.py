"""Our own contender: one decode route of the bundle, from the stream file to the uint8 picture."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from latentsr.bench.subject import Facts, Item, Setup, Subject
from latentsr.codec import Codec
from latentsr.files import read_stream
from latentsr.image import save_rgb8
from latentsr.timing import Timeline

# What a stage of kind `engine` counts as when its graph makes entropy parameters.
PARAMETERS = "parameters"


class RouteSubject(Subject):
    """Options: ``route``; ``write``, a suffix such as ``.png``, to write each picture as well."""

    def start(self, setup: Setup) -> Facts:
        """Open the bundle and load the route's engines."""
        self._route: str = setup.options["route"]
        self._write: str | None = setup.options.get("write")
        self._codec: Codec = setup.load()
        chosen = self._codec.bundle.route(self._route, "decode")
        self._codec.warmup(self._route)
        self._streams: dict[int, Path] = {}
        # A stream may be the user's own, and beside it the picture that it was made of.
        self._written = (
            tempfile.TemporaryDirectory(prefix="latentsr-written-") if self._write else None
        )
        manifest = self._codec.bundle.manifest
        self._parameters = {manifest.exact.get(n, n) for n in manifest.entropy_graphs}
        self._parameters |= set(manifest.entropy_graphs)
        runs_on = self._codec.runs_on(self._route)
        random = bool(manifest.raw.get("random_weights", False))
        return Facts(chosen.about or self._route, runs_on, chosen.scale, random)

    def load(self, index: int, item: Item) -> int:
        """Remember the file; it is read again in each call."""
        self._streams[index] = item.stream
        return item.stream.stat().st_size

    def run(self, index: int) -> Timeline:
        """Read, decode, and where asked write; graphs of entropy parameters get their own kind."""
        timeline = Timeline()
        with timeline.stage("read file", "read"):
            data = read_stream(self._streams[index])
        picture = self._codec.decode(data, self._route)
        timeline.stages += self._codec.timeline.stages
        if self._written is not None:
            with timeline.stage("write file", "write"):
                save_rgb8(picture, Path(self._written.name) / f"{index}{self._write}")
        for stage in timeline.stages:
            if stage.kind == "engine" and stage.name in self._parameters:
                stage.kind = PARAMETERS
        return timeline

    def output(self, index: int) -> np.ndarray:
        """The route's picture."""
        return self._codec.decode(read_stream(self._streams[index]), self._route)

    def many(self, indexes: Sequence[int], in_flight: int) -> None:
        """Pictures overlapped: entropy decoding of one while another's engine runs."""

        def one(index: int) -> None:
            self._codec.decode(read_stream(self._streams[index]), self._route)

        with ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(one, indexes))
