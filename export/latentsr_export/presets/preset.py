"""What a preset is: a published system as networks by role, parameters, and a builder.

A new preset is one file with a `Preset` and one line in the list of `presets/__init__.py`. It adds
no step of its own to the runtime: its routes are lists of the general ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsr.errors import ExportError, UsageError
from latentsr_export.system import System

Settings = Mapping[str, Any]
Networks = Mapping[str, Any]
FULL, SMALL = "full", "small"


@dataclass(frozen=True)
class Option:
    """A parameter of a preset: what it is, its value, and the values that it may have.

    untrained: it shapes networks that are made here; those of checkpoints have their own sizes.
    """

    about: str
    default: int | float | bool | str
    choices: tuple[int | float | bool | str, ...] = ()
    untrained: bool = False

    def read(self, name: str, text: str) -> int | float | bool | str:
        """A value of the default's type; UsageError where it is none or not among the choices."""
        value: int | float | bool | str | None
        try:
            value = _BOOLS.get(text) if isinstance(self.default, bool) else type(self.default)(text)
        except ValueError:
            value = None
        most = _MOST.get(type(self.default), 0)
        sized = isinstance(value, (bool, str)) or (value is not None and 0 < value <= most)
        if value is None or not sized or (self.choices and value not in self.choices):
            kind = type(self.default).__name__
            limits = f"{kind} above 0, at most {most}" if most else kind
            expected = ", ".join(map(str, self.choices)) or limits
            raise UsageError(f"option {name} is out of range: found {text!r}, expected {expected}")
        return value


# Sizes of networks and shares of them: no published one is near, and what is far beyond takes all
# memory or days.
_MOST = {int: 1024, float: 8}
_BOOLS = {"true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True)
class Role:
    """One network of a system.

    load: checkpoint → network; raises CheckpointError. make: an untrained one, with values that
    stay in range, from the settings and the networks of the roles before; None where there is no
    such. required: whether the system is nothing without it.
    """

    about: str
    load: Callable[[str | Path, Settings], Any]
    make: Callable[[Settings, Networks], Any] | None = None
    required: bool = True


@dataclass(frozen=True)
class Preset:
    """A published system.

    paper: its citation. sizes: for each size the values of options that make networks of it;
    ``full`` is the paper's, ``small`` for tests and training on a CPU. assumptions: what the paper
    leaves open and what was chosen, a sentence each. build: networks by role → the system, but for
    `facts`.
    """

    name: str
    paper: str
    about: str
    roles: Mapping[str, Role]
    options: Mapping[str, Option]
    sizes: Mapping[str, Settings]
    assumptions: Callable[[Networks, Settings], list[str]]
    build: Callable[[Networks, Settings], System]

    def settings(self, size: str, given: Mapping[str, str]) -> dict[str, Any]:
        """All options' values; UsageError for names that the preset does not know."""
        if size not in self.sizes:
            raise UsageError(
                f"preset {self.name} has no such size: found {size!r}, expected one of "
                f"{', '.join(self.sizes)}"
            )
        for name in given:
            if name not in self.options:
                raise UsageError(
                    f"preset {self.name} has no such option: found {name!r}, expected one of "
                    f"{', '.join(self.options)}"
                )
        found = {name: option.default for name, option in self.options.items()}
        found |= self.sizes[size]
        return found | {name: self.options[name].read(name, text) for name, text in given.items()}

    def networks(
        self, checkpoints: Mapping[str, str | Path], settings: Settings, random: bool
    ) -> dict[str, Any]:
        """Networks by role: loaded where there is a checkpoint, else untrained where `random`.

        Raises CheckpointError, and ExportError for roles that are missing or not known.
        """
        unknown = sorted(set(checkpoints) - set(self.roles))
        missing = [r for r, role in self.roles.items() if role.required and r not in checkpoints]
        if unknown or (missing and not random):
            found = f"no {missing[0]}" if missing and not unknown else repr(unknown[0])
            raise ExportError(
                f"checkpoints do not fit preset {self.name}: found {found}, expected "
                f"{', '.join(self.roles)}; name each, or pass --random for untrained weights"
            )
        made: dict[str, Any] = {}
        for name, role in self.roles.items():
            if name in checkpoints:
                made[name] = role.load(checkpoints[name], settings)
            elif random and role.make is not None:
                made[name] = role.make(settings, made)
        return made
