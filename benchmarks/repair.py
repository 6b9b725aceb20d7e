"""CompressAI strings whose writer's float σ differed a little: how many are put right, how fast.

python benchmarks/repair.py PICTURES... [--bundle demo] [--out results.json]

For each picture σ is computed by the float graph. The writer's σ is the same times
1 + 1e-6 * noise (normal). Noise is drawn anew until just 1, 3 or 10 scale indexes differ; where
50 draws do not give that many, so many are drawn from the indexes up to 1e-5 from a threshold,
which is harder. The string is coded with the writer's indexes and decoded with ours. Two ways: the
search alone, and with the guided one behind it, as the codec does.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

import latentsr
from latentsr.codec import Codec
from latentsr.entropy.latents import LatentSteps, ScaleTable
from latentsr.entropy.mend import mend
from latentsr.entropy.neighbours import NeighbourModel
from latentsr.entropy.repair import Doubts, Repair, changed_indexes, find_doubts
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8

NOISE = 1e-6
REACH = 1e-5
ROUNDS = 50
CHANGES = (0, 1, 3, 10)


def writers_indexes(
    rng: np.random.Generator, scales: np.ndarray, indexes: np.ndarray, doubts: Doubts,
    table: ScaleTable, changes: int,
) -> np.ndarray | None:  # fmt: skip
    """Indexes that differ from ours at `changes` places, or None where doubts are too few."""
    steps = LatentSteps()
    for _ in range(ROUNDS):
        noise = rng.normal(0, NOISE, scales.shape)
        found = steps.indexes((scales * (1 + noise)).astype(np.float32), table)
        if int((found != indexes).sum()) == changes:
            return found
    near = np.flatnonzero(doubts.distances <= REACH)
    if near.size < changes:
        return None
    chosen = rng.choice(near, changes, replace=False)
    return changed_indexes(indexes, doubts, tuple(doubts.places[chosen].tolist()))


def try_one(codec: Codec, picture: np.ndarray, changes: int, rng: np.random.Generator) -> Any:
    """Outcome of both ways on one picture, or None where it has too few doubts."""
    run = codec.run_encode(picture, "encode", False)
    coder = codec.machine.entropy["y"].coder
    tensors, steps = codec.bundle.tensors, LatentSteps()
    table = ScaleTable(tensors["y.scale_table"])
    scales, symbols = run.values["scales"], np.rint(run.values["y"]).astype(np.int32)
    indexes = steps.indexes(scales, table)
    doubts = find_doubts(scales, indexes, table, steps)
    theirs = writers_indexes(rng, scales, indexes, doubts, table, changes)
    if theirs is None:
        return None
    data = coder.encode(symbols, theirs, form="compressai")
    model = NeighbourModel(tensors["y.neighbours"], tensors["y.scale_table"], indexes)
    outcome = {"symbols": symbols.size, "doubtful": int(doubts.places.size)}
    for way, guide in (("search", None), ("guided", model)):
        start = Repair("y", doubts.places.size)
        repair, places = mend(start, coder, data, indexes, doubts, guide)
        right = False
        if places is not None:
            rows = changed_indexes(indexes, doubts, places)
            right = np.array_equal(coder.decode(data, rows, form="compressai"), symbols)
            if not right:
                raise SystemExit(f"{way}: accepted wrong symbols")
        outcome[way] = {"right": right, "ms": 1e3 * repair.seconds}
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    result: dict[str, Any] = {"machine": describe_machine(), "noise": NOISE, "changes": {}}
    with latentsr.load(given.bundle, threads=1) as codec:
        pictures = [to_rgb8(path) for path in expand(given.pictures, PICTURES)]
        for changes in CHANGES:
            tried = [try_one(codec, picture, changes, rng) for picture in pictures]
            done = [outcome for outcome in tried if outcome is not None]
            if not done:
                continue
            entry: dict[str, Any] = {
                "pictures": len(done),
                "median_doubtful": statistics.median(o["doubtful"] for o in done),
            }
            for way in ("search", "guided"):
                times = [o[way]["ms"] for o in done if o[way]["right"]]
                entry[way] = {
                    "repaired": sum(o[way]["right"] for o in done),
                    "median_ms": round(statistics.median(times), 2) if times else None,
                    "largest_ms": round(max(times), 2) if times else None,
                }
            result["changes"][changes] = entry
            print(changes, json.dumps(entry), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
