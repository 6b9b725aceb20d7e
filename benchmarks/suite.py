"""A named suite of benchmarks in one command; results go to benchmarks/results/MACHINE/.

python benchmarks/suite.py demo [--data FOLDER] [--only RUN] [--out FOLDER]

A suite is suites/NAME.toml: one table `[[run]]` for each result, with the options of
`latentsr bench`. `$DATA` in a picture's path is the folder given with --data, or the environment
variable LATENTSR_TEST_DATA. A bundle `random:FAMILY:N,M` is exported on the spot with random
weights of a fixed seed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from latentsr.bench.machine import describe_machine
from latentsr.bench.rounds import Schedule
from latentsr.bench.run import Settings, run_bench
from latentsr.errors import UsageError
from latentsr.report.publish import Targets, publish

HERE = Path(__file__).resolve().parent
SUITES = HERE / "suites"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=sorted(path.stem for path in SUITES.glob("*.toml")))
    parser.add_argument("--data", default=os.environ.get("LATENTSR_TEST_DATA"))
    parser.add_argument("--only", help="name of one run")
    parser.add_argument("--out", type=Path, help="folder; default: that of this machine")
    given = parser.parse_args()
    suite = tomllib.loads((SUITES / f"{given.suite}.toml").read_text())
    out = given.out or HERE / "results" / machine_name()
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(HERE.parent)
    for run in suite["run"]:
        if given.only in (None, run["name"]):
            measure(given.suite, run, given.data, out)


def machine_name() -> str:
    """Folder name of this machine: processor and cores."""
    machine = describe_machine(())
    words = re.sub(r"[^a-z0-9]+", "-", str(machine["cpu"]).lower()).strip("-")
    return f"{words}-{machine['cores']}-cores"


def measure(suite: str, run: dict[str, Any], data: str | None, out: Path) -> None:
    stem = out / f"{suite}-{run['name']}"
    print(f"{suite}: {run['name']}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        bundle = random_bundle(run["bundle"], Path(place))
        found = run_bench(settings(run, bundle, data), say)
    found.result["command"] = ["python", "benchmarks/suite.py", suite, "--only", run["name"]]
    html = stem.with_suffix(".html") if run.get("report") else None
    publish(found, Targets(json=stem.with_suffix(".json"), html=html,
                           markdown=stem.with_suffix(".md")))  # fmt: skip


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr)


def settings(run: dict[str, Any], bundle: str, data: str | None) -> Settings:
    """Options of one run of the suite."""
    pictures = run["pictures"]
    if any("$DATA" in name for name in pictures) and not data:
        raise UsageError("suite needs pictures: found no --data, expected their folder; give it")
    slow = {key: run[key] for key in ("slow_rounds", "slow_items") if key in run}
    return Settings(
        bundle=bundle,
        names=tuple(name.replace("$DATA", data or "") for name in pictures),
        routes=tuple(run.get("routes", ())),
        baselines=tuple(run.get("baselines", ())),
        backend=run["backend"],
        threads=run["threads"],
        launches=run["launches"],
        schedule=Schedule(run.get("warmup", 2), run["iterations"], run.get("burst", 3), **slow),
        in_flight=tuple(run.get("batch", ())),
        sizes=tuple((int(w), int(h)) for w, h in (s.split("x") for s in run.get("sizes", ()))),
    )


def random_bundle(name: str, folder: Path) -> str:
    """`name` itself, or the bundle made for ``random:FAMILY:N,M``."""
    if not name.startswith("random:"):
        return name
    import torch
    from compressai.registry import MODELS

    import latentsr_export

    _, family, sizes = name.split(":")
    torch.manual_seed(0)
    network = MODELS[family](*map(int, sizes.split(",")))
    network.update()
    torch.save(network.state_dict(), folder / "codec.pth")
    target = folder / f"{family}.lsr"
    latentsr_export.export(folder / "codec.pth", target, random_weights=True)
    return str(target)


if __name__ == "__main__":
    main()
