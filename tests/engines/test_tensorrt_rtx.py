"""Every graph that the exporter writes is one that NVIDIA's own parser and builder take.

TensorRT for RTX builds plans without a GPU, strongly typed as TensorRT 11: a graph whose types do
not fit is refused here. Nothing runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is needed: pip install tensorrt-rtx")
torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

import onnx  # noqa: E402

import half_cases  # noqa: E402
from codec_cases import NETWORKS, exported, made  # noqa: E402
from command_line import latentsr  # noqa: E402
from engines.built_graphs import built, computed_in  # noqa: E402
from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import EngineOptions  # noqa: E402
from latentsr.backends.profiles import parse_sizes  # noqa: E402
from latentsr.backends.tensorrt_build import Built  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import BackendError  # noqa: E402
from latentsr_export.assemble import Writing  # noqa: E402
from latentsr_export.fp16.convert import convert  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import load_pixel_sr  # noqa: E402
from latentsr_export.presets import PRESETS  # noqa: E402
from latentsr_export.presets.export import export_preset  # noqa: E402
from latentsr_export.presets.preset import SMALL  # noqa: E402
from latentsr_export.trace import trace  # noqa: E402
from sr_cases import CASES, SRCase  # noqa: E402
from windowed_cases import WINDOWED  # noqa: E402

CODECS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: made(name) for name in NETWORKS}, **WINDOWED,
}  # fmt: skip


def check(bundle: Bundle) -> None:
    """All graphs are taken, and compute in FP16 what the exporter says, and nothing else."""
    halves = 0
    for label, data in bundle.every_graph():
        half = label.endswith(" fp16")
        plan = built(data, label, half)
        halves += half
        if half:
            graph = bundle.manifest.raw["graphs"][label.removesuffix(" fp16")]
            check_types(plan, graph["variants"]["fp16"])
        else:
            assert not computed_in(plan, "HALF") and computed_in(plan, "FLOAT"), label
    assert halves


def check_types(plan: Built, report: dict[str, Any]) -> None:
    """In FP32 are the islands that the exporter lists, and what depends on no picture: grids."""
    named = {node for island in report["islands"] for node in island["nodes"]}
    found = {name for name in computed_in(plan, "FLOAT") if not name.startswith("ONNXTRT_")}
    assert named <= found and len(found - named) <= report["nodes"]["other"]
    assert computed_in(plan, "HALF")


@pytest.mark.parametrize("name", CODECS)
def test_codecs(name: str, picture: np.ndarray, tmp_path: Path) -> None:
    check(exported(tmp_path / "a.lsr", CODECS[name](), picture, fp16=True))


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS])
def test_presets(name: str, picture: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "a.png")
    how = Writing([tmp_path / "a.png"], fp16=True)
    check(export_preset(name, tmp_path / "a.lsr", random=True, size=SMALL, how=how))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_sr_networks(case: SRCase, tmp_path: Path) -> None:
    torch.save(case.state, tmp_path / "net.pth")
    network = load_pixel_sr(tmp_path / "net.pth", case.scale)
    data = trace("sr", GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture"))
    assert not computed_in(built(data), "HALF")
    half = convert(data, [{"x": half_cases._values(3, 24, 32, False)}])
    check_types(built(half.data, fp16=True), half.report)


def test_types_that_do_not_fit_are_refused() -> None:
    """The check that the others rest on: this builder does look at types."""
    data = half_cases.model(
        [onnx.helper.make_node("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT16),
         onnx.helper.make_node("Add", ["x", "h"], ["y"])], {},
    )  # fmt: skip
    with pytest.raises(BackendError, match="graph mixed is refused by TensorRT for RTX"):
        built(data, "mixed")


def test_graphs_that_are_none_are_refused() -> None:
    from latentsr.backends.profiles import exact
    from latentsr.backends.tensorrt_api import RTX, library
    from latentsr.backends.tensorrt_build import BuildOptions, build_plan

    profile = exact({"x": (1, 3, 8, 8)})
    data = Bundle("demo").graph("synthesis")
    for spoilt, said in ((b"\x00nonsense", "graph bad "), (data[: len(data) // 2], "is refused")):
        with pytest.raises(BackendError, match=said):
            build_plan(spoilt, "bad", profile, BuildOptions(), library(RTX))
    with pytest.raises(BackendError, match=r"other inputs: found \['y_hat'\], expected \['x'\]"):
        build_plan(data, "synthesis", profile, BuildOptions(), library(RTX))


def test_values_above_4_gib_between_layers() -> None:
    """They are the scratch memory of one fused layer, which must have no limit of its own."""
    data = Bundle("demo").graph("pixel_sr")
    backend: Any = get_backend("tensorrt-rtx")
    maker = backend.maker(data, "pixel_sr", EngineOptions(device="cuda"), None)
    from latentsr.plans.shapes import learn_ports
    from latentsr.plans.tensorrt import profile_of

    ports = learn_ports(Bundle("demo"), ("pixel_x4",))
    plan, notes = maker._build(profile_of(ports, "pixel_sr", parse_sizes("2048x2048")[0]))
    assert len(plan) > 1 << 20 and notes["layers"] > 10


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSR_CACHE", str(tmp_path / "cache"))
    given = ("build", "demo", "--backend", "tensorrt-rtx", "--shapes", "64x64,32x32:64x64:512x512")
    report = json.loads(latentsr(*given, "--json", cwd=tmp_path).stdout)
    assert len(report["rows"]) == 12 and "no GPU here" in report["notes"][0]
    assert all(row["bytes"] > 1 << 20 for row in report["rows"])
    assert "building" not in latentsr(*given, cwd=tmp_path).stderr
    shown = latentsr("inspect", "demo", "--engine", cwd=tmp_path).stdout
    assert "Ampere and later" in shown and "CONVOLUTION" in shown


def test_to_run_takes_a_gpu(picture: np.ndarray, tmp_path: Path) -> None:
    from latentsr.backends.device import open_device

    try:
        open_device(0)
    except BackendError:
        pass
    else:
        pytest.skip("there is a GPU here")
    from PIL import Image

    Image.fromarray(picture).save(tmp_path / "a.png")
    latentsr("encode", "a.png", "-o", "a.lss", cwd=tmp_path)
    command = ("upscale", "a.lss", "--backend", "tensorrt-rtx", "-o", "b.png")
    said = latentsr(*command, cwd=tmp_path, code=2).stderr
    assert "no CUDA device can be used" in said and not (tmp_path / "b.png").exists()
