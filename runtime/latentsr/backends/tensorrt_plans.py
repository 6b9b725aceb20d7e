"""Plans of one graph from the cache: found, or built and kept, for the shapes that turn up.

A plan belongs to the graph, the full TensorRT version, the GPU (name and SM), the driver's CUDA
version, the profile and the build options: all of them are the entry's facts. A plan of TensorRT
for RTX belongs to a kind of GPU at most, and is built without one. The name of an entry holds
graph, profile and options, so that a plan for another machine or version is found, refused with
its reason, and built again in its place.
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
from latentsr.backends.tensorrt_api import TENSORRT, Dialect, last_error, logger
from latentsr.backends.tensorrt_build import BuildOptions, Watch, build_plan, inspect_plan
from latentsr.backends.tensorrt_late import Compiled
from latentsr.errors import BackendError, UsageError
from latentsr.plans.cache import Cache

if TYPE_CHECKING:
    import tensorrt as trt

_log = logging.getLogger("latentsr")
_NOTED_LAYERS = 2000
_MAX_SIDECAR = 4 << 20
_NOTED = ("Name", "LayerType", "TacticName", "Precision", "Inputs", "Outputs")


@dataclass(frozen=True)
class Plan:
    """A plan in device memory; types: NumPy dtype of each port; inputs and outputs in order.

    compiled: kernels of TensorRT for RTX.
    """

    profile: Profile
    engine: trt.ICudaEngine
    speaks: Dialect
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, Any]
    compiled: Compiled | None = None


@dataclass(frozen=True)
class Maker:
    """All that plans of one graph depend on.

    device: the GPU; None where plans are to be built only, by a library that can do it without.
    """

    graph: bytes
    label: str
    options: BuildOptions
    device: Device | None
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
            "kind": f"{self.speaks.backend} plan 1",
            "graph": self.digest,
            self.speaks.package: self.speaks.version,
            **({} if self.speaks.late else self._machine()),
            "precision": "fp16" if self.options.fp16 else "fp32",
            "profile": profile.as_dict(),
            "options": self.options.as_dict(),
        }

    def name(self, profile: Profile) -> str:
        """Name of the cache entry."""
        parts = [profile.as_dict(), self.options.as_dict()]
        tail = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return f"{entry_prefix(self.digest, self.speaks.backend)}{tail}"

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

    def put(self, profile: Profile, force: bool) -> None:
        """See that the cache has the plan of a profile. force: build what is there, too.

        It is loaded as well where there is a device, for whether it fits shows only then.
        """
        name, facts = self.name(profile), self.facts(profile)
        if self.device is None and force:
            self.cache.store(name, facts, *self._build(profile))
        elif self.device is None:
            self.cache.fetch(name, facts, lambda: self._build(profile), self.say)
        elif force:
            self.rebuild(profile)
        else:
            self.fetch(profile)

    def notes(self, profile: Profile) -> tuple[Mapping[str, Any], Path]:
        """Notes of a plan that is in the cache, and its file. Raises BackendError without one."""
        entry, reason = self.cache.find(self.name(profile), self.facts(profile))
        if entry is None:
            raise BackendError(f"plan of graph {self.label} is not kept: found {reason}")
        return entry.notes, entry.path

    def _ranges(self, shapes: Mapping[str, Shape]) -> list[Profile]:
        """Profiles of plans in the cache that cover the shapes, narrowest first."""
        found = []
        prefix = entry_prefix(self.digest, self.speaks.backend)
        for path in sorted(self.cache.folder.glob(f"{prefix}*.json")):
            profile = _profile_of(path)
            if profile is not None and profile.covers(shapes):
                found.append(profile)
        return sorted(found, key=_volume)

    def _build(self, profile: Profile) -> tuple[bytes, dict[str, Any]]:
        where = "" if self.speaks.late else f"{self._gpu().name} and "
        self.say(f"building the TensorRT plan of graph {self.label} for {profile}: no plan for "
                 f"{where}{self.speaks.title} yet")  # fmt: skip
        begin = time.perf_counter()
        timing = b"" if self.speaks.late else self._timings()
        built = build_plan(self.graph, self.label, profile, self.options, self.speaks, timing,
                           self.watch)  # fmt: skip
        if self.speaks.late:
            layers = built.parsed
        else:
            self._keep_timings(built.timing)
            layers = inspect_plan(self._deserialize(built.plan), self.speaks)
        seconds = round(time.perf_counter() - begin, 1)
        noted = [{key: layer[key] for key in _NOTED if key in layer} for layer in layers]
        notes = {"label": self.label, "seconds": seconds, "layers": len(noted)}
        return built.plan, {**notes, "inspector": noted[:_NOTED_LAYERS]}

    def _timings(self) -> bytes:
        """TensorRT's timing cache of earlier builds."""
        self._gpu().activate()
        known, _ = self.cache.find(*self._timing())
        return b"" if known is None else known.data

    def _keep_timings(self, data: bytes) -> None:
        try:
            self.cache.store(*self._timing(), data, {})
        except UsageError as error:  # costs time at the next build, and nothing else
            self.say(f"TensorRT's timing cache is not kept: {error}")

    def _timing(self) -> tuple[str, dict[str, Any]]:
        """Entry of TensorRT's timing cache: one for all graphs of a GPU and version."""
        device = self._gpu()
        gpu = hashlib.sha256(device.name.encode()).hexdigest()[:8]
        facts = {"kind": "tensorrt timing 1", "tensorrt": self.speaks.version,
                 "gpu": device.name, "cuda_driver": device.driver}  # fmt: skip
        return f"tensorrt-timing-{gpu}-{self.speaks.version}", facts

    def _deserialize(self, data: bytes) -> trt.ICudaEngine:
        engine = _runtime(self.speaks).deserialize_cuda_engine(data)
        if engine is None:
            raise BackendError(
                f"plan of graph {self.label} is refused by {self.speaks.title}: found "
                f"{last_error(self.speaks.package)}, expected a plan that it loads; free device "
                f"memory, or remove {self.cache.folder}"
            )
        return engine

    def _load(self, data: bytes, profile: Profile) -> Plan:
        if TYPE_CHECKING:
            import tensorrt as trt
        else:
            trt = self.speaks.module
        self._gpu().activate()
        engine = self._deserialize(data)
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        types = {name: trt.nptype(engine.get_tensor_dtype(name)) for name in names}
        inputs = tuple(n for n in names if modes[n] == trt.TensorIOMode.INPUT)
        outputs = tuple(n for n in names if modes[n] == trt.TensorIOMode.OUTPUT)
        compiled = self._compiled(engine, data, profile) if self.speaks.late else None
        return Plan(profile, engine, self.speaks, inputs, outputs, types, compiled)

    def _compiled(self, engine: Any, data: bytes, profile: Profile) -> Compiled:
        name = f"kernels-{self.name(profile)}"
        plan = hashlib.sha256(data).hexdigest()
        return Compiled(engine, self.speaks, self._gpu(), self.cache, name, plan)

    def _machine(self) -> dict[str, Any]:
        device = self._gpu()
        return {"gpu": device.name, "sm": "{}.{}".format(*device.capability),
                "cuda_driver": device.driver}  # fmt: skip

    def _gpu(self) -> Device:
        if self.device is None:
            raise BackendError(
                f"plan of graph {self.label} cannot be loaded: found no GPU, expected the one that "
                "it is to run on; load it there"
            )
        return self.device


def entry_prefix(digest: str, backend: str = TENSORRT) -> str:
    """How the names of a graph's cache entries begin, by the graph's SHA-256 and the backend."""
    return f"{backend}-{digest[:16]}-"


def read_profile(sidecar: bytes) -> Profile | None:
    """The profile that a cache entry was built for; None where there is none to read."""
    try:
        raw = json.loads(sidecar)["facts"]["profile"]
        parts = [{name: tuple(sides[i]) for name, sides in raw.items()} for i in range(3)]
        is_range = all(_is_range(*(part[name] for part in parts)) for name in raw)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    return Profile(*parts) if is_range else None


def _is_range(least: Shape, usual: Shape, most: Shape) -> bool:
    """Whether the cache, which is untrusted, names three shapes in order; ValueError as well."""
    return all(
        {type(low), type(side), type(high)} == {int} and 0 < low <= side <= high < 1 << 31
        for low, side, high in zip(least, usual, most, strict=True)
    )


def _profile_of(path: Path) -> Profile | None:
    """The profile in a sidecar; None also where another process took it away, or it is no file."""
    try:
        with path.open("rb") as file:
            return read_profile(file.read(_MAX_SIDECAR))
    except OSError:
        return None


def _volume(profile: Profile) -> float:
    total = 1.0
    for sides in profile.most.values():
        for side in sides:
            total *= side
    return total


@functools.cache
def _runtime(speaks: Dialect) -> Any:
    """The process's TensorRT runtime; engines need it as long as they live."""
    if TYPE_CHECKING:
        import tensorrt as trt
    else:
        trt = speaks.module
    return trt.Runtime(logger(speaks.package))
