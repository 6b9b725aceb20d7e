"""Entropy coding side by side: ours, CompressAI, constriction and torch_ans, in one run.

python benchmarks/entropy.py [--data FOLDER] [--rounds 16] [--clock wall|cpu] [--only NAME...]
                             [--out FILE]

Data sets:
  kodak/4         real: y of the Kodak pictures (FOLDER/kodak) reduced by 4, as the demo codes
                  them, 9,216 symbols a picture; bytes of y and z together, coded apart, so that
                  heads and flushes count
  0.7 1.6 4.6     synthetic: 1 M Gaussian symbols with 64 scales from 0.11 to 256, the mix of
                  scales set for about so many bits a symbol
  0.03            the same at a very low rate, where `skip` leaves most symbols out
  1080p real      the demo's y of 1080p crops of photographs (FOLDER/large), two crops to a
                  latent of 192 channels: 120 x 68 x 192 symbols; one and two threads
  1080p 0.7       synthetic of that size; one and two threads
FOLDER is LATENTSR_TEST_DATA where that is set. Sets whose pictures are not there are left out.

Method. Every call gets another stream than the one before: a set is a ring of 8 latents (24
pictures of kodak/4), because on the very same stream again and again the branch predictor learns
the symbols, and a coder seems up to 50 % faster than it is. Each round runs every coder twice: once
after 64 MiB of other memory were touched, as networks do between two pictures (`cold`), and at
once again on another stream (`hot`: code and tables in cache, the latent itself not). All coders
meet the same latents in the same round, and every set goes as many laps round its ring. Speeds are
medians over the rounds (the JSON has the fastest round too); ratios are medians of the ratios
within rounds. Slow coders (CompressAI, constriction) take part in the first rounds only. Every
round trip is checked, and `compressai` streams must equal CompressAI's bytes. Results are allocated
within the timed call, by all. One thread, unless the name says two.

Contenders: CompressAI (GaussianConditional.compress and decompress, tensors at both ends),
CompressAI ans (its C++ calls alone, lists made beforehand), ours (arrays at both ends; `lanes` is
decoded with each instruction set that runs here), and those of `entropy_others`. `skip 3` leaves
out rows 0 to 2 (scales up to 0.141) and zeroes their symbols before the clock starts.
`over_ideal_percent` is against the code length by CompressAI's 16-bit tables, with the values of
escapes as it writes them. constriction may lie below it, having no tables, and lies above on real
latents: their tails are heavier than a Gaussian's, and tables give no value less than 2^-16.
torch_ans adds its own head of 4 bytes. `not_running_percent` is time that other work on the machine
took; measure on a quiet one, or with `--clock cpu`, which counts the time that the process ran and
leaves two threads out; these are worth nothing where `cores_had` is near 1. Two threads are
measured once more in turn with one and nothing else (`alone`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from entropy_contenders import Contender, own
from entropy_latents import LATENT_1080P, RING, LatentSet, ideal_bits, kodak, photographs, synthetic
from entropy_measure import (
    CLOCKS,
    OTHER_MEMORY,
    STATES,
    Entrant,
    certain_zeros,
    enter,
    measure,
    summary,
    threads,
)
from entropy_others import TORCH_ANS, others
from entropy_rate import picture_rates
from machine import describe_machine

HERE = Path(__file__).resolve().parent
SKIP = 3
PICTURES_OF = {"kodak/4": "kodak", "1080p real": "large"}
BUSY_PERCENT = 3.0


def builders(given: argparse.Namespace) -> dict[str, Callable[[], LatentSet]]:
    """Data sets by name, made when their turn comes."""
    count = given.symbols
    return {
        "kodak/4": lambda: kodak(given.data / PICTURES_OF["kodak/4"], given.bundle),
        "0.7": lambda: synthetic("0.7", 8.0, count, skip=SKIP),
        "1.6": lambda: synthetic("1.6", 14.2, count),
        "4.6": lambda: synthetic("4.6", None, count),
        "0.03": lambda: synthetic("0.03", 2.0, count, skip=SKIP),
        "1080p real": lambda: photographs(given.data / PICTURES_OF["1080p real"], given.bundle),
        "1080p 0.7": lambda: synthetic("1080p 0.7", 8.0, LATENT_1080P, threads=True),
    }


def enter_all(latents: LatentSet, clock: str) -> tuple[list[Entrant], dict[str, str]]:
    """All coders with their streams checked, and which of other projects were left out, and why."""
    found, left_out = others(latents)
    contenders: list[Contender] = own(latents) + found
    if clock == "cpu":
        contenders = [contender for contender in contenders if contender.threads == 1]
    entrants = []
    for contender in contenders:
        try:
            entrants.append(enter(contender, latents))
        except Exception as error:
            if contender not in found:
                raise
            left_out[contender.name] = f"{type(error).__name__}: {error}"
    by_name = {entrant.contender.name: entrant for entrant in entrants}
    for name, entrant in by_name.items():
        base = entrant.contender.same_bytes_as
        if base and entrant.data != by_name[base].data:
            raise SystemExit(f"{latents.name}: bytes of {name} differ from those of {base}")
    return entrants, left_out


def run(latents: LatentSet, rounds: int, clock: str) -> dict[str, Any]:
    """All coders on one data set."""
    entrants, left_out = enter_all(latents, clock)
    times, cores = measure(entrants, latents, -(-rounds * len(latents.ring) // RING), clock)
    ideal = ideal_bits(latents.tables, latents.ring)
    result: dict[str, Any] = {
        "about": latents.about,
        "symbols": latents.symbols,
        "ring": len(latents.ring),
        "not_running_percent": max(0.0, 100 * (1 - cores[1])),
        "ideal_bits_per_symbol": ideal / (latents.symbols * len(latents.ring)),
        "coders": summary(entrants, latents, times),
        "left_out": left_out,
    }
    if latents.chunks:
        result["pictures"] = picture_rates(latents)
    if latents.threads and clock == "wall":
        result["two_threads"] = {"cores_had": cores[2], **threads(entrants, times, rounds)}
    if latents.skip:
        result["certain_zeros"] = certain_zeros(entrants, latents)
    return result


def show(name: str, result: dict[str, Any]) -> None:
    """One data set as a table."""
    print(
        f"\n{name}: {result['about']}; {result['ring']} latents of {result['symbols']} symbols, "
        f"ideal {result['ideal_bits_per_symbol']:.3f} bit/symbol"
    )
    columns = [f"{way}_{state}" for way in ("encode", "decode") for state in STATES]
    heads = "".join(f"{column.replace('_', ' '):>20}" for column in columns)
    print(f"{'Msym/s (times CompressAI)':38}{'over ideal':>11}{heads}")
    for coder, entry in result["coders"].items():
        cells = ""
        for column in columns:
            found = entry.get(column)
            text = f"{found['msym_per_s']:.1f} (x{found['times_compressai']:.1f})" if found else "-"
            cells += f"{text:>20}"
        print(f"{coder:38}{entry['over_ideal_percent']:>+10.3f}%{cells}")
    for key in ("pictures", "two_threads", "certain_zeros", "left_out"):
        if result.get(key):
            print(f"{key}: {json.dumps(result[key])}")
    if result["not_running_percent"] > BUSY_PERCENT:
        print(f"the machine was busy: {result['not_running_percent']:.0f} % of the time was lost")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("LATENTSR_TEST_DATA", HERE.parents[1] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(folder))
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--symbols", type=int, default=1 << 20)
    parser.add_argument("--rounds", type=int, default=16, help="for a ring of 8")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="data sets to measure")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "entropy.json")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    start = time.perf_counter()
    sets: dict[str, Any] = {}
    for name, build in builders(given).items():
        if given.only and name not in given.only:
            continue
        folder = given.data / PICTURES_OF.get(name, "")
        if name in PICTURES_OF and not folder.is_dir():
            print(f"{name}: left out, no folder {folder.name} in the data; see --data")
            continue
        sets[name] = run(build(), given.rounds, given.clock)
        show(name, sets[name])
    settings = {
        "rounds": given.rounds, "clock": given.clock, "symbols": given.symbols, "ring": RING,
        "other_memory_bytes": OTHER_MEMORY, "bundle": given.bundle,
        "torch_ans": [list(how) for how in TORCH_ANS], "seconds": time.perf_counter() - start,
    }  # fmt: skip
    machine = describe_machine("constriction", "torch_ans")
    result = {"machine": machine, "settings": settings, "sets": sets}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n{settings['seconds']:.0f} s; {given.out}")


if __name__ == "__main__":
    main()
