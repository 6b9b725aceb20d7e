"""The loop all recipes share: schedule, weight averaging, progress line, atomic checkpoints."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch], Tensor]


@dataclass(frozen=True)
class Settings:
    """How long and how to train; exactly one of `minutes` and `steps` is set."""

    out: Path
    minutes: float | None = None
    steps: int | None = None
    rate: float = 4e-4  # first learning rate; a cosine takes it to 1 % of this
    device: str = "cpu"
    bfloat16: bool = False
    average: float = 0.999  # decay of the moving average of the weights that is saved
    save_seconds: float = 180.0
    resume: bool = False

    def progress(self, step: int, seconds: float) -> float:
        """Part of the training done, 0..1, after `step` steps and `seconds` of work."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        return min(seconds / (60.0 * (self.minutes or 1.0)), 1.0)


class Trainer:
    """One network in training, with everything a resumed run needs.

    factors: of parts of the network, named by the beginning of their parameters' names, what their
    learning rate is multiplied by. The gradients of each such part, and of all the rest, are
    clipped by themselves, so that a new part cannot drown out those that have learned.
    """

    def __init__(
        self, network: nn.Module, settings: Settings, factors: Mapping[str, float] | None = None
    ) -> None:
        self.settings = settings
        self.network = network.to(settings.device).train()
        self.averaged = copy.deepcopy(self.network).requires_grad_(False).eval()
        groups = _groups(self.network, factors or {})
        self.optimizer = torch.optim.Adam(groups, lr=settings.rate)
        self.step = 0
        self.seconds = 0.0  # of all runs together
        self.loss = math.nan  # moving average of the loss
        if settings.resume:
            self._restore()

    def fit(self, batches: Iterator[Batch], loss: Loss) -> nn.Module:
        """Train to the end of the schedule, save, and return the averaged network."""
        saved = begun = time.monotonic()
        before = self.seconds
        while (progress := self.settings.progress(self.step, self.seconds)) < 1.0:
            self._one_step(next(batches), loss, progress)
            now = time.monotonic()
            self.seconds = before + now - begun
            if self.step % 25 == 0:
                self._report(progress)
            if now - saved > self.settings.save_seconds:
                self.save()
                saved = now
        self._report(1.0)
        self.save()
        return self.averaged

    def _one_step(self, batch: Batch, loss: Loss, progress: float) -> None:
        rate = self.settings.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        kind = torch.device(self.settings.device).type
        moved = tuple(tensor.to(self.settings.device) for tensor in batch)
        with torch.autocast(kind, torch.bfloat16, enabled=self.settings.bfloat16):
            value = loss(self.network, moved)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        self.optimizer.step()
        self.step += 1
        found = float(value.detach())
        self.loss = found if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * found
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.average, (1.0 + self.step) / (10.0 + self.step))
        for kept, new in zip(
            self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if kept.is_floating_point():
                kept.lerp_(new, 1.0 - decay)
            else:
                kept.copy_(new)

    def _report(self, progress: float) -> None:
        line = f"step {self.step}  {100 * progress:5.1f} %  {self.seconds / 60:6.1f} min"
        print(f"{line}  loss {self.loss:.5f}", file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write the averaged weights to `out` and the state to resume from beside it."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "loss": self.loss,
        }
        save_atomically(self.averaged.state_dict(), self.settings.out)
        save_atomically(state, resume_path(self.settings.out))

    def _restore(self) -> None:
        state = load_weights(resume_path(self.settings.out))
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.loss = float(state["loss"])
        except (KeyError, RuntimeError, ValueError) as error:
            where = resume_path(self.settings.out)
            raise CheckpointError(f"cannot resume from {where}: {error}") from error


def _groups(network: nn.Module, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Trained parameters by the part they belong to, each group with its factor."""
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = next((start for start in factors if name.startswith(start)), "")
            group = {"params": [], "factor": factors.get(part, 1.0)}
            groups.setdefault(part, group)["params"].append(parameter)
    return list(groups.values())


def resume_path(out: Path) -> Path:
    """Where the state of an unfinished training of `out` is kept."""
    return out.with_name(out.name + ".resume")


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """torch.save to `path` such that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load_weights(path: Path) -> dict[str, Any]:
    """Dictionary of tensors (and plain values) in a checkpoint; CheckpointError if unreadable."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint: found no file {path}; train it first") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(f"cannot read checkpoint {path}: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"checkpoint {path}: found {type(state).__name__}, expected a dict")
    return state


def start_from(network: nn.Module, path: Path) -> None:
    """Copy the tensors of a checkpoint whose names and shapes are the network's.

    Raises CheckpointError where none is.
    """
    own = network.state_dict()
    given = load_weights(path)
    fitting = {
        name: tensor
        for name, tensor in given.items()
        if name in own and getattr(tensor, "shape", None) == own[name].shape
    }
    if not fitting:
        raise CheckpointError(
            f"nothing to start from: found no tensor in {path} that fits {type(network).__name__}, "
            "expected a checkpoint of the same kind and sizes"
        )
    network.load_state_dict({**own, **fitting})
