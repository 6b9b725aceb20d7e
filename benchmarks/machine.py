"""What machine a benchmark ran on, with the versions of the libraries that it compares with."""

from __future__ import annotations

from latentsr.bench import machine

PACKAGES = ("latentsr", *machine.PACKAGES, "torch", "compressai")


def describe_machine(*more: str) -> dict[str, object]:
    """Processor, cores, memory, system and versions of packages, `more` among them."""
    return machine.describe_machine((*PACKAGES, *more))
