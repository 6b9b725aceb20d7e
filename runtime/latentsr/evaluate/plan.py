"""What an evaluation will run: settings, and of each bundle its label, scale and routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latentsr.backends import get_backend
from latentsr.bundle import Bundle
from latentsr.errors import UsageError
from latentsr.evaluate.reduction import OWN_REDUCTION, OWN_ROUTE, REDUCTIONS


@dataclass(frozen=True)
class Settings:
    """What to evaluate, and how.

    bundles: folders, or demo. pictures: a folder, file or glob of HR originals. routes: empty for
    all that enlarge by the scale. scale: None for each bundle's largest. reduction: a filter, or
    ``bundle`` for its own `encode_hr`. border: rows and columns
    left out at every side before metrics. metrics: further ones. The rest as in `load`.
    """

    bundles: tuple[str, ...]
    pictures: str
    routes: tuple[str, ...] = ()
    scale: int | None = None
    reduction: str = "matlab"
    border: int = 0
    metrics: tuple[str, ...] = ()
    backend: str = "ort"
    device: str = "cpu"
    threads: int | None = None


@dataclass(frozen=True)
class Plan:
    """One bundle, its label in the result, and what is run on it."""

    path: str
    label: str
    scale: int
    routes: tuple[str, ...]


def make_plans(settings: Settings) -> list[Plan]:
    """Check the settings and open every bundle, before any work is done.

    Raises UsageError for settings out of range, bundles that repeat, and routes or scales that a
    bundle does not have; BundleError where one cannot be opened.
    """
    _check(settings)
    return [_plan(path, label, settings) for path, label in _labels(settings.bundles)]


def picture_names(files: Sequence[Path]) -> list[str]:
    """Names of files, or their paths where these would not differ."""
    short = [path.name for path in files]
    return short if len(set(short)) == len(short) else [str(path) for path in files]


def _check(settings: Settings) -> None:
    if settings.reduction not in (*REDUCTIONS, OWN_REDUCTION):
        raise UsageError(
            f"no such reduction: found {settings.reduction!r}, expected one of "
            f"{', '.join((*REDUCTIONS, OWN_REDUCTION))}; choose one of these"
        )
    if settings.border < 0:
        raise UsageError(f"border is out of range: found {settings.border}, expected 0 or more")
    get_backend(settings.backend)


def _labels(bundles: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(path, label): folder names without suffix, or paths where these would not differ."""
    if len({str(Path(path)) for path in bundles}) != len(bundles) or not bundles:
        raise UsageError(f"bundles repeat: found {' '.join(bundles)}, expected each of them once")
    stems = [Path(path).name.removesuffix(".lsr") or path for path in bundles]
    for path, stem in zip(bundles, stems, strict=True):
        yield path, stem if stems.count(stem) == 1 else path


def _plan(path: str, label: str, settings: Settings) -> Plan:
    bundle = Bundle(path)
    named = [(name, bundle.route(name, "decode")) for name in dict.fromkeys(settings.routes)]
    known = named or [(n, r) for n, r in bundle.manifest.routes.items() if r.kind == "decode"]
    scale = settings.scale or max((route.scale for _, route in known), default=1)
    wrong = [name for name, route in named if route.scale != scale]
    chosen = tuple(name for name, route in known if route.scale == scale)
    if wrong or not chosen or scale == 1:
        scales = ", ".join(f"{name} (x{route.scale})" for name, route in known)
        wanted = "more than 1" if scale == 1 else str(scale)
        raise UsageError(
            f"bundle {label} has routes of another scale: found {scales or 'none'}, expected a "
            f"scale of {wanted}; choose --routes and --scale that fit"
        )
    if settings.reduction == OWN_REDUCTION:
        bundle.route(OWN_ROUTE, "encode")
    return Plan(path, label, scale, chosen)
