"""Millions of damaged streams and containers: what is refused, for what, and what passes.

nice -n 19 python benchmarks/hostile.py [--streams 10000000] [--containers 1000000]
    [--decoded 100000] [--fenced 200000] [--valgrind 0] [--seed 1]
    [--out benchmarks/results/hostile.json]

Builds tests/hostile/mutate_streams.cpp with the address and undefined-behaviour sanitizers (needs
CMake, Ninja or Make, and a compiler that has them), runs it and mutate_containers.py, one after
the other on one core, and adds up. Their first comments say what the counts mean. Ends with an
error at the first broken promise: no result then. Sanitizers do not see the vector gathers, which
read tables and never the stream. So --fenced mutants more run with every block of memory at the
edge of a forbidden page (kernels/tests/fenced_new.cpp), and --valgrind more under that tool, which
sees gathers up to AVX2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from machine import describe_machine

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, sanitize: bool, *targets: str) -> Path:
    """Build the test programs; returns where they lie."""
    switches = ["LATENTSR_PYTHON=OFF", "LATENTSR_DRIVERS=ON"]
    switches.append(f"LATENTSR_SANITIZE={'ON' if sanitize else 'OFF'}")
    configure = ["cmake", "-S", ROOT / "kernels", "-B", folder, *(f"-D{s}" for s in switches)]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    command = ["cmake", "--build", folder, "--target", *targets]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "tests"


def run(*command: str | Path | int) -> dict[str, Any]:
    """The line of JSON that a program prints."""
    words = [str(word) for word in command]
    print(" ".join(Path(word).name for word in words), file=sys.stderr)
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def total(kinds: dict[str, Any]) -> dict[str, Any]:
    """Sums over the kinds of damage."""
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for kind in kinds.values():
        counts.update({key: value for key, value in kind.items() if key != "errors"})
        errors.update(kind["errors"])
    return {**counts, "errors": dict(errors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000_000)
    parser.add_argument("--containers", type=int, default=1_000_000)
    parser.add_argument("--decoded", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fenced", type=int, default=200_000)
    parser.add_argument("--valgrind", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/hostile.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "sanitizers": "address, undefined",
    }
    with tempfile.TemporaryDirectory() as folder:
        plain = build(Path(folder) / "plain", False, "mutate_fenced", "mutate_streams")
        driver = build(Path(folder) / "sanitized", True, "mutate_streams") / "mutate_streams"
        if given.fenced:
            result["streams_fenced"] = run(plain / "mutate_fenced", given.fenced, given.seed + 2)
        if given.valgrind:
            tool = ("valgrind", "--quiet", "--error-exitcode=9", plain / "mutate_streams")
            result["streams_valgrind"] = run(*tool, given.valgrind, given.seed + 1)
        result["streams"] = run(driver, given.streams, given.seed)
    result["containers"] = run(
        sys.executable, ROOT / "tests" / "hostile" / "mutate_containers.py",
        "--mutants", given.containers, "--decoded", given.decoded, "--seed", given.seed,
    )  # fmt: skip
    parts = ("as_is", "resealed", "chunk")
    result["totals"] = {
        f"{form} {group}": total(kinds)
        for form, groups in result["streams"]["forms"].items()
        for group, kinds in groups.items()
    } | {f"container {part}": total(result["containers"][part]) for part in parts}
    print(json.dumps(result["totals"], indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
        print(given.out, given.out.stat().st_size)


if __name__ == "__main__":
    main()
