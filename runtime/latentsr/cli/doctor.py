"""`latentsr doctor`: what latentsr can use of this machine."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from latentsr.cli.options import JsonOption


def doctor(as_json: JsonOption = False) -> None:
    """Name the processor, engine libraries, GPU and driver, and whether CUDA kernels are built."""
    from latentsr.backends.available import gpu_findings
    from latentsr.bench.machine import describe_machine

    machine, findings = describe_machine(), gpu_findings()
    if as_json:
        found = {"machine": machine, "gpu": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(found, indent=1))
        return
    versions = machine.pop("versions")
    assert isinstance(versions, dict)
    for name, value in {**machine, **versions}.items():
        said = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:14} {'not installed' if said is None else said}")
    for finding in findings:
        state = "" if finding.usable else "no: "
        typer.echo(f"{finding.part:14} {state}{finding.said}")
