"""Our pixel SR networks in every public key layout: as unfolded references are, exportable."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from latentsr.backends import get_backend  # noqa: E402
from latentsr.backends.base import EngineOptions  # noqa: E402
from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.parts import GraphSpec  # noqa: E402
from latentsr_export.pixel_sr import (  # noqa: E402
    PIXEL_SR_NETWORKS,
    PixelSR,
    load_pixel_sr,
)
from latentsr_export.restore import restore_pixel_sr  # noqa: E402
from latentsr_export.trace import count_macs, describe, trace  # noqa: E402
from sr_cases import CASES, SRCase  # noqa: E402

SIZES = [(24, 32), (33, 21)]
# Multiplications in the largest graph of each network: gates, and the residual scale of EDSR.
MULTIPLIED = {"edsr": 1, "rfdn": 2, "rlfn": 2, "imdn": 4, "rrdbnet": 8}
# One case of each layout: there are hundreds of ways to spoil it.
LAYOUTS = {name: case for name, case in CASES.items() if name not in (
    "edsr-x2", "edsr-x3-range-1", "edsr-wide-x2", "edsr-basicsr-x2", "wdsr-a-x2", "wdsr-b-x3",
    "msrresnet-x2", "msrresnet-x3", "carn-three-scales-x4", "carn-m-three-scales-x3")}  # fmt: skip
# torch and ONNX write slopes of PReLU in another shape, so a graph does not give them back.
RESTORED = [name for name, case in LAYOUTS.items() if case.name != "srresnet"]


def _picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))


def _load(case: SRCase, folder: Path) -> PixelSR:
    torch.save(case.state, folder / "net.pth")
    return load_pixel_sr(folder / "net.pth", case.scale)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_same_as_the_public_network(case: SRCase, tmp_path: Path) -> None:
    network = _load(case, tmp_path)
    assert (network.name, network.scale, network.source) == (case.name, case.scale, "latentsr")
    assert network.parameters == sum(p.numel() for p in network.module.parameters())
    for size in SIZES:
        x = _picture(*size)
        with torch.no_grad():
            expected, found = case(x), network.module(x)
        assert found.shape == (1, 3, size[0] * case.scale, size[1] * case.scale)
        peak = max(1.0, float(expected.abs().max()))
        assert float((found - expected).abs().max()) < 1e-5 * peak


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_graph_takes_any_size(case: SRCase, tmp_path: Path) -> None:
    network = _load(case, tmp_path)
    spec = GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture")
    graph = trace("pixel_sr", spec)
    engine = get_backend("ort").load(graph, "pixel_sr", EngineOptions())
    for size in SIZES:
        x = _picture(*size)
        with torch.no_grad():
            expected = network.module(x).numpy()
        found = engine.run({"x": x.numpy()})["hr"]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())
    assert count_macs(graph, spec.feeds) > 0
    nodes = describe(graph)["nodes"]
    assert isinstance(nodes, dict)
    assert not {"BatchNormalization", "InstanceNormalization", "ReduceL2", "Tanh"} & set(nodes)
    assert nodes.get("Mul", 0) <= MULTIPLIED.get(case.name, 0)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_recognised_as_one_network_only(case: SRCase) -> None:
    state = {key.removeprefix("net."): tensor for key, tensor in case.state.items()}
    kinds = [kind for kind in PIXEL_SR_NETWORKS if kind.detect(state)]
    assert [kind.NAME for kind in kinds] == [case.name]
    assert [kind.KIND for kind in kinds] == ["pixel_sr"]


def test_nothing_is_no_network() -> None:
    assert not [kind for kind in PIXEL_SR_NETWORKS if kind.detect({})]
    assert {kind.NAME for kind in PIXEL_SR_NETWORKS} == {case.name for case in CASES.values()}


@pytest.mark.parametrize("name", RESTORED)
def test_graph_gives_the_network_back(name: str, tmp_path: Path) -> None:
    network = _load(CASES[name], tmp_path)
    graph = trace("sr", GraphSpec(network.module, ("x",), ("hr",), 3, 1, "picture"))
    bundle: Any = SimpleNamespace(graph=lambda _: graph, path=tmp_path)
    again = restore_pixel_sr(bundle)
    assert (again.name, again.scale) == (network.name, network.scale)
    x = _picture(*SIZES[1])
    with torch.no_grad():
        assert torch.equal(again.module(x), network.module(x))


def _spoiled(case: SRCase) -> list[dict[str, torch.Tensor]]:
    """The case's weights with each tensor cut to a wrong shape, then without each weight."""
    whole = case.state
    other = tuple(f"upsample.up{scale}." for scale in (2, 3, 4) if scale != case.scale)
    used = [key for key in whole if not key.endswith("_tracked") and not key.startswith(other)]
    wrong = [{**whole, key: torch.ones(5, 2)} for key in used]
    # A convolution before a batch norm may go without a bias.
    weights = [key for key in used if not key.endswith("bias")]
    return wrong + [{k: v for k, v in whole.items() if k != key} for key in weights]


@pytest.mark.parametrize("case", LAYOUTS.values(), ids=LAYOUTS)
def test_wrong_tensors_are_refused(case: SRCase, tmp_path: Path) -> None:
    for state in _spoiled(case):
        torch.save(state, tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match=r"net\.pth|known"):
            load_pixel_sr(tmp_path / "net.pth", case.scale)


@pytest.mark.parametrize("case", [CASES["edsr-x4"], CASES["rfdn-x4"], CASES["carn-x2"]])
def test_giant_claims_take_no_memory(case: SRCase, tmp_path: Path) -> None:
    head = next(key for key in case.state if case.state[key].shape[1:] == (3, 3, 3))
    state = {**case.state, head: torch.zeros(300_000, 3, 3, 3)}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"net\.pth"):
        load_pixel_sr(tmp_path / "net.pth")


def test_scale_of_a_file_that_holds_several(tmp_path: Path) -> None:
    case = CASES["carn-m-three-scales-x2"]
    torch.save(case.state, tmp_path / "net.pth")
    assert load_pixel_sr(tmp_path / "net.pth").scale == 4
    sizes = {scale: load_pixel_sr(tmp_path / "net.pth", scale) for scale in (2, 3, 4)}
    assert [network.scale for network in sizes.values()] == [2, 3, 4]
    with pytest.raises(CheckpointError, match=r"found 2, 3, 4, expected 8; choose one of these"):
        load_pixel_sr(tmp_path / "net.pth", 8)


def test_scale_of_a_file_that_holds_one(tmp_path: Path) -> None:
    torch.save(CASES["rlfn-x4"].state, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"found rlfn of scale 4 in .*, expected scale 2"):
        load_pixel_sr(tmp_path / "net.pth", 2)
