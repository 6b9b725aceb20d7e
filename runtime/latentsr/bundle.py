"""A bundle on disk: `NAME.lsr/` with manifest, graphs and entropy tables, every byte checked."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from latentsr.chunks import Chunk
from latentsr.entropy.tables import Tables
from latentsr.errors import BundleError, UsageError
from latentsr.files import is_file, is_folder
from latentsr.manifest import File, Manifest, Route, parse
from latentsr.onnx_part import part_between
from latentsr.windows import Window

MANIFEST = "manifest.json"
TABLES = "tables.safetensors"
DEMO = Path(__file__).parent / "assets" / "demo.lsr"
_MAX_MANIFEST = 16 << 20


class Bundle:
    """A bundle opened for reading.

    Opening checks the manifest; each file is checked against its size and SHA-256 when it is
    first read. Raises BundleError for anything missing, damaged or of a newer format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = locate(path)
        self._folder = self.path.absolute()  # graphs are read when needed, wherever that is
        self.manifest: Manifest = parse(_read_bounded(self.path / MANIFEST, _MAX_MANIFEST))

    def read(self, name: str) -> bytes:
        """Content of one file of the bundle, checked against the manifest."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(
                f"bundle lacks a file: found no entry {name!r}, expected it in {self.path}; "
                "export the bundle again"
            )
        data = _read_bounded(self._folder / name, entry.size)
        _check(self._folder / name, data, entry)
        return data

    def graph(self, name: str, precision: str = "fp32") -> bytes:
        """The ONNX file of one graph; BundleError lists the graphs where it has none such.

        precision: the variant that is wanted; graphs without it come as they are.
        """
        graph = self.manifest.graphs.get(name)
        if graph is None:
            raise BundleError(
                f"bundle has no such graph: found {name!r}, expected one of "
                f"{', '.join(sorted(self.manifest.graphs))}; export the bundle with it"
            )
        variant = graph.variants.get(precision)
        return self.read(graph.file if variant is None else variant.file)

    def piece(self, name: str, number: int) -> bytes:
        """The ONNX file of one piece of a graph's window, which has it; BundleError as `graph`."""
        graph = self.manifest.graphs[name]
        window = graph.window
        pieces = window.pieces if isinstance(window, Window) else ()
        if not 0 <= number < len(pieces):
            raise BundleError(f"graph {name} has no piece {number}; export the bundle again")
        whole = self.graph(name)
        before = [(pieces[number - 1].value, pieces[number - 1].window.channels[0])]
        behind = [(pieces[number].value, pieces[number].window.channels[0])]
        return part_between(
            whole,
            before if number else [(port, 0) for port in graph.inputs],
            behind if pieces[number].value else [(port, 0) for port in graph.outputs],
        )

    def every_graph(self) -> Iterator[tuple[str, bytes]]:
        """All that engines may be given, with a label: ``NAME``, ``NAME fp16``, ``NAME#PIECE``."""
        for name, graph in self.manifest.graphs.items():
            yield name, self.graph(name)
            for precision in graph.variants:
                yield f"{name} {precision}", self.graph(name, precision)
            pieces = graph.window.pieces if isinstance(graph.window, Window) else ()
            for number in range(len(pieces)):
                yield f"{name}#{number}", self.piece(name, number)

    def route(self, name: str, kind: str) -> Route:
        """One route of the given kind; UsageError lists those there are."""
        route = self.manifest.routes.get(name)
        if route is None or route.kind != kind:
            known = sorted(n for n, r in self.manifest.routes.items() if r.kind == kind)
            raise UsageError(
                f"bundle {self.manifest.name} has no such {kind} route: found {name!r}, "
                f"expected one of {', '.join(known) or '(none)'}; choose one of these"
            )
        return route

    @functools.cached_property
    def tensors(self) -> Mapping[str, np.ndarray]:
        """All tensors of `tables.safetensors` by name."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(self.read(TABLES))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"entropy tables cannot be read: found {error}, expected a safetensors file; "
                "export the bundle again"
            ) from None

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        """One tensor, checked for dtype and shape (-1 stands for any length)."""
        array = self.tensors.get(name)
        found = None if array is None else (array.dtype.name, array.shape)
        if array is None or array.dtype.name != dtype or not _fits(array.shape, shape):
            raise BundleError(
                f"entropy tensor {name} is wrong: found {found}, expected {(dtype, shape)}; "
                "export the bundle again"
            )
        return np.ascontiguousarray(array)

    def tables(self, chunk: Chunk) -> Tables:
        """The entropy tables of one chunk: a row a channel (factorized) or a scale (gaussian)."""
        rows = chunk.channels if chunk.model == "factorized" else -1
        cdf = self.tensor(f"{chunk.tables}.cdf", "int32", (rows, -1))
        length = self.tensor(f"{chunk.tables}.length", "int32", (len(cdf),))
        offset = self.tensor(f"{chunk.tables}.offset", "int32", (len(cdf),))
        return Tables(cdf, length, offset)

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """8 bytes that stand for all that entropy decoding depends on.

        SHA-256 over the manifest's `entropy` object, the hashes of the graphs it names, and
        every entropy tensor (name, dtype, shape, bytes) but the neighbours' statistics, which only
        guide repairs; cut to 8 bytes.
        """
        digest = hashlib.sha256(b"latentsr entropy 1\n")
        entropy = self.manifest.raw["entropy"]
        digest.update(json.dumps(entropy, sort_keys=True, separators=(",", ":")).encode())
        for name in self.manifest.entropy_graphs:
            digest.update(self.manifest.files[self.manifest.graphs[name].file].sha256.encode())
        for name in sorted(n for n in self.tensors if not n.endswith(".neighbours")):
            array = self.tensors[name]
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.digest()[:8]


def locate(path: str | Path) -> Path:
    """The bundle's folder; the word `demo` names the shipped one unless a bundle has that name."""
    if not str(path):  # as a path it would mean the current folder
        raise BundleError(
            "no bundle there: found an empty name, expected a folder NAME.lsr; pass a folder that "
            "`latentsr export` wrote, or the word demo"
        )
    folder = Path(path)
    # Commands use it without being told to, wherever they run: any folder may be called so.
    if str(path) == "demo" and not is_file(folder / MANIFEST):
        folder = DEMO
    if not is_folder(folder):
        kind = "a file" if os.path.lexists(folder) else "nothing"
        raise BundleError(
            f"no bundle there: found {kind} at {folder}, expected a folder NAME.lsr; "
            "pass a folder that `latentsr export` wrote, or the word demo"
        )
    if not is_file(folder / MANIFEST):
        raise BundleError(
            f"folder is not a bundle: found no readable {MANIFEST} in {folder}, expected one; "
            "pass a folder that `latentsr export` wrote"
        )
    return folder


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(
        e in (-1, s) for s, e in zip(shape, expected, strict=True)
    )


def _read_bounded(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes, plus one so that a longer one is noticed."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BundleError(
            f"bundle file cannot be read: found {error.strerror} for {path}, expected a file; "
            "copy or export the bundle again"
        ) from None
    if len(data) > limit:
        raise BundleError(
            f"bundle file is too large: found more than {limit} bytes in {path}, expected at "
            "most that; export the bundle again"
        )
    return data


def _check(path: Path, data: bytes, entry: File) -> None:
    found = hashlib.sha256(data).hexdigest()
    if len(data) != entry.size or found != entry.sha256:
        raise BundleError(
            f"bundle file is damaged: found {len(data)} bytes with SHA-256 {found[:12]}… in "
            f"{path}, expected {entry.size} bytes with {entry.sha256[:12]}…; copy or export "
            "the bundle again"
        )
