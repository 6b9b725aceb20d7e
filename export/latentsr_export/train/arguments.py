"""Command-line arguments that every recipe takes, and the errors it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from latentsr.errors import LatentSRError, UsageError
from latentsr_export.train.loop import Settings


def parser(description: str, rate: float, crop: int, batch: int) -> argparse.ArgumentParser:
    """Parser with the shared arguments and the recipe's defaults."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--pictures", type=Path, required=True, nargs="+", help="training folders")
    made.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    made.add_argument("--minutes", type=float, help="train this long")
    made.add_argument("--steps", type=int, help="train this many steps")
    made.add_argument("--resume", action="store_true", help="go on from OUT.resume")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    made.add_argument("--threads", type=int, default=0, help="CPU threads, 0: all")
    made.add_argument("--bfloat16", action="store_true", help="autocast, where it is faster")
    made.add_argument("--rate", type=float, default=rate, help="first learning rate")
    made.add_argument("--crop", type=int, default=crop, help="side of the input crops in pixels")
    made.add_argument("--batch", type=int, default=batch, help="crops a step")
    made.add_argument("--seed", type=int, default=1, help="of weights and crops")
    return made


def settings(given: argparse.Namespace) -> Settings:
    """Checked settings of the loop; sets the thread count and seed of PyTorch."""
    if (given.minutes is None) == (given.steps is None):
        raise UsageError("length of training: give exactly one of --minutes and --steps")
    for name in ("minutes", "steps", "batch", "crop", "rate"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name}: found {value}, expected a number above 0")
    if given.threads > 0:
        torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    device = given.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif str(device).startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device: found {device}, but PyTorch sees no GPU; use auto or cpu")
    return Settings(
        out=given.out,
        minutes=given.minutes,
        steps=given.steps,
        rate=given.rate,
        device=device,
        bfloat16=given.bfloat16,
        resume=given.resume,
    )


def run(recipe: Callable[[Sequence[str]], Path]) -> None:
    """Run a recipe with the process's arguments; user errors print one line and exit with 2."""
    try:
        out = recipe(sys.argv[1:])
    except LatentSRError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{out} {out.stat().st_size} bytes")
