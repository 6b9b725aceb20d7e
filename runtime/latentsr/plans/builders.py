"""Who can build engines: name → module and class. A new one is one file and one line here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from latentsr.backends.profiles import Range
from latentsr.bundle import Bundle
from latentsr.errors import UsageError

BUILDERS = {
    "cpu": "latentsr.plans.cpu:CpuBuilder",
    "tensorrt": "latentsr.plans.tensorrt:TensorRtBuilder",
    "tensorrt-rtx": "latentsr.plans.tensorrt:TensorRtRtxBuilder",
}

_MOST = 86400


@dataclass(frozen=True)
class Wanted:
    """What to build.

    precision: ``fp32``, ``fp16`` or ``int8``. sizes: width and height of coded pictures to build
    for, none for what fits most. routes: whose graphs, all where empty. pictures: uint8 (H, W, 3)
    for calibration and measurements, the shipped one where there are none. gate_db: loss of PSNR
    that a lower precision may cost a route. seconds: to spend on measuring each graph. force:
    build what is there already, too. ranges: smallest, usual and greatest (height, width)
    of coded pictures, for engines that take a range of shapes. device: that the engines are for.
    """

    precision: str = "fp32"
    sizes: Sequence[tuple[int, int]] = ()
    routes: Sequence[str] = ()
    pictures: Sequence[np.ndarray] = ()
    gate_db: float = 0.1
    seconds: float = 3.0
    force: bool = False
    ranges: Sequence[Range] = ()
    device: str = "cpu"


@dataclass
class Report:
    """What was built.

    rows: one object a graph and size, with equal keys. quality: one a route. notes: lines. places:
    the cache's files.
    """

    backend: str
    precision: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    quality: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)


class Builder(ABC):
    """Builds engines for one backend on the machine that will run them."""

    precisions: tuple[str, ...] = ("fp32",)

    @abstractmethod
    def build(self, bundle: Bundle, wanted: Wanted, say: Callable[[str], None]) -> Report:
        """Build what is wanted into the cache, or take it from there.

        say: gets a line on progress, on waiting, and on each entry that was refused. Raises
        BackendError, UsageError.
        """


def get_builder(name: str) -> Builder:
    """The builder of that name; UsageError lists those known."""
    if name not in BUILDERS:
        raise UsageError(
            f"no such builder: found backend {name!r}, expected one of {', '.join(BUILDERS)}; "
            "choose one, others need no build"
        )
    module, attribute = BUILDERS[name].split(":")
    builder: Builder = getattr(import_module(module), attribute)()
    return builder


def check_wanted(builder: Builder, wanted: Wanted) -> None:
    """Raise UsageError where a builder cannot do what is wanted, whatever the bundle."""
    for name, given in (("seconds", wanted.seconds), ("gate", wanted.gate_db)):
        if not 0 <= given <= _MOST:  # NaN is in no range
            raise UsageError(f"{name}: found {given}, expected a number 0..{_MOST}; pass another")
    if wanted.precision not in builder.precisions:
        raise UsageError(
            f"precision cannot be built: found {wanted.precision!r}, expected one of "
            f"{', '.join(builder.precisions)}"
        )
