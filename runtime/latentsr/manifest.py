"""The bundle's manifest: what `manifest.json` holds, read with every field checked.

``manifest.json`` is one JSON object::

    format          "latentsr-bundle"
    format_version  1; a reader refuses a greater one
    name            name of the bundle
    codec           {family, channels: [N, M], multiple}; pictures are padded to `multiple`
    files           {path: {sha256, bytes}} for every file of the bundle but the manifest
    graphs          {name: {file, inputs, outputs, macs_per_position, precision, parity, variants,
                     ...}}
    entropy         {graphs: [names], chunks: [{name, model, channels, stride, tables, skip,
                     context}], exact: {float graph: its integer-valued twin}}
    routes          {name: {kind: "encode" | "decode", scale, steps: [...], about}}
    upscale         the decode route that enlarges where none is named; "latent_x4" if absent
    random_weights  true where the weights were not trained: only speed means something
    preset          {name, paper, size, options} where the bundle was made from a preset
    assumptions     what its paper leaves open and what was chosen: a list of sentences
    created_by      versions of what wrote the bundle
    source          where the weights came from: {file, sha256} for each checkpoint

`variants` is there where a graph has been written in another precision, too: {"fp16": {file,
ports: "fp32" | "fp16", the type of its inputs and outputs, nodes, islands, parity, ...}}. Graphs
that decide scales have none. `window` is described in `latentsr.windows`. `macs_per_position` are
multiply-accumulates for each position (row, column) of the first input.
`stride` is one number, or two: along the height and along the width. `tables` is how the names of
a gaussian chunk's tensors begin, the chunk's own name when absent; chunks may share them. `skip`
(0 when absent) is the number of rows of a gaussian chunk's tables, from the smallest
scale, whose symbols are 0 and not coded in the `lanes` form. `context` is there where a gaussian
chunk's scales and means depend on its own symbols: {tensors: prefix of the context model's names
in the tables (`latentsr.entropy.context_tensors`), order: "wavefront", how positions follow each
other in the `lanes` form}. Such a chunk has no `skip`.
A chunk of a model in `latentsr.chunks.FILE_MODELS` is a file of a known format (`latentsr.jpeg`)
without tensors. Where it is the only chunk, a stream has no container: it is that file itself, and
any such file is a stream.
Steps are described in `latentsr.pipeline.routes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latentsr.chunks import Chunk, read_chunk
from latentsr.errors import BundleError
from latentsr.json_reader import Reader
from latentsr.windows import NoWindow, Window, read_window

FORMAT = "latentsr-bundle"
FORMAT_VERSION = 1
UPSCALE = "latent_x4"
PRECISIONS = ("fp32", "fp16")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_ROUTE = re.compile(r"[^\x00-\x1f\x7f/\\]+")


@dataclass(frozen=True)
class File:
    """One file of the bundle: hexadecimal SHA-256 and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Variant:
    """A graph in another precision; ports: the type of its inputs and outputs."""

    file: str
    ports: str


@dataclass(frozen=True)
class Graph:
    """One engine graph: NCHW float32 inputs and outputs by name, cost and checks.

    variants: the same graph by other precisions. window: what a part of it needs, where known.
    """

    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    macs_per_position: float
    precision: str
    parity: Mapping[str, Any]
    variants: Mapping[str, Variant] = field(default_factory=dict)
    window: Window | NoWindow | None = None


@dataclass(frozen=True)
class Route:
    """A list of steps; `scale` is the output's size against the coded picture."""

    kind: str
    scale: int
    steps: tuple[Mapping[str, Any], ...]
    about: str


@dataclass(frozen=True)
class Manifest:
    """A checked manifest; `raw` is the JSON object it came from."""

    name: str
    family: str
    multiple: int
    files: Mapping[str, File]
    graphs: Mapping[str, Graph]
    entropy_graphs: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    exact: Mapping[str, str]
    routes: Mapping[str, Route]
    upscale: str
    raw: Mapping[str, Any]

    @property
    def file_model(self) -> str | None:
        """Format of the file that a stream is, or None where streams have our container."""
        only = self.chunks[0]
        return only.model if len(self.chunks) == 1 and only.is_file else None


def parse(text: str | bytes) -> Manifest:
    """Check a manifest's text and return it; BundleError names the first fault."""
    try:
        root = Reader(json.loads(text), "manifest")
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"manifest is not JSON: found {error}, expected one object; export the bundle again"
        ) from None
    if root.value.get("format") != FORMAT:
        raise BundleError(
            f"not a bundle manifest: found format {root.value.get('format')!r}, "
            f"expected {FORMAT!r}; pass a folder that `latentsr export` wrote"
        )
    version = root.get("format_version", int)
    if version > FORMAT_VERSION:
        raise BundleError(
            f"bundle of a newer format: found format_version {version}, expected at most "
            f"{FORMAT_VERSION}; update latentsr"
        )
    return _manifest(root)


def _manifest(root: Reader) -> Manifest:
    codec = Reader(root.get("codec", dict), "manifest.codec")
    entropy = Reader(root.get("entropy", dict), "manifest.entropy")
    files = {name: _file(name, item) for name, item in root.children("files").items()}
    graphs = {name: _graph(item, files) for name, item in root.children("graphs").items()}
    chunks = tuple(
        read_chunk(Reader(item, f"manifest.entropy.chunks[{i}]"))
        for i, item in enumerate(entropy.get("chunks", list))
    )
    if not chunks or len({chunk.name for chunk in chunks}) != len(chunks):
        raise entropy.fault("chunks", "at least one chunk, names all different")
    entropy_graphs = entropy.names("graphs")
    if not set(entropy_graphs) <= set(graphs):
        raise entropy.fault("graphs", f"names among {sorted(graphs)}")
    exact = _exact(entropy, graphs)
    for name in (*entropy_graphs, *exact, *exact.values()):
        if graphs[name].variants:  # encoder and decoder must run the very same graph
            raise root.children("graphs")[name].fault("variants", "none, as it decides scales")
    return Manifest(
        name=root.get("name", str),
        family=codec.get("family", str),
        multiple=codec.whole("multiple", 1, 256),
        files=files,
        graphs=graphs,
        entropy_graphs=entropy_graphs,
        chunks=chunks,
        exact=exact,
        routes={name: _route(name, item) for name, item in root.children("routes").items()},
        upscale=root.get("upscale", str, UPSCALE),
        raw=root.value,
    )


def _exact(entropy: Reader, graphs: Mapping[str, Graph]) -> dict[str, str]:
    exact = entropy.get("exact", dict, {})
    for name, twin in exact.items():
        if name not in graphs or not isinstance(twin, str) or twin not in graphs:
            raise entropy.fault("exact", f"pairs of names among {sorted(graphs)}")
        ports = [(graphs[n].inputs, graphs[n].outputs) for n in (name, twin)]
        if ports[0] != ports[1]:
            raise entropy.fault("exact", "graphs with equal inputs and outputs")
    return dict(exact)


def _file(name: str, item: Reader) -> File:
    # Names come from outside: a path that climbs out of the folder must never be opened.
    if not _PATH.fullmatch(name):
        raise BundleError(
            f"manifest names an unsafe file: found {name!r}, expected a plain relative path; "
            "do not use this bundle"
        )
    sha256 = item.get("sha256", str)
    if not _HASH.fullmatch(sha256):
        raise item.fault("sha256", "64 hexadecimal digits")
    return File(sha256, item.whole("bytes", 0, 1 << 40))


def _graph(item: Reader, files: Mapping[str, File]) -> Graph:
    file = item.get("file", str)
    if file not in files:
        raise item.fault("file", "a name listed in manifest.files")
    macs = item.value.get("macs_per_position")
    if isinstance(macs, bool) or not isinstance(macs, (int, float)) or not 0 <= macs < 1e15:
        raise item.fault("macs_per_position", "a number >= 0")
    precision = item.get("precision", str)
    inputs, outputs = item.names("inputs"), item.names("outputs")
    for key, names in (("inputs", inputs), ("outputs", outputs)):
        if not names:
            raise item.fault(key, "at least one name")
    parity, variants = item.get("parity", dict, {}), _variants(item, files)
    window = read_window(item, len(inputs), len(outputs))
    return Graph(file, inputs, outputs, float(macs), precision, parity, variants, window)


def _variants(item: Reader, files: Mapping[str, File]) -> dict[str, Variant]:
    found = {}
    for precision, variant in item.children("variants", {}).items():
        if precision not in PRECISIONS[1:]:
            raise item.fault("variants", f"precisions among {', '.join(PRECISIONS[1:])}")
        if variant.get("file", str) not in files:
            raise variant.fault("file", "a name listed in manifest.files")
        if variant.get("ports", str) not in PRECISIONS:
            raise variant.fault("ports", f"one of {', '.join(PRECISIONS)}")
        found[precision] = Variant(variant.value["file"], variant.value["ports"])
    return found


def _route(name: str, item: Reader) -> Route:
    # Pictures are named after it: in no other folder than the one that is meant.
    if not _ROUTE.fullmatch(name):
        raise BundleError(
            f"manifest names an unsafe route: found {name!r}, expected no slash and no control "
            "character; do not use this bundle"
        )
    if item.get("kind", str) not in ("encode", "decode"):
        raise item.fault("kind", "encode or decode")
    steps = item.get("steps", list)
    if not steps or not all(isinstance(step, dict) for step in steps):
        raise item.fault("steps", "a list of steps")
    scale = item.whole("scale", 1, 64)
    return Route(item.value["kind"], scale, tuple(steps), item.get("about", str, ""))
