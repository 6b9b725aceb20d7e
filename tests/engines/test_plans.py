"""Profiles, the shapes that graphs get, building plans ahead, and looking at them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import latentsr
from engines.tensorrt_versions import RTX
from latentsr.backends.base import EngineOptions
from latentsr.backends.profiles import Profile, Range, bucket, exact, parse_sizes
from latentsr.bundle import DEMO, Bundle
from latentsr.cli.engine_table import print_plans
from latentsr.errors import UsageError
from latentsr.plans import tensorrt as plans
from latentsr.plans.builders import get_builder
from latentsr.plans.listing import list_plans
from latentsr.plans.shapes import learn_ports
from latentsr.plans.tensorrt import Progress, profile_of


@pytest.mark.parametrize(
    ("side", "low", "high"), [(1, 1, 1), (2, 2, 3), (64, 64, 127), (100, 64, 127)]
)
def test_buckets(side: int, low: int, high: int) -> None:
    found = bucket({"x": (1, 3, side, 7)})
    assert found.as_dict() == {"x": [[1, 3, low, 4], [1, 3, high, 7], [1, 3, high, 7]]}
    assert found.covers({"x": (1, 3, low, 4)}) and found.covers({"x": (1, 3, high, 7)})
    assert not found.covers({"x": (1, 3, high + 1, 7)})
    assert not found.covers({"x": (1, 4, side, 7)})
    assert not found.covers({"y": (1, 3, side, 7)})
    assert not found.covers({"x": (1, 3, side)})
    assert bucket({"x": (1, 3, high, 6)}) == found
    assert not found.is_exact  # the width may be 4 to 7


def test_exact_profile() -> None:
    found = exact({"x": (1, 3, 8, 9)})
    assert found.is_exact and str(found) == "x 1x3x8x9"
    assert found.covers({"x": (1, 3, 8, 9)}) and not found.covers({"x": (1, 3, 8, 8)})
    wide = Profile({"x": (1, 3, 1, 1)}, {"x": (1, 3, 4, 4)}, {"x": (1, 3, 9, 9)})
    assert str(wide) == "x 1x3x1x1 .. 1x3x4x4 .. 1x3x9x9"


def test_sizes_are_read() -> None:
    assert parse_sizes("1920x1080, 64x32:640x480:2048x1024") == [
        ((1080, 1920),) * 3, ((32, 64), (480, 640), (1024, 2048)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "1920", "0x5", "70000x5", "1x2:3x4", "9x9:8x8:7x7", "1x1:2x2:3x3:4x4", "axb"]
)
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="shapes cannot be read"):
        parse_sizes(text)


def test_ports_tell_every_input_shape(picture: np.ndarray) -> None:
    """Shapes learned from one small picture are those of the runs themselves."""
    bundle = Bundle("demo")
    ports = learn_ports(bundle)
    seen: dict[str, dict[str, tuple[int, ...]]] = {}
    with latentsr.load("demo") as codec:
        from latentsr.plans import shapes

        shapes._record(codec, seen)
        stream = codec.encode(picture)
        for name, route in bundle.manifest.routes.items():
            if route.kind == "decode":
                codec.decode(stream, name)
    assert seen == {graph: ports.shapes(graph, picture.shape[:2]) for graph in ports.graphs}
    assert set(learn_ports(bundle, ("lr",)).graphs) == set(ports.graphs) - {"latent_sr", "pixel_sr"}


def test_range_of_a_graph() -> None:
    ports = learn_ports(Bundle("demo"), ("lr",))
    found = profile_of(ports, "synthesis", ((64, 64), (64, 128), (200, 256)))
    assert found.as_dict()["y_hat"] == [[1, 96, 4, 4], [1, 96, 4, 8], [1, 96, 16, 16]]


def build_plans(
    sizes: Sequence[Range],
    say: Callable[[str], None],
    routes: tuple[str, ...] = (),
    force: bool = False,
) -> list[dict[str, Any]]:
    builder: Any = get_builder("tensorrt")
    options = EngineOptions(device="cuda")
    device = builder.open(options)
    found: list[dict[str, Any]] = builder.plans(
        Bundle("demo"), sizes, options, device, say, routes, force
    )
    return found


def test_plans_are_built_ahead(trt: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "open_device", lambda index: device)
    said: list[str] = []
    sizes = parse_sizes("75x101,32x32:64x64:128x128")
    rows = build_plans(sizes, said.append)
    assert len(rows) == len(trt.built) == 12
    assert all(row["bytes"] > 100 and row["layers"] == 1 for row in rows)
    assert said[0].startswith(
        "plan 1 of 12: building the TensorRT plan of graph analysis for x 1x3"
    )
    build_plans(sizes, said.append)
    assert len(trt.built) == 12
    with latentsr.load("demo", backend="tensorrt", device="cuda") as codec:
        for size in ((101, 75), (64, 64), (128, 100)):
            codec.upscale(codec.encode(np.zeros((*size, 3), np.uint8)))
    assert len(trt.built) == 12  # nothing else had to be built
    build_plans(sizes[:1], said.append, routes=("lr",), force=True)
    assert len(trt.built) == 16


def test_progress_comes_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], []
    monkeypatch.setattr(plans.time, "monotonic", lambda: now[0])
    progress = Progress("plan 2 of 3", said.append)
    for second in range(25):
        now[0] = float(second)
        progress("Building", second, 50)
    assert said == ["plan 2 of 3: Building, 20 %", "plan 2 of 3: Building, 40 %"]


def test_inspect_shows_plans(trt: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from latentsr.cli.inspect import inspect

    app, runner = typer.Typer(), CliRunner()
    app.command()(inspect)
    assert "no TensorRT plans for demo yet" in runner.invoke(app, ["demo", "--engine"]).output
    monkeypatch.setattr(plans, "open_device", lambda index: device)
    build_plans(parse_sizes("64x64"), print, ("lr",))
    output = runner.invoke(app, ["demo", "--engine"]).output
    assert "synthesis" in output and trt.__version__ in output and "convolution" in output.lower()
    facts = json.loads(runner.invoke(app, ["demo", "--engine", "--json"]).output)
    assert len(facts) == 4
    assert {(f["gpu"], f["sm"], f["cuda_driver"], f["precision"]) for f in facts} == {
        ("Ampere and later", None, None, "fp32")
        if trt.__version__ == RTX
        else ("Host GPU", "9.0", 13000, "fp32")
    }
    place = Path(os.environ["LATENTSR_CACHE"])
    for path in place.glob("tensorrt-*.json"):
        whole = json.loads(path.read_text())
        path.write_text(json.dumps({**whole, "bytes": 10**400}))  # no float holds it
    assert {plan["bytes"] for plan in list_plans(Bundle(DEMO))} == {None}
    print_plans(Bundle(DEMO), False)
    for path in place.glob("tensorrt-*.json"):
        path.write_text("[" * 100000)
    assert list_plans(Bundle(DEMO)) == []


def test_command_builds_plans(trt: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from latentsr.cli.build import build

    app, runner = typer.Typer(), CliRunner()
    app.command()(build)
    monkeypatch.setattr(plans, "open_device", lambda index: device)
    given = ["demo", "--backend", "tensorrt", "--route", "lr", "--shapes", "64x64"]
    done = runner.invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "synthesis" in done.output and "1x96x4x4" in done.output
    assert done.output.strip().splitlines()[-1].endswith(" bytes")
    assert len(trt.built) == 4
    facts = json.loads(runner.invoke(app, [*given, "--json"]).stdout)
    assert facts["rows"][0]["graph"] == "analysis"
    assert len(trt.built) == 4
    assert "need to know the shapes" in str(runner.invoke(app, given[:3]).exception)
    assert "no graphs in fp16" in str(runner.invoke(app, [*given, "--fp16"]).exception)
