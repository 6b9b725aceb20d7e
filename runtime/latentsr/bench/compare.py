"""Two results against each other: did a contender become slower, by how much, and in which stage.

Noise decides what can be said. Each launch of a result gives two values for a contender: the
median of its rounds and their lower quartile, which other load hardly reaches. The shift from A to
B of each is estimated with a two-sample interval over launches. A contender counts as slower when
by both values the shift is more than the threshold and its interval lies above zero; what
disturbs one run moves the median but seldom the lower quartile, and almost never both alike.
Matrix products were timed in turn with the contenders: where both results have their times, the
shift must also hold for the lower quartile in units of those, which slow down with the machine, and
the intervals that count are those of the lower quartile, plain and in these units.
Where the machine itself changed speed between the results, its sgemm figures say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr.bench.statistics import Estimate, two_sample
from latentsr.errors import UsageError

LOWER = 25
MACHINE_CHANGE = 0.05
LEAST_LEVEL = 0.89  # three launches on both sides have 90 %
Values = NDArray[np.float64]


@dataclass(frozen=True)
class StageChange:
    """How a stage's median time moved, in milliseconds, and its part of the whole change."""

    name: str
    before_ms: float
    after_ms: float

    @property
    def change_ms(self) -> float:
        """Positive where it became slower."""
        return self.after_ms - self.before_ms


@dataclass(frozen=True)
class Change:
    """One contender: shifts as ratios B over A, the verdict, and stages by change, worst first.

    net: that of the lower quartile against the machine's matrix products, where they are known.
    """

    name: str
    before_ms: float
    after_ms: float
    median: Estimate
    lower: Estimate
    net: Estimate | None
    slower: bool
    faster: bool
    stages: tuple[StageChange, ...]

    @property
    def cause(self) -> str | None:
        """The stage that explains most of a slowdown."""
        worst = self.stages[0] if self.stages else None
        return worst.name if self.slower and worst and worst.change_ms > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ratios are B over A."""
        return {
            "name": self.name, "before_ms": self.before_ms, "after_ms": self.after_ms,
            "median": self.median.as_dict("ratio"), "lower_quartile": self.lower.as_dict("ratio"),
            "net": None if self.net is None else self.net.as_dict("ratio"),
            "slower": self.slower, "faster": self.faster, "cause": self.cause,
            "stages": [asdict(stage) | {"change_ms": stage.change_ms} for stage in self.stages],
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """All contenders that both results have, and what stands against comparing them."""

    changes: tuple[Change, ...]
    cautions: tuple[str, ...]

    @property
    def slower(self) -> list[Change]:
        """Those that became slower by more than the threshold."""
        return [change for change in self.changes if change.slower]


def compare(before: Mapping[str, Any], after: Mapping[str, Any], threshold: float) -> Comparison:
    """Compare two checked results; threshold: a share, such as 0.05.

    Raises UsageError where they have no contender in common.
    """
    second = {route["name"]: route for route in after["routes"]}
    pairs = [(r, second[r["name"]]) for r in before["routes"] if r["name"] in second]
    if not pairs:
        raise UsageError(
            f"results have no contender in common: found {[r['name'] for r in before['routes']]} "
            f"and {list(second)}, expected at least one name in both; measure the same routes"
        )
    machines = before["machine"], after["machine"]
    changes = tuple(_change(a, b, machines, threshold) for a, b in pairs)
    cautions = [*_cautions(before, after), *_single(pairs), *_uncertain(changes)]
    return Comparison(changes, tuple(cautions))


def _change(
    a: Mapping[str, Any], b: Mapping[str, Any], machines: Sequence[Mapping[str, Any]],
    threshold: float,
) -> Change:  # fmt: skip
    values = [(_values(a["launches"], p), _values(b["launches"], p)) for p in (50, LOWER)]
    median, lower = (_shift(*pair) for pair in values)
    products = [_products(*pair) for pair in zip(machines, values[1], strict=True)]
    net = None
    if products[0] is not None and products[1] is not None:
        net = _shift(values[1][0] / products[0], values[1][1] / products[1])
    estimates = [e for e in (median, lower, net) if e is not None]
    sure = [median, lower] if net is None else [lower, net]
    slower = all(e.value > 1 + threshold for e in estimates) and all(e.low > 1 for e in sure)
    faster = all(e.value < 1 / (1 + threshold) for e in estimates) and all(e.high < 1 for e in sure)
    stages = sorted(_stages(a, b), key=lambda stage: -stage.change_ms * (1 if not faster else -1))
    return Change(
        a["name"], a["latency_ms"]["p50"], b["latency_ms"]["p50"], median, lower, net, slower,
        faster,
        tuple(stages),
    )  # fmt: skip


def _shift(a: Values, b: Values) -> Estimate:
    """B over A by one value a launch."""
    found = two_sample(np.log(a), np.log(b))
    low, value, high = np.exp([found.low, found.value, found.high])
    return Estimate(float(value), float(low), float(high), found.level, found.count)


def _values(found: Sequence[Sequence[float]], percentile: int) -> Values:
    """A value a launch; a single launch is cut into batches, as a stopgap."""
    launches = [np.asarray(launch) for launch in found if launch]
    if len(launches) == 1:
        launches = np.array_split(launches[0], min(6, len(launches[0])))
    return np.array([np.percentile(launch, percentile) for launch in launches])


def _products(machine: Mapping[str, Any], like: Values) -> Values | None:
    """The machine's matrix products, a value for each of the contender's."""
    launches = machine["sgemm"].get("launches")
    if not launches or not all(launches):
        return None
    values = _values(launches, LOWER)
    return values if values.shape == like.shape else None


def _stages(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[StageChange]:
    """Each stage by the median of its launches' medians, of those launches that had it."""
    found = []
    for name in dict.fromkeys(stage["name"] for route in (a, b) for stage in route["stages"]):
        times = [
            [launch[name] for launch in route["launch_stages"] if name in launch]
            for route in (a, b)
        ]
        before, after = (float(np.median(values)) if values else 0.0 for values in times)
        found.append(StageChange(name, before, after))
    return found


def _cautions(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    found = []
    for key in ("cpu", "cores", "system"):
        if a["machine"].get(key) != b["machine"].get(key):
            found.append(f"other {key}: {a['machine'].get(key)} and {b['machine'].get(key)}")
    for key in ("threads", "backend", "device", "write"):
        if a["settings"].get(key) != b["settings"].get(key):
            found.append(f"other {key}: {a['settings'].get(key)} and {b['settings'].get(key)}")
    precisions = [one["settings"].get("precision", "fp32") for one in (a, b)]
    if precisions[0] != precisions[1]:
        found.append(f"other precision: {precisions[0]} and {precisions[1]}")
    if a["bundle"].get("fingerprint") != b["bundle"].get("fingerprint"):
        found.append("other bundles")
    if _measured_on(a) != _measured_on(b):
        found.append("other pictures")
    names = [[route["name"] for route in one["routes"]] for one in (a, b)]
    for which, one, other in (("first", *names), ("second", *reversed(names))):
        if alone := [name for name in one if name not in other]:
            found.append(f"only in the {which} result, so not compared: {', '.join(alone)}")
    speeds = [r["machine"]["sgemm"]["gmacs_per_s"]["p90"] for r in (a, b)]
    if abs(speeds[1] - speeds[0]) > MACHINE_CHANGE * speeds[0]:
        found.append(
            f"the machine's own speed changed: sgemm {speeds[0]:.0f} and {speeds[1]:.0f} GMAC/s"
        )
    return found


def _measured_on(result: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    keys = ("name", "coded_width", "coded_height")
    return [tuple(picture.get(key) for key in keys) for picture in result["pictures"]]


def _single(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    """Contenders of which a result has one launch: its batches know nothing of other processes."""
    alone = [a["name"] for a, b in pairs if min(len(a["launches"]), len(b["launches"])) == 1]
    if not alone:
        return []
    return [
        f"a single launch of {', '.join(alone)}: intervals leave out what varies from process to "
        "process; measure with more launches"
    ]


def _uncertain(changes: Sequence[Change]) -> list[str]:
    """Verdicts whose intervals are worth little, as there are too few launches or rounds."""
    return [
        f"{change.name}: its intervals have a level of {change.median.level:.0%} only, so noise "
        "may be all of the change; measure both with more launches"
        for change in changes
        if (change.slower or change.faster) and change.median.level < LEAST_LEVEL
    ]
