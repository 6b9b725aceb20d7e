"""Plans of one graph from the cache: found, or built and kept, for the shapes that turn up.

A plan belongs to the graph, the full TensorRT version, the GPU (name and SM), the driver's CUDA
version, the profile and the build options: all of them are the entry's facts. The name of an
entry holds graph, profile and options, so that a plan for another machine or version is found,
refused with its reason, and built again in its place.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsr.backends.device import Device
from latentsr.backends.profiles import Profile, Shape, bucket, exact
from latentsr.backends.tensorrt_api import Dialect, last_error, logger
from latentsr.backends.tensorrt_build import BuildOptions, Watch, build_plan, inspect_plan
from latentsr.errors import BackendError, UsageError
from latentsr.plans.cache import Cache

if TYPE_CHECKING:
    import tensorrt as trt

_log = logging.getLogger("latentsr")
_NOTED_LAYERS = 2000
_NOTED = ("Name", "LayerType", "TacticName", "Inputs", "Outputs")


@dataclass(frozen=True)
class Plan:
    """A plan in device memory; types: NumPy dtype of each port; inputs and outputs in order."""

    profile: Profile
    engine: trt.ICudaEngine
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, Any]


@dataclass(frozen=True)
class Maker:
    """All that plans of one graph depend on."""

    graph: bytes
    label: str
    options: BuildOptions
    device: Device
    speaks: Dialect
    cache: Cache
    say: Callable[[str], None]
    watch: Watch | None = None

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the graph."""
        return hashlib.sha256(self.graph).hexdigest()

    def facts(self, profile: Profile) -> dict[str, Any]:
        """What a plan has to have been built for."""
        return {
            "kind": "tensorrt plan 1",
            "graph": self.digest,
            "tensorrt": self.speaks.version,
            "gpu": self.device.name,
            "sm": "{}.{}".format(*self.device.capability),
            "cuda_driver": self.device.driver,
            "precision": "fp16" if self.options.fp16 else "fp32",
            "profile": profile.as_dict(),
            "options": self.options.as_dict(),
        }

    def name(self, profile: Profile) -> str:
        """Name of the cache entry."""
        parts = [profile.as_dict(), self.options.as_dict()]
        tail = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return f"{entry_prefix(self.digest)}{tail}"

    def plan_for(self, shapes: Mapping[str, Shape]) -> Plan:
        """The plan for these shapes: the narrowest that was built before, else the bucket's.

        Plans that do not fit this machine any more, or are damaged, are built again.
        """
        for profile in (exact(shapes), *self._ranges(shapes)):
            found, refused = self.cache.find(self.name(profile), self.facts(profile))
            if found is not None or refused is not None:
                return self.fetch(profile)
        return self.fetch(bucket(shapes))

    def fetch(self, profile: Profile) -> Plan:
        """The plan of a profile, built first where the cache has none that fits."""
        name, facts = self.name(profile), self.facts(profile)
        entry = self.cache.fetch(name, facts, lambda: self._build(profile), self.say)
        try:
            return self._load(entry.data, profile)
        except BackendError as error:
            self.say(f"{name} is refused: {error}; building it again")
            return self.rebuild(profile)

    def rebuild(self, profile: Profile) -> Plan:
        """Build the plan of a profile, whatever the cache has."""
        name, facts = self.name(profile), self.facts(profile)
        return self._load(self.cache.store(name, facts, *self._build(profile)).data, profile)

    def notes(self, profile: Profile) -> tuple[Mapping[str, Any], Path]:
        """Notes of a plan that is in the cache, and its file. Raises BackendError without one."""
        entry, reason = self.cache.find(self.name(profile), self.facts(profile))
        if entry is None:
            raise BackendError(f"plan of graph {self.label} is not kept: found {reason}")
        return entry.notes, entry.path

    def _ranges(self, shapes: Mapping[str, Shape]) -> list[Profile]:
        """Profiles of plans in the cache that cover the shapes, narrowest first."""
        found = []
        for path in sorted(self.cache.folder.glob(f"{entry_prefix(self.digest)}*.json")):
            profile = read_profile(path.read_bytes()[: 4 << 20])
            if profile is not None and profile.covers(shapes):
                found.append(profile)
        return sorted(found, key=_volume)

    def _build(self, profile: Profile) -> tuple[bytes, dict[str, Any]]:
        self.say(f"building the TensorRT plan of graph {self.label} for {profile}: no plan for "
                 f"{self.device.name} and TensorRT {self.speaks.version} yet")  # fmt: skip
        begin = time.perf_counter()
        name, facts = self._timing()
        known, _ = self.cache.find(name, facts)
        self.device.activate()
        built = build_plan(self.graph, self.label, profile, self.options, self.speaks,
                           b"" if known is None else known.data, self.watch)  # fmt: skip
        try:
            self.cache.store(name, facts, built.timing, {})
        except UsageError as error:  # costs time at the next build, and nothing else
            self.say(f"TensorRT's timing cache is not kept: {error}")
        seconds = round(time.perf_counter() - begin, 1)
        layers = [{key: layer[key] for key in _NOTED if key in layer}
                  for layer in inspect_plan(self._deserialize(built.plan))]  # fmt: skip
        notes = {"label": self.label, "seconds": seconds, "layers": len(layers)}
        return built.plan, {**notes, "inspector": layers[:_NOTED_LAYERS]}

    def _timing(self) -> tuple[str, dict[str, Any]]:
        """Entry of TensorRT's timing cache: one for all graphs of a GPU and version."""
        gpu = hashlib.sha256(self.device.name.encode()).hexdigest()[:8]
        facts = {"kind": "tensorrt timing 1", "tensorrt": self.speaks.version,
                 "gpu": self.device.name, "cuda_driver": self.device.driver}  # fmt: skip
        return f"tensorrt-timing-{gpu}-{self.speaks.version}", facts

    def _deserialize(self, data: bytes) -> trt.ICudaEngine:
        engine = _runtime().deserialize_cuda_engine(data)
        if engine is None:
            raise BackendError(
                f"plan of graph {self.label} is refused by TensorRT {self.speaks.version}: found "
                f"{last_error()}, expected a plan that it loads; free device memory, or remove "
                f"{self.cache.folder}"
            )
        return engine

    def _load(self, data: bytes, profile: Profile) -> Plan:
        import tensorrt as trt

        self.device.activate()
        engine = self._deserialize(data)
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        types = {name: trt.nptype(engine.get_tensor_dtype(name)) for name in names}
        inputs = tuple(n for n in names if modes[n] == trt.TensorIOMode.INPUT)
        outputs = tuple(n for n in names if modes[n] == trt.TensorIOMode.OUTPUT)
        return Plan(profile, engine, inputs, outputs, types)


def entry_prefix(digest: str) -> str:
    """How the names of a graph's cache entries begin, by the graph's SHA-256."""
    return f"tensorrt-{digest[:16]}-"


def read_profile(sidecar: bytes) -> Profile | None:
    """The profile that a cache entry was built for; None where there is none to read."""
    try:
        raw = json.loads(sidecar)["facts"]["profile"]
        parts = [{str(name): tuple(int(side) for side in sides[i]) for name, sides in raw.items()}
                 for i in range(3)]  # fmt: skip
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return Profile(*parts)


def _volume(profile: Profile) -> float:
    total = 1.0
    for sides in profile.most.values():
        for side in sides:
            total *= side
    return total


_kept: list[Any] = []


def _runtime() -> Any:
    """The process's TensorRT runtime; engines need it as long as they live."""
    import tensorrt as trt

    if not _kept:
        _kept.append(trt.Runtime(logger()))
    return _kept[0]
