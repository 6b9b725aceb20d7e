"""How well `latentsr compare` tells a slowdown from noise, on this machine.

python benchmarks/compare_gate.py [--equal 20] [--planted 5] [--out FILE]

Measures the demo's latent route again and again. Neighbours in time are compared: equal ones must
not be flagged; where a sleep of 10 % of the call was planted into one stage, the route must be
flagged and the stage named.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from latentsr.bench.compare import compare
from latentsr.bench.machine import describe_machine
from latentsr.bench.rounds import Schedule
from latentsr.bench.route_subject import RouteSubject
from latentsr.bench.run import Settings, run_bench
from latentsr.bench.subject import Facts, Setup
from latentsr.bundle import DEMO
from latentsr.pipeline import routes

THRESHOLD = 0.05
PLANTED = 0.10
VARIABLE = "LATENTSR_GATE_SLEEP_MS"
STAGES = {"entropy_decode y": "entropy_decode", "latent_sr": "graph", "picture": "picture"}


class Slowed(RouteSubject):
    """A route one of whose stages sleeps, as `VARIABLE` says: ``stage=milliseconds``."""

    def start(self, setup: Setup) -> Facts:
        stage, ms = os.environ[VARIABLE].split("=")
        op = STAGES[stage]
        kind, function = routes.STEPS[op]

        def slow(step: Any, run: Any, machine: Any, entry: Any) -> None:
            function(step, run, machine, entry)
            if routes.describe(step)[1] == stage:
                time.sleep(float(ms) / 1e3)

        routes.STEPS[op] = (kind, slow)
        return super().start(setup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--equal", type=int, default=20)
    parser.add_argument("--planted", type=int, default=5)
    parser.add_argument("--launches", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    before = measured(given)
    for number in range(given.equal + given.planted):
        stage = list(STAGES)[number % len(STAGES)] if number >= given.equal else None
        after = measured(given, stage, before["routes"][0]["latency_ms"]["p50"])
        rows.append(row(before, after, stage))
        print(json.dumps(rows[-1]), flush=True)
        before = measured(given) if stage else after
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    if given.out:
        result = {"machine": describe_machine(), "threshold": THRESHOLD, "planted": PLANTED,
                  **summary, "comparisons": rows}  # fmt: skip
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def measured(given: argparse.Namespace, stage: str | None = None, ms: float = 0) -> dict[str, Any]:
    """One result, with a sleep of a tenth of `ms` in `stage`."""
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent)
    os.environ[VARIABLE] = f"{stage}={PLANTED * ms}"
    settings = Settings(
        "demo", (str(DEMO.parent / "coffee.png"),), ("latent_x4",), threads=2,
        subject="compare_gate:Slowed" if stage else "route", launches=given.launches,
        schedule=Schedule(2, given.rounds), in_flight=(),
    )  # fmt: skip
    return run_bench(settings).result


def row(before: dict[str, Any], after: dict[str, Any], stage: str | None) -> dict[str, Any]:
    """What the comparison said."""
    change = compare(before, after, THRESHOLD).changes[0]
    return {
        "planted_in": stage, "flagged": change.slower, "cause": change.cause,
        "median": round(change.median.value, 4), "lower_quartile": round(change.lower.value, 4),
        "net": round(change.net.value, 4) if change.net else None,
        "machine": [round(r["machine"]["sgemm"]["gmacs_per_s"]["p50"], 1) for r in (before, after)],
    }  # fmt: skip


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How often it was right."""
    equal = [row for row in rows if row["planted_in"] is None]
    planted = [row for row in rows if row["planted_in"]]
    return {
        "equal": len(equal), "equal_flagged": sum(row["flagged"] for row in equal),
        "planted": len(planted), "planted_flagged": sum(row["flagged"] for row in planted),
        "cause_right": sum(row["cause"] == row["planted_in"] for row in planted),
    }  # fmt: skip


if __name__ == "__main__":
    main()
