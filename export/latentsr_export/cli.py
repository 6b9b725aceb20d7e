"""`latentsr export`: checkpoints → a bundle."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentsr.errors import ExportError, UsageError
from latentsr.files import named_path

if TYPE_CHECKING:
    from latentsr.bundle import Bundle

MANY = "repeatable"


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Bundle to write, NAME.lsr.", parser=named_path)
    ],
    checkpoint: Annotated[
        str | None,
        typer.Argument(help="Codec checkpoint, or compressai:ARCHITECTURE/METRIC/QUALITY."),
    ] = None,
    latent_sr: Annotated[
        Path | None,
        typer.Option(help="Checkpoint of a latent SR decoder for this codec.", parser=named_path),
    ] = None,
    pixel_sr: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help=f"Checkpoint of a pixel SR network ({MANY})."),
    ] = None,
    pixel_sr_scale: Annotated[
        int | None, typer.Option(help="Of pixel SR files that hold several; default: the largest.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A published system; `latentsr presets` lists them.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=FILE", help=f"Checkpoint of a preset's network ({MANY})."),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Untrained weights where a preset's are missing.")
    ] = False,
    size: Annotated[str, typer.Option(help="Size of a preset's untrained networks.")] = "full",
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help=f"Option of a preset ({MANY})."),
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(help=f"Picture for the parity check ({MANY}).", parser=named_path),
    ] = None,
    half_weights: Annotated[
        bool, typer.Option("--half-weights", help="Store SR weights as FP16, computed in FP32.")
    ] = False,
    exact: Annotated[
        bool, typer.Option(help="Add integer-valued graphs, for the same symbols everywhere.")
    ] = True,
    skip_scale: Annotated[
        float, typer.Option(help="Symbols of scales up to this become 0 and are not coded.")
    ] = 0.0,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Add FP16 variants of the graphs, for GPUs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")] = False,
) -> None:
    """Export trained checkpoints to a bundle that the runtime runs without torch."""
    # CompressAI and torch warn about their own deprecated calls on import.
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        from latentsr_export.assemble import Writing
        from latentsr_export.exporter import export as export_bundle
        from latentsr_export.presets.export import export_preset
    except ImportError as error:
        raise missing_library(error) from None

    if checkpoint is not None:
        named_path(checkpoint)
    named = [split_name(text) for text in pixel_sr or []]
    if preset is not None:
        given = {"codec": checkpoint, "latent_sr": latent_sr, **_by_role(named, weights)}
        files = {role: path for role, path in given.items() if path is not None}
        how = Writing(picture, half_weights, exact, skip_scale, _progress, fp16)
        chosen = dict(_pair(text, "--set") for text in options or [])
        bundle = export_preset(preset, output, files, random, size, chosen, how)
    else:
        if checkpoint is None or random or weights or options:
            found = "no codec checkpoint" if checkpoint is None else "options of presets"
            raise UsageError(
                f"nothing to export from: found {found} and no --preset, expected a checkpoint, or "
                "--preset with checkpoints or --random; see `latentsr presets`"
            )
        networks = [path if name is None else (name, path) for name, path in named]
        bundle = export_bundle(
            checkpoint, output, latent_sr, networks, picture, half_weights, exact, skip_scale,
            _progress, pixel_sr_scale=pixel_sr_scale, fp16=fp16,
        )  # fmt: skip
    _report(bundle, as_json)


def missing_library(error: ImportError) -> ExportError:
    """What a command of the exporter says where a library that it needs is not installed."""
    return ExportError(
        f"exporter's libraries are missing: found no {error.name}, expected torch, compressai "
        "and onnx; run: pip install 'latentsr[export]'"
    )


def split_name(text: str) -> tuple[str | None, str]:
    """``NAME=FILE`` as its parts; a file whose own name has a ``=`` has none.

    Raises UsageError for an empty name of a file.
    """
    name, separator, path = text.partition("=")
    named_path(path if separator else text)
    return (name, path) if separator and not Path(text).exists() else (None, text)


def _by_role(named: list[tuple[str | None, str]], weights: list[str] | None) -> dict[str, str]:
    pairs = [(name or "pixel_sr", path) for name, path in named]
    pairs += [_pair(text, "--weights") for text in weights or []]
    found = dict(pairs)
    if len(found) < len(pairs):
        roles = [role for role, _ in pairs]
        doubled = next(role for role in roles if roles.count(role) > 1)
        raise UsageError(
            f"checkpoints have one role: found several for {doubled}, expected one; name each"
        )
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"{option} is malformed: found {text!r}, expected NAME=VALUE")
    return name, value


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _report(bundle: Bundle, as_json: bool) -> None:
    size = sum(file.size for file in bundle.manifest.files.values())
    random = bool(bundle.manifest.raw.get("random_weights", False))
    if as_json:
        graphs = {n: dict(g.parity) for n, g in bundle.manifest.graphs.items()}
        facts = {"bundle": str(bundle.path), "bytes": size, "family": bundle.manifest.family,
                 "random_weights": random, "routes": list(bundle.manifest.routes),
                 "parity": graphs}  # fmt: skip
        typer.echo(json.dumps(facts, indent=1))
    else:
        note = ", random weights" if random else ""
        typer.echo(f"{bundle.path}: {size} bytes ({bundle.manifest.family}{note})")
