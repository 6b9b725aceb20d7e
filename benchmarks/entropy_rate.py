"""Bytes of whole pictures, all chunks, against the ideal code length, in both forms."""

from __future__ import annotations

from typing import Any

from entropy_latents import LatentSet, ideal_bits

from latentsr.entropy import Coder
from latentsr.entropy.coder import FORMS


def picture_rates(latents: LatentSet) -> dict[str, Any]:
    """Sums over pictures, and the picture that lies furthest above its ideal.

    Every chunk of every picture is a stream of its own, so heads, flushes and the values that
    escape their tables are counted. Containers (`latentsr.stream`) are not.
    """
    coders = {name: Coder(tables) for name, (tables, _) in latents.chunks.items()}
    pictures = []
    for number in range(len(latents.ring)):
        row: dict[str, Any] = {"ideal_bytes": 0.0, **dict.fromkeys(FORMS, 0)}
        for name, (tables, chunk) in latents.chunks.items():
            latent = chunk[number]
            row["ideal_bytes"] += ideal_bits(tables, [latent]) / 8
            for form in FORMS:
                row[form] += len(coders[name].encode(latent.symbols, latent.indexes, form))
        pictures.append(row)
    ideal = sum(row["ideal_bytes"] for row in pictures)
    found: dict[str, Any] = {
        "pictures": len(pictures), "chunks": list(latents.chunks), "ideal_bytes": ideal,
    }  # fmt: skip
    for form in FORMS:
        size = sum(row[form] for row in pictures)
        found[form] = {
            "bytes": size,
            "over_ideal_percent": 100 * (size / ideal - 1),
            "worst_picture_percent": max(
                100 * (row[form] / row["ideal_bytes"] - 1) for row in pictures
            ),
        }
    return found
