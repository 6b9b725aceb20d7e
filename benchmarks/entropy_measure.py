"""Clock and ratios of the entropy-coding benchmark; `entropy` says how it measures and why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from entropy_contenders import BASE, OURS, Contender, lanes_and_parts
from entropy_latents import LatentSet, ideal_bits

STATES = ("cold", "hot")
CLOCKS = ("wall", "cpu")
SLOW_SYMBOLS = 6 << 20
LEAST_SLOW_ROUNDS = 3
OTHER_MEMORY = 64 << 20

# {state: {way: {contender: seconds of each round}}}
Times = dict[str, dict[str, dict[str, list[float]]]]


@dataclass
class Entrant:
    """A contender with inputs and streams for the whole ring, its round trips checked."""

    contender: Contender
    ready: list[Any]
    streams: list[Any]
    data: list[bytes]

    def call(self, way: str, number: int) -> dict[str, float]:
        """Seconds of one call on one latent of the ring, by both clocks."""
        ready, stream = self.ready[number], self.streams[number]
        running = time.process_time()
        start = time.perf_counter()
        if way == "encode":
            self.contender.encode(ready)
        else:
            self.contender.decode(stream, ready)
        wall = time.perf_counter() - start
        return {"wall": wall, "cpu": time.process_time() - running}


def enter(contender: Contender, latents: LatentSet) -> Entrant:
    """Code the whole ring once; ValueError where a symbol comes back changed."""
    entrant = Entrant(contender, [], [], [])
    for number, latent in enumerate(latents.ring):
        coded = contender.coded(latent)
        ready = contender.prepare(coded)
        stream = contender.encode(ready)
        if not np.array_equal(contender.symbols(contender.decode(stream, ready)), coded.symbols):
            raise ValueError(f"{latents.name}, latent {number}: {contender.name} changed symbols")
        entrant.ready.append(ready)
        entrant.streams.append(stream)
        entrant.data.append(contender.to_bytes(stream))
    return entrant


def rounds_of(contender: Contender, latents: LatentSet, rounds: int) -> int:
    """Rounds that a contender takes part in: fewer for slow ones, which take the first."""
    if not contender.slow:
        return rounds
    return min(rounds, max(LEAST_SLOW_ROUNDS, SLOW_SYMBOLS // latents.symbols))


def measure(
    entrants: list[Entrant], latents: LatentSet, rounds: int, clock: str
) -> tuple[Times, dict[int, float]]:
    """Times of all, in turn, each round with another latent for all of them.

    The second result is how many cores calls of so many threads had on average. One thread that
    had less than one shared it with other work on the machine.
    """
    times: Times = {state: {way: {} for way in ("encode", "decode")} for state in STATES}
    other = np.zeros(OTHER_MEMORY, np.uint8)
    size = len(latents.ring)
    total = {entrant.contender.threads: dict.fromkeys(CLOCKS, 0.0) for entrant in entrants}
    for turn in range(rounds):
        numbers = {"cold": turn % size, "hot": (turn + size // 2) % size}
        for entrant in entrants:
            contender = entrant.contender
            if turn >= rounds_of(contender, latents, rounds):
                continue
            for way in contender.ways:
                other += 1
                for state, number in numbers.items():
                    taken = times[state][way].setdefault(contender.name, [])
                    seconds = entrant.call(way, number)
                    taken.append(seconds[clock])
                    for name in CLOCKS:
                        total[contender.threads][name] += seconds[name]
    return times, {number: sums["cpu"] / sums["wall"] for number, sums in total.items()}


def ratio(times: dict[str, list[float]], base: str, name: str) -> float:
    """How many times faster than `base`: median over the rounds that both took part in."""
    pairs = zip(times[base], times[name], strict=False)
    return float(np.median([theirs / own for theirs, own in pairs]))


def summary(entrants: list[Entrant], latents: LatentSet, times: Times) -> dict[str, Any]:
    """Rate and speed of each contender."""
    count = latents.symbols
    ideal = ideal_bits(latents.tables, latents.ring)
    found: dict[str, Any] = {}
    for entrant in entrants:
        name = entrant.contender.name
        bits = 8 * sum(len(data) for data in entrant.data)
        found[name] = entry = {
            "bits_per_symbol": bits / (count * len(latents.ring)),
            "over_ideal_percent": 100 * (bits / ideal - 1),
        }
        for way in entrant.contender.ways:
            for state in STATES:
                taken = times[state][way]
                entry[f"{way}_{state}"] = {
                    "msym_per_s": count / float(np.median(taken[name])) / 1e6,
                    "msym_per_s_fastest": count / min(taken[name]) / 1e6,
                    "times_compressai": ratio(taken, BASE, name),
                    "rounds": len(taken[name]),
                }
        if name.startswith(f"{OURS} lanes"):
            choices = [lanes_and_parts(data) for data in entrant.data]
            entry["lanes"], entry["parts"] = (
                sorted(set(each)) for each in zip(*choices, strict=True)
            )
    return found


def threads(entrants: list[Entrant], times: Times, rounds: int) -> dict[str, Any]:
    """How many times faster two threads are than one, on the same streams.

    Among all coders, as above, and in turn with one thread and nothing else (`alone`), with the
    cores that the process had then: a second core that has long been idle comes late.
    """
    two = next(e for e in entrants if e.contender.threads == 2)
    name = two.contender.name
    first = name.removesuffix(", 2 threads")
    one = next(e for e in entrants if e.contender.name == first)
    return {
        "parts": [lanes_and_parts(data)[1] for data in two.data],
        **{
            f"{way}_{state}": ratio(times[state][way], first, name)
            for way in two.contender.ways
            for state in STATES
        },
        "alone": {way: _alone(one, two, way, rounds) for way in two.contender.ways},
    }


def _alone(one: Entrant, two: Entrant, way: str, rounds: int) -> dict[str, float]:
    ratios, cores = [], []
    for _ in range(rounds):
        for number in range(len(one.ready)):
            single, double = one.call(way, number), two.call(way, number)
            ratios.append(single["wall"] / double["wall"])
            cores.append(double["cpu"] / double["wall"])
    return {"ratio": float(np.median(ratios)), "cores_had": float(np.median(cores))}


def certain_zeros(entrants: list[Entrant], latents: LatentSet) -> dict[str, Any]:
    """What leaving out the rows below `skip` saves, and the squared error that it adds.

    The error is that of the rounded latent against the latent before rounding, in squared
    quantisation steps, the mean over all symbols.
    """
    with_skip = next(e for e in entrants if e.contender.skip)
    name = with_skip.contender.name.removesuffix(f" skip {latents.skip}")
    without = next(e for e in entrants if e.contender.name == name)
    rows = np.concatenate([latent.indexes for latent in latents.ring])
    symbols = np.concatenate([latent.symbols for latent in latents.ring])
    values = np.concatenate([latent.values for latent in latents.ring if latent.values is not None])
    left_out = rows < latents.skip
    before = float(np.mean((values - symbols) ** 2))
    after = float(np.mean((values - np.where(left_out, 0, symbols)) ** 2))
    sizes = [sum(len(data) for data in entrant.data) for entrant in (without, with_skip)]
    return {
        "rows_below": latents.skip,
        "largest_scale": float(latents.scales[latents.skip - 1]),
        "symbols_left_out_percent": 100 * float(np.mean(left_out)),
        "symbols_changed_percent": 100 * float(np.mean(left_out & (symbols != 0))),
        "bits_saved_percent": 100 * (1 - sizes[1] / sizes[0]),
        "squared_error_before": before,
        "squared_error_after": after,
        "squared_error_added_percent": 100 * (after / before - 1),
    }
