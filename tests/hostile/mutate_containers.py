"""Damages whole stream containers in every way there is and counts what passes.

python tests/hostile/mutate_containers.py [--mutants 20000] [--decoded 1000] [--seed 1]

`as_is`: the damaged bytes go to `latentsr.stream.unpack`; the CRC-32 stands in their way.
`resealed`: the damaged bytes get a right CRC-32, as from a faulty writer, and go through
`Codec.decode` of the shipped bundle. `chunk`: one chunk is damaged before the container is
written, so its lengths are right as well, and the coder and the CRC-32 of the symbols stand in
the way. Any error but ours ends the run. Prints one line of JSON: for each kind of damage the
refusals by error, and the mutants that were not refused: ``unchanged`` bytes, ``equal`` (other
bytes, the same stream or picture) and ``unnoticed``. A resealed stream may pass where nothing but
the picture's size or padding was changed: such a stream is a whole one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import latentsr
from latentsr.codec import Codec
from latentsr.errors import LatentSRError
from latentsr.stream import pack, unpack

Mutation = Callable[[random.Random, bytes, bytes], bytes]
Part = Callable[[random.Random, Mutation, bytes, bytes], bytes]


def flip(chance: random.Random, data: bytes, bits: int) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def insert(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at:]


def remove(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randint(1, 8) :]


def overwrite(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Random bytes over some of the data; half of the time over the first fields."""
    at = chance.randrange(min(32, len(data)) if chance.random() < 0.5 else len(data))
    size = min(chance.randint(1, 8), len(data) - at)
    return data[:at] + chance.randbytes(size) + data[at + size :]


def replace(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Random bytes behind none, some or all of the header."""
    return data[: chance.choice((0, 4, 24, 32))] + chance.randbytes(chance.randint(0, len(data)))


KINDS: dict[str, Mutation] = {
    "truncate": lambda chance, data, other: data[: chance.randrange(len(data))],
    "flip_one": lambda chance, data, other: flip(chance, data, 1),
    "flip_few": lambda chance, data, other: flip(chance, data, chance.randint(2, 8)),
    "splice": splice,
    "insert": insert,
    "remove": remove,
    "overwrite": overwrite,
    "random": replace,
}


def pictures() -> list[np.ndarray]:
    """Three small pictures, uint8; two have one size, so that their streams fit each other."""
    row, column = np.mgrid[0:70, 0:90].astype(np.float64)
    found = []
    for k, (height, width) in enumerate(((24, 24), (24, 24), (70, 90))):
        waves = [np.sin(row / (5 + k) + c) * np.cos(column / (7 + c)) for c in range(3)]
        pixels = np.round(np.stack(waves, axis=-1) * 100 + 127).astype(np.uint8)
        found.append(pixels[:height, :width])
    return found


def as_is(chance: random.Random, damage: Mutation, whole: bytes, other: bytes) -> bytes:
    return damage(chance, whole, other)


def resealed(chance: random.Random, damage: Mutation, whole: bytes, other: bytes) -> bytes:
    body = damage(chance, whole[:-4], other[:-4])
    return body + struct.pack("<I", zlib.crc32(body))


def chunk(chance: random.Random, damage: Mutation, whole: bytes, other: bytes) -> bytes:
    stream = unpack(whole)
    chunks, lent = list(stream.chunks), unpack(other).chunks
    at = chance.randrange(len(chunks))
    chunks[at] = damage(chance, chunks[at], lent[at])
    return pack(dataclasses.replace(stream, chunks=tuple(chunks)))


def mutate(
    part: Part, mutants: int, seed: int, streams: list[bytes], use: Callable[[bytes], Any]
) -> dict[str, dict[str, Any]]:
    """Counts by kind; `use` opens a stream and returns something that can be compared."""
    chance = random.Random(seed)
    expected = [use(stream) for stream in streams]
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    errors: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for turn in range(mutants):
        kind = list(KINDS)[turn % len(KINDS)]
        at = chance.randrange(len(streams))
        whole, other = streams[at], chance.choice(streams)
        data = part(chance, KINDS[kind], whole, other)
        counts[kind]["mutants"] += 1
        try:
            found = use(data)
        except LatentSRError as error:
            errors[kind][type(error).__name__] += 1
            if data == whole:
                raise AssertionError("a whole stream was refused") from error
        else:
            same = "unchanged" if data in streams else "equal"
            counts[kind][same if found in expected else "unnoticed"] += 1
    names = ("mutants", "unchanged", "equal", "unnoticed")
    return {
        kind: {**{name: counts[kind][name] for name in names}, "errors": dict(errors[kind])}
        for kind in KINDS
    }


def run(codec: Codec, mutants: int, decoded: int, seed: int) -> dict[str, Any]:
    """Counts of all parts: `mutants` are unpacked only, `decoded` go through the codec."""
    streams = [codec.encode(p, exact=exact) for p in pictures() for exact in (True, False)]

    def decode(data: bytes) -> tuple[tuple[int, ...], bytes]:
        picture = codec.decode(data)
        return picture.shape, picture.tobytes()

    start = time.perf_counter()
    return {
        "seed": seed,
        "as_is": mutate(as_is, mutants, seed, streams, unpack),
        "resealed": mutate(resealed, decoded // 2, seed, streams, decode),
        "chunk": mutate(chunk, decoded // 2, seed, streams, decode),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--decoded", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with latentsr.load("demo", threads=1) as codec:
        print(json.dumps(run(codec, given.mutants, given.decoded, given.seed)))


if __name__ == "__main__":
    main()
