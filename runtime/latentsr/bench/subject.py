"""What one benchmark process measures: a route, a baseline, or the machine's matrix products.

A subject is named ``module:Class``, by a short name of `SUBJECTS`, or by a name that an installed
package registers in the entry-point group `latentsr.baselines`. It lives in a process of its own
(`worker.py`), so that every contender has the memory, the threads and the libraries that it would
have alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsr.errors import BackendError, UsageError
from latentsr.timing import Timeline

if TYPE_CHECKING:
    from latentsr.codec import Codec

GROUP = "latentsr.baselines"
SUBJECTS = {
    "avif": "latentsr.bench.file_subject:AvifSubject",
    "jpeg": "latentsr.bench.file_subject:JpegSubject",
    "webp": "latentsr.bench.file_subject:WebpSubject",
    "route": "latentsr.bench.route_subject:RouteSubject",
    "sgemm": "latentsr.bench.sgemm_subject:SgemmSubject",
}

OWN = {"route", "sgemm"}  # no baselines: the bundle's routes and the yardstick


@dataclass(frozen=True)
class Setup:
    """How a subject shall run.

    bundle: folder of the bundle. backend, device, precision: of `latentsr.load`. threads: for all
    of the subject's work, None leaves it to the libraries. options: the subject's own, such as the
    route.
    """

    bundle: str
    backend: str = "ort"
    device: str = "cpu"
    threads: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fp32"

    def load(self) -> Codec:
        """The bundle as the routes run it. Raises BundleError, BackendError, UsageError."""
        from latentsr.codec import load

        return load(self.bundle, self.backend, self.device, self.threads, precision=self.precision)


@dataclass(frozen=True)
class Item:
    """One input: a stream file, and where there is one, the HR original as a PNG file."""

    name: str
    stream: Path
    original: Path | None = None


@dataclass(frozen=True)
class Facts:
    """What a started subject says of itself.

    about: one line for people. runs_on: device and library as found, not as asked for. scale: of
    its output against the coded picture. random_weights: True where its weights were not trained,
    so that only its speed counts. versions: of the packages it uses.
    """

    about: str
    runs_on: str
    scale: int
    random_weights: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)


class Subject(ABC):
    """One way from a stream's bytes to a picture."""

    @abstractmethod
    def start(self, setup: Setup) -> Facts:
        """Load all that a call needs; called once, timed as the cold start."""

    @abstractmethod
    def load(self, index: int, item: Item) -> int:
        """Take one input in, outside all timings; returns the bytes that a call will read."""

    @abstractmethod
    def run(self, index: int) -> Timeline:
        """Make the picture of one input from its bytes, stage by stage; timed as a whole."""

    @abstractmethod
    def output(self, index: int) -> np.ndarray | None:
        """The picture of one input, uint8 (H, W, 3); None where the subject makes none."""

    def many(self, indexes: Sequence[int], in_flight: int) -> None:
        """Make the pictures of several inputs, at most `in_flight` at a time.

        A subject that can have several in flight overrides this; others are measured with one.
        """
        del in_flight
        for index in indexes:
            self.run(index)


def baseline_names() -> list[str]:
    """Baselines that `find_subject` knows: the built-in ones and those of installed packages."""
    return sorted({*SUBJECTS, *(entry.name for entry in entry_points(group=GROUP))} - OWN)


def find_subject(name: str) -> type[Subject]:
    """Class of a subject by ``module:Class`` or name.

    Raises UsageError that lists the known names, BackendError where a library is missing.
    """
    if ":" not in name:
        found = {entry.name: entry.value for entry in entry_points(group=GROUP)} | SUBJECTS
        if name not in found:
            raise UsageError(
                f"no such baseline: found {name!r}, expected one of {', '.join(baseline_names())}; "
                "choose one, or install the package that has it"
            )
        name = found[name]
    module, attribute = name.split(":")
    try:
        subject: type[Subject] = getattr(import_module(module), attribute)
    except ImportError as error:
        raise BackendError(
            f"library of a baseline is missing: found no {error.name}, expected it for {name}; "
            "run: pip install 'latentsr[export]'"
        ) from None
    return subject
