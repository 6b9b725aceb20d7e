"""Each PyTorch baseline: starts, reads a stream's symbols, and makes the picture that ours is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the baselines need torch")
pytest.importorskip("compressai.models", reason="the baselines need compressai")

import latentsr  # noqa: E402
from codec_cases import exported, made  # noqa: E402
from latentsr.backends.values import Resident  # noqa: E402
from latentsr.bench.inputs import from_picture  # noqa: E402
from latentsr.bench.rounds import Schedule  # noqa: E402
from latentsr.bench.run import Settings, run_bench  # noqa: E402
from latentsr.bench.subject import Item, Setup, Subject, baseline_names, find_subject  # noqa: E402
from latentsr.errors import (  # noqa: E402
    BackendError,
    BundleError,
    CheckpointError,
    StreamError,
    UsageError,
)
from latentsr.manifest import Route  # noqa: E402
from latentsr.pipeline import routes  # noqa: E402
from latentsr.pipeline.routes import Machine, Run  # noqa: E402
from latentsr_export.baselines.network import Compiled  # noqa: E402
from latentsr_export.baselines.rrdbnet import count_macs, random_rrdbnet  # noqa: E402
from latentsr_export.baselines.strings import decode_symbols  # noqa: E402
from latentsr_export.networks.edsr import EDSR, initialise_as_bilinear  # noqa: E402
from latentsr_export.pixel_sr import load_pixel_sr  # noqa: E402

FAMILIES = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean")
PIXEL_SR = ("compressai-edsr", "compressai-ort")
COMPILED = ("compressai-compile", "compressai-edsr-compile")
RESIZED = ("compressai-bicubic", "compressai-lanczos")
ENTROPY = ["entropy_decode z", "entropy_parameters", "entropy_decode y"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """A bundle of each family with a small EDSR, the EDSR's checkpoint, and one without SR."""
    folder = tmp_path_factory.mktemp("baselines")
    torch.manual_seed(1)
    network = EDSR(6, 1)
    initialise_as_bilinear(network)
    torch.save(network.state_dict(), folder / "edsr.pth")
    for name in FAMILIES:
        exported(folder / f"{name}.lsr", made(name), picture, pixel_sr=folder / "edsr.pth")
    exported(folder / "plain.lsr", made(FAMILIES[1]), picture, exact=False)
    return folder


def item(folder: Path, family: str, picture: np.ndarray) -> Item:
    """The picture reduced by 4 and encoded; 24x18 of 64x64 padded."""
    (folder / family).mkdir(exist_ok=True)
    with latentsr.load(folder / f"{family}.lsr", threads=1) as codec:
        return from_picture(codec, picture, "a", 4, folder / family, "a").item


class OnDevice(Resident):
    """Symbols as a coder on a device leaves them: torch takes no such array."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def to_host(self) -> np.ndarray:
        return self._array

    def window(self, *place: int) -> np.ndarray:
        raise AssertionError("symbols are taken whole")

    empty = put = window


def test_symbols_on_a_device(
    folder: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = routes.execute

    def decoded_there(route: Route, run: Run, machine: Machine) -> None:
        execute(route, run, machine)
        run.symbols = {name: OnDevice(value) for name, value in run.symbols.items()}

    with latentsr.load(folder / f"{FAMILIES[1]}.lsr", threads=1) as codec:
        stream = codec.open_stream(codec.encode(picture))
        expected = decode_symbols(codec, stream)
        monkeypatch.setattr(routes, "execute", decoded_there)
        found = decode_symbols(codec, stream)
    assert list(found) == list(expected) == ["z", "y"]
    assert all(torch.equal(found[name], expected[name]) for name in found)


def started(name: str, folder: Path, family: str, **options: Any) -> tuple[Subject, Any]:
    """A subject on one thread, and its facts."""
    subject = find_subject(name)()
    return subject, subject.start(Setup(str(folder / f"{family}.lsr"), threads=1, options=options))


def ours(folder: Path, family: str, route: str, given: Item) -> np.ndarray:
    """The bundle's own route on the same stream."""
    with latentsr.load(folder / f"{family}.lsr", threads=1) as codec:
        return codec.upscale(given.stream.read_bytes(), route)


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", PIXEL_SR)
def test_same_networks_make_the_same_picture(
    name: str, family: str, folder: Path, picture: np.ndarray
) -> None:
    given = item(folder, family, picture)
    subject, facts = started(name, folder, family)
    size = subject.load(0, given)
    assert 0 < size < 1.1 * given.stream.stat().st_size + 32
    found = subject.output(0)
    assert found is not None
    assert found.shape == (100, 72, 3) and found.dtype == np.uint8
    # Exact means differ a little from the float network's, which CompressAI has.
    near = 4 if family == "mbt2018-mean" else 1
    assert far(found, ours(folder, family, "pixel_x4", given)) <= near
    assert (facts.scale, facts.random_weights) == (4, False)
    assert facts.about.startswith("CompressAI 1.") and facts.versions["torch"]


@pytest.mark.parametrize("name", PIXEL_SR)
def test_stages_and_their_work(name: str, folder: Path, picture: np.ndarray) -> None:
    given = item(folder, "bmshj2018-hyperprior", picture)
    subject, _ = started(name, folder, "bmshj2018-hyperprior")
    subject.load(0, given)
    subject.run(0)
    timeline = subject.run(0)
    stages = {stage.name: stage for stage in timeline.stages}
    engines = ["synthesis", "pixel_sr"]
    assert [n for n in stages if n in ENTROPY + engines] == ENTROPY + engines
    with latentsr.load(folder / "bmshj2018-hyperprior.lsr", threads=1) as codec:
        codec.upscale(given.stream.read_bytes(), "pixel_x4")
        expected = {s.name: s.macs for s in codec.timeline.stages if s.macs}
    expected["entropy_parameters"] = stages["entropy_parameters"].macs
    assert {s.name: s.macs for s in timeline.stages if s.macs} | expected == expected
    assert {s.kind for s in timeline.stages} == {"read", "entropy", "parameters", "engine", "image"}
    assert all(stage.ms >= 0 for stage in timeline.stages)
    subject.many([0, 0], 2)


@pytest.mark.parametrize("name", RESIZED)
def test_resized_pictures(name: str, folder: Path, picture: np.ndarray) -> None:
    from PIL import Image

    given = item(folder, "bmshj2018-factorized", picture)
    subject, facts = started(name, folder, "bmshj2018-factorized")
    subject.load(0, given)
    found = subject.output(0)
    assert found is not None and facts.scale == 4
    with latentsr.load(folder / "bmshj2018-factorized.lsr", threads=1) as codec:
        small = codec.decode(given.stream.read_bytes())
    method = Image.Resampling[name.split("-")[1].upper()]
    # One level of the small picture, which rounding may move, is at most two of the large one.
    assert far(found, np.asarray(Image.fromarray(small).resize((72, 100), method))) <= 2


def test_a_checkpoint_of_the_users_own(folder: Path, picture: np.ndarray) -> None:
    family = "bmshj2018-hyperprior"
    given = item(folder, family, picture)
    subject, facts = started("compressai", folder, family, sr=str(folder / "edsr.pth"))
    subject.load(0, given)
    found = subject.output(0)
    assert found is not None and "edsr x4" in facts.about and not facts.random_weights
    assert far(found, ours(folder, family, "pixel_x4", given)) <= 1
    with pytest.raises(CheckpointError, match=r"cannot be opened|No such file"):
        started("compressai", folder, family, sr=str(folder / "none.pth"))


def test_without_a_checkpoint_rrdbnet(folder: Path, picture: np.ndarray) -> None:
    given = item(folder, "bmshj2018-hyperprior", picture[:32, :32])
    subject, facts = started("compressai", folder, "bmshj2018-hyperprior")
    subject.load(0, given)
    found = subject.output(0)
    assert found is not None and found.shape == (32, 32, 3)
    assert facts.random_weights and "RRDBNet-23 x4, random weights" in facts.about
    macs = {s.name: s.macs for s in subject.run(0).stages}["pixel_sr"]
    assert macs == 64 * 17_926_848  # of the 8x8 picture; 16.7 million weights, most at its size


def test_random_weights_are_the_same_everywhere() -> None:
    first, second = random_rrdbnet(), random_rrdbnet()
    pairs = zip(first.module.parameters(), second.module.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert first.parameters == 16_697_987


def test_macs_counted_by_hooks_are_the_manifests(folder: Path) -> None:
    with latentsr.load(folder / "bmshj2018-factorized.lsr") as codec:
        expected = codec.bundle.manifest.graphs["pixel_sr"].macs_per_position
    assert count_macs(load_pixel_sr(folder / "edsr.pth")) == expected


def test_what_is_missing_is_named(
    folder: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*PIXEL_SR, *COMPILED, *RESIZED, "compressai"} <= set(baseline_names())
    with pytest.raises(UsageError, match=r"no such baseline: found 'compresai'.*compressai-ort"):
        find_subject("compresai")
    for name, message in [("compressai-edsr", "no such graph"), ("compressai-ort", "pixel SR")]:
        with pytest.raises(BundleError, match=message):
            started(name, folder, "plain")
    with pytest.raises(BackendError, match="found device 'cuda', expected 'cpu'"):
        find_subject("compressai")().start(Setup("demo", device="cuda"))
    subject, _ = started("compressai-edsr", folder, "bmshj2018-hyperprior")
    with pytest.raises(StreamError, match="another bundle"):
        subject.load(0, item(folder, "mbt2018-mean", picture))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(BackendError, match="found no onnxruntime"):
            started("compressai-ort", folder, "bmshj2018-hyperprior")
    monkeypatch.setitem(sys.modules, "latentsr_export.baselines.network", None)
    with pytest.raises(BackendError, match="library of a baseline is missing"):
        find_subject("compressai")


def test_in_processes_of_their_own(folder: Path, picture: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(picture).save(folder / "picture.png")
    bundle = str(folder / "bmshj2018-hyperprior.lsr")
    settings = Settings(
        bundle, (str(folder / "picture.png"),), ("pixel_x4",), baselines=("compressai-edsr",),
        threads=1, launches=1, schedule=Schedule(1, 2), in_flight=(),
    )  # fmt: skip
    measured = run_bench(settings)
    routes = {route["name"]: route for route in measured.result["routes"]}
    assert set(routes) == {"pixel_x4", "compressai-edsr"}
    found = routes["compressai-edsr"]
    assert found["stage_share"] > 0.8 and found["memory"]["peak_bytes"] > 0
    assert far(measured.pictures["compressai-edsr"], measured.pictures["pixel_x4"]) <= 1


@pytest.mark.skipif(
    os.environ.get("LATENTSR_TEST_COMPILE") != "1",
    reason="compiling takes a minute and a half; set LATENTSR_TEST_COMPILE=1 to run this test",
)
def test_compiled_networks_make_the_same_picture(folder: Path, picture: np.ndarray) -> None:
    given = item(folder, "bmshj2018-hyperprior", picture)
    subject, facts = started("compressai-edsr-compile", folder, "bmshj2018-hyperprior")
    subject.load(0, given)
    found = subject.output(0)
    assert found is not None and facts.about.endswith("torch.compile")
    assert far(found, ours(folder, "bmshj2018-hyperprior", "pixel_x4", given)) <= 1


def test_a_compiler_that_fails_is_named() -> None:
    def refuse(module: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler here")

    compiled = Compiled(torch.nn.Conv2d(1, 1, 1))
    compiled._compiled = torch.compile(torch.nn.Conv2d(1, 1, 1), backend=refuse)
    with pytest.raises(BackendError, match=r"torch.compile failed: .*expected a C\+\+ compiler"):
        compiled(torch.zeros(1, 1, 4, 4))


def test_listing_baselines_imports_no_torch() -> None:
    code = (
        "import sys; from latentsr.bench.subject import baseline_names; "
        "assert 'compressai-compile' in baseline_names(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
