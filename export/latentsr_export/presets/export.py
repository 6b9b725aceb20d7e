"""From a preset to a bundle, or to the system that it would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentsr.bundle import Bundle
from latentsr_export.assemble import Writing, assemble
from latentsr_export.pack import check_target
from latentsr_export.presets import find_preset
from latentsr_export.presets.preset import FULL, Preset
from latentsr_export.system import System, sources


def export_preset(
    name: str,
    output: str | Path,
    checkpoints: Mapping[str, str | Path] | None = None,
    random: bool = False,
    size: str = FULL,
    options: Mapping[str, Any] | None = None,
    how: Writing | None = None,
) -> Bundle:
    """Write the bundle of a preset.

    checkpoints: files by role. random: make what is missing with untrained weights, the same in
    every run, of this size; the manifest then says `random_weights`. options: values by name.
    Raises UsageError, CheckpointError, ExportError.
    """
    output = Path(output)
    check_target(output)
    how = how or Writing()
    how.progress(f"preset {name}")
    preset = find_preset(name)
    system = make_system(preset, checkpoints or {}, random, size, options or {})
    return assemble(system, output, how)


def make_system(
    preset: Preset,
    checkpoints: Mapping[str, str | Path],
    random: bool,
    size: str,
    options: Mapping[str, Any],
) -> System:
    """The preset's networks, routes and facts, before anything is traced."""
    given = {name: str(value) for name, value in options.items()}
    settings = preset.settings(size, given)
    networks = preset.networks(checkpoints, settings, random)
    assumptions = preset.assumptions(networks, settings)
    used = {n: v for n, v in settings.items() if random or not preset.options[n].untrained}
    shown = {"name": preset.name, "paper": preset.paper, "options": used}
    facts = {
        "random_weights": any(role not in checkpoints for role in networks),
        "preset": {**shown, "size": size} if random else shown,
        "assumptions": assumptions,
        "source": sources(checkpoints),
    }
    return replace(preset.build(networks, settings), facts=facts)
