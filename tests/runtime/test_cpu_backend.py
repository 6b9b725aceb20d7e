"""The backend that follows plans: right pictures whatever a plan says, and said how."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from latentsr.backends.cpu import form_facts, form_name
from latentsr.bundle import Bundle
from latentsr.errors import ImageError, UsageError
from latentsr.plans import facts
from latentsr.plans.cache import FOLDER_VARIABLE, Cache
from latentsr.plans.plan import Choice, Plan, digest, find_plan, plan_facts, plan_name, planned
from latentsr.report.verify import available, verify

SHAPES = {"y_hat": (1, 96, 8, 8)}  # of `picture`, 75x101, padded to 128x128


@pytest.fixture()
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache that the backend uses."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return Cache()


def put(cache: Cache, graph: str, *choices: Choice, precision: str = "fp32") -> None:
    """Write a plan for a graph of the demo bundle."""
    sha256 = digest(Bundle("demo").graph(graph))
    data = Plan(choices, ((75, 101),)).to_bytes()
    cache.store(plan_name(sha256, precision), plan_facts(sha256, precision), data, {})


def put_form(cache: Cache, graph: bytes) -> str:
    """Store a derived graph; its hash."""
    cache.store(form_name(digest(graph)), form_facts(digest(graph)), graph, {})
    return digest(graph)


def decoded(picture: np.ndarray, backend: str, **options: Any) -> tuple[np.ndarray, str]:
    """The picture after encode and decode, and what synthesis ran on."""
    with latentsr.load("demo", backend=backend, **options) as codec:
        made = codec.decode(codec.encode(picture))
        return made, codec.runs_on("lr")


def close(a: np.ndarray, b: np.ndarray, most: int = 1) -> bool:
    return bool(np.abs(a.astype(int) - b).max() <= most)


def test_without_a_plan(cache: Cache, picture: np.ndarray) -> None:
    found, runs_on = decoded(picture, "cpu")
    assert np.array_equal(found, decoded(picture, "ort")[0])
    assert runs_on == "CPUExecutionProvider, as shipped (no plan)"
    assert planned(Bundle("demo"), "fp32") == {} and not cache.folder.exists()


def test_a_rewritten_graph_is_run(cache: Cache, picture: np.ndarray) -> None:
    subpixel = pytest.importorskip("latentsr_export.forms.subpixel")
    form = subpixel.rewrite(Bundle("demo").graph("synthesis"))
    put(cache, "synthesis", Choice("ort", "subpixel-4", put_form(cache, form), threads=1))
    found, runs_on = decoded(picture, "cpu")
    assert runs_on == "CPUExecutionProvider, subpixel-4 (fp32 plan)"
    assert close(found, decoded(picture, "ort")[0])


def test_choices_by_shape(cache: Cache, picture: np.ndarray) -> None:
    pytest.importorskip("openvino")
    put(cache, "synthesis", Choice("ort"), Choice("openvino", shapes=SHAPES, fixed=True))
    found, runs_on = decoded(picture, "cpu")
    assert runs_on.startswith("OpenVINO CPU") and close(found, decoded(picture, "ort")[0])
    wide = np.tile(picture, (1, 3, 1))
    found, runs_on = decoded(wide, "cpu")
    assert runs_on.startswith("CPUExecutionProvider")
    assert np.array_equal(found, decoded(wide, "ort")[0])


def test_compiled_graphs_are_kept_and_never_trusted(cache: Cache, picture: np.ndarray) -> None:
    pytest.importorskip("openvino")
    put(cache, "synthesis", Choice("openvino"))
    first, runs_on = decoded(picture, "cpu")
    assert runs_on.startswith("OpenVINO CPU")
    kept = list(cache.folder.glob("openvino-*.bin"))
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    assert np.array_equal(decoded(picture, "cpu")[0], first)
    assert kept[0].stat().st_mtime_ns == written  # taken from the cache
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    assert np.array_equal(decoded(picture, "cpu")[0], first)
    assert kept[0].stat().st_mtime_ns != written  # compiled again
    sidecar = kept[0].with_suffix(".json")
    whole = json.loads(sidecar.read_text())
    rubbish = b"no model at all"
    kept[0].write_bytes(rubbish)  # whole, but nothing that the library reads
    sidecar.write_text(json.dumps({**whole, "bytes": len(rubbish), "sha256": digest(rubbish)}))
    assert np.array_equal(decoded(picture, "cpu")[0], first)


def test_stale_and_damaged_plans(
    cache: Cache, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    put(cache, "synthesis", Choice("ort", threads=1))
    monkeypatch.setattr(facts, "library_version", lambda name: "99.0")
    found, runs_on = decoded(picture, "cpu")
    assert "no plan" in runs_on and np.array_equal(found, decoded(picture, "ort")[0])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "is 99.0; run latentsr build again" in lines[0]
    monkeypatch.undo()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"choices": [], "sizes": []}',
        b'{"choices": [3], "sizes": []}',
        b'{"choices": [{"library": "rm -rf"}], "sizes": []}',
        Plan((Choice("ort", graph="../../secret"),), ()).to_bytes(),
        Plan((Choice("ort", threads=10**9),), ()).to_bytes(),
        Plan((Choice("ort", shapes=SHAPES),), ()).to_bytes(),
        *(
            Plan((Choice("ort"), Choice("ort", shapes={"y_hat": (1, side)})), ()).to_bytes()
            for side in (-1, 0, 1 << 31, 1.5, True, None)
        ),
        Plan((Choice("ort"), *[Choice("ort", shapes=SHAPES)] * 64), ()).to_bytes(),
        Plan((Choice("ort"), Choice("ort")), ()).to_bytes(),
        Plan((Choice("ort"),), ()).to_bytes().replace(b'"sizes": []', b'"sizes": [[1, 1e999]]'),
        Plan((Choice("ort"),), ()).to_bytes().replace(b'"shapes": null', b'"shapes": [1]'),
        Plan((Choice("ort"),), ()).to_bytes().replace(b'"ort"', b"{}"),
    ],
)
def test_plans_that_are_none(cache: Cache, payload: bytes) -> None:
    sha256 = digest(Bundle("demo").graph("synthesis"))
    cache.store(plan_name(sha256, "fp32"), plan_facts(sha256, "fp32"), payload, {})
    plan, reason = find_plan(cache, sha256, "fp32")
    assert plan is None and reason is not None and "is damaged" in reason


def test_a_lost_form(cache: Cache, picture: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, "synthesis", Choice("ort", "subpixel-4", "0" * 64))
    found, runs_on = decoded(picture, "cpu")
    assert "as shipped" in runs_on and np.array_equal(found, decoded(picture, "ort")[0])
    assert "its rewritten form is gone; run latentsr build again" in caplog.text


def test_a_plan_reads_as_it_was_written(cache: Cache) -> None:
    figures = {"ratio": 1.5, "shapes": {"y_hat": [1, 96, 8, 8]}, "kept_fp32": ["/0/Conv"]}
    choices = Choice("ort", threads=2, figures=figures), *[Choice("ort", shapes=SHAPES)] * 63
    put(cache, "synthesis", *choices)
    plan = planned(Bundle("demo"), "fp32")["synthesis"]
    assert plan == Plan(choices, ((75, 101),))
    small, other = (np.zeros((1, 96, 8, w), np.float32) for w in (8, 9))
    assert plan.choose({"y_hat": small}) == choices[1]
    assert plan.choose({"y_hat": other}) == choices[0]
    assert choices[0].describe() == "ort, as shipped, 2 threads"
    assert replace(choices[1], fixed=True).describe() == "ort, as shipped, fixed shapes"


def test_int8_is_never_silent(cache: Cache) -> None:
    with pytest.raises(UsageError, match=r"demo has no graphs in int8 here.*latentsr build"):
        latentsr.load("demo", backend="cpu", precision="int8")
    with pytest.raises(UsageError, match=r"backend ort has no int8"):
        latentsr.load("demo", precision="int8")
    # A plan that says that INT8 does not pay makes nothing INT8.
    put(cache, "synthesis", Choice("ort"), precision="int8")
    with pytest.raises(UsageError, match=r"no graphs in int8 here"):
        latentsr.load("demo", backend="cpu", precision="int8")


def test_int8_runs_where_it_is_asked_for(cache: Cache, picture: np.ndarray) -> None:
    int8 = pytest.importorskip("latentsr_export.forms.int8")
    with latentsr.load("demo") as codec:
        sample = {"y_hat": codec.run_encode(picture, "encode", True).values["y_hat"]}
    form = int8.write_forms(Bundle("demo").graph("synthesis"), [sample], "int8")[0]
    put(cache, "synthesis", Choice("ort", "int8", put_form(cache, form.graph)), precision="int8")
    put(cache, "analysis", Choice("ort"), precision="int8")  # where INT8 does not pay
    plain, _ = decoded(picture, "ort")
    assert np.array_equal(decoded(picture, "cpu")[0], plain)
    found, runs_on = decoded(picture, "cpu", precision="int8")
    assert runs_on == "CPUExecutionProvider, int8 (int8 plan)"
    assert not np.array_equal(found, plain) and close(found, plain, 20)


def test_verify_sees_plans(cache: Cache, picture: np.ndarray) -> None:
    assert not any(name.startswith("cpu") for name in available("demo"))
    put(cache, "entropy_parameters_exact", Choice("ort", threads=1))
    codecs = available("demo")
    assert {"cpu-1", "cpu-2"} <= set(codecs)
    result = verify({name: codecs[name] for name in ("ort-1", "cpu-2")}, [picture]).as_dict()
    assert result["differing_indexes"] == result["differing_symbols"] == result["desyncs"] == 0


def test_warmup_loads_engines_for_a_size(cache: Cache, picture: np.ndarray) -> None:
    put(cache, "synthesis", Choice("ort"), Choice("ort", threads=1, shapes=SHAPES))
    with latentsr.load("demo", backend="cpu") as codec:
        codec.warmup("lr")
        assert len(codec.engine("synthesis")._engines) == 1  # type: ignore[attr-defined]
        codec.warmup("lr", (75, 101))
        assert len(codec.engine("synthesis")._engines) == 2  # type: ignore[attr-defined]
        codec.decode(codec.encode(picture))
        assert not any(stage.kind == "start" for stage in codec.timeline.stages)
        with pytest.raises(ImageError, match="size cannot be coded"):
            codec.warmup("lr", (0, 5))


def test_mutated_entries_never_raise(cache: Cache) -> None:
    put(cache, "synthesis", Choice("ort", threads=2), Choice("openvino", shapes=SHAPES, fixed=True))
    sha256 = digest(Bundle("demo").graph("synthesis"))
    name = plan_name(sha256, "fp32")
    good = {suffix: (cache.folder / f"{name}.{suffix}").read_bytes() for suffix in ("bin", "json")}
    plan, _ = find_plan(cache, sha256, "fp32")
    rng, refused = np.random.default_rng(7), 0
    for number in range(400):
        data = {suffix: bytearray(found) for suffix, found in good.items()}
        mutated = data["bin" if number % 2 else "json"]
        for _ in range(int(rng.integers(1, 4))):
            mutated[int(rng.integers(len(mutated)))] = int(rng.integers(256))
        if number % 4 == 3:  # the payload's hash made right, as whoever can write here could
            raw = json.loads(good["json"])
            raw |= {"sha256": digest(bytes(data["bin"])), "bytes": len(data["bin"])}
            data["json"] = bytearray(json.dumps(raw).encode())
        for suffix, found in data.items():
            (cache.folder / f"{name}.{suffix}").write_bytes(found)
        got, reason = find_plan(cache, sha256, "fp32")
        assert (got is None) == (reason is not None)
        refused += got is None
        if number % 2 and number % 4 != 3 and bytes(mutated) != good["bin"]:
            assert got is None
    assert plan is not None and 200 < refused < 400


def test_versions_are_those_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version

    found = facts.libraries()
    assert found["ort"] == version("onnxruntime")
    assert ("openvino" in found) == (find_spec("openvino") is not None)
    monkeypatch.setattr(facts, "LIBRARIES", {"none": ("no_such_package", "none"),
                                             "numpy": ("numpy", "other"),
                                             "pytest": ("pytest", "other", "pytest")})  # fmt: skip
    uncached = facts.library_version.__wrapped__
    assert uncached("none") is None and uncached("numpy") == "unknown"
    monkeypatch.setattr(facts, "_from_folders", lambda distributions: None)
    assert uncached("pytest") == pytest.__version__
    assert facts.cores() >= 1 and set(facts.processor()) == {"processor", "features", "cores"}
