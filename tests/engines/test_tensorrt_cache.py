"""TensorRT plans in the cache: built once, and again where anything that they depend on differs."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.host_device import HostDevice
from engines.tensorrt_graph import CUDA, engine_of, expected, latent
from engines.tensorrt_versions import RTX
from latentsr.backends import get_backend, tensorrt_api
from latentsr.backends.profiles import bucket, exact
from latentsr.backends.tensorrt_plans import read_profile


def test_plan_is_built_once_and_then_loaded(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "latentsr")
    first = np.asarray(engine_of(graph).run({"y_hat": latent()})["x_hat"])
    assert len(trt.built) == 1
    where = "" if trt.__version__ == RTX else "Host GPU and "
    assert [r.message for r in caplog.records] == [
        "building the TensorRT plan of graph synthesis for "
        f"{bucket({'y_hat': latent().shape})}: no plan for {where}{trt.title} yet"
    ]
    again = np.asarray(engine_of(graph).run({"y_hat": latent()})["x_hat"])
    assert len(trt.built) == 1
    np.testing.assert_array_equal(first, again)


def sidecars(place: Path) -> list[Path]:
    return sorted(place.glob("tensorrt-*[0-9a-f].json"))


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [("name", "Other GPU", "gpu was Host GPU, is Other GPU"),
     ("driver", 12080, "cuda_driver was 13000, is 12080"),
     ("capability", (8, 0), "sm was 9.0, is 8.0")],
)  # fmt: skip
def test_plan_of_another_machine_is_built_again(
    trt: Any,
    device: HostDevice,
    graph: bytes,
    caplog: pytest.LogCaptureFixture,
    attribute: str,
    value: object,
    said: str,
) -> None:
    if trt.__version__ == RTX:
        pytest.skip("its plans are for all")
    engine_of(graph).run({"y_hat": latent()})
    setattr(device, attribute, value)
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert len(trt.built) == 2
    assert any(said in r.message for r in caplog.records)
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.built) == 2


def test_plan_of_another_version_is_built_again(
    trt: Any, graph: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    newer = f"{trt.__version__.split('.')[0]}.99.1"
    monkeypatch.setattr(trt, "__version__", newer)
    tensorrt_api.library.cache_clear()
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.built) == 2
    assert any(
        f"{trt.__name__} was" in r.message and f"is {newer}" in r.message for r in caplog.records
    )


def test_damaged_plan_is_built_again(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    place = Path(os.environ["LATENTSR_CACHE"])
    plan = sidecars(place)[0].with_suffix(".bin")
    plan.write_bytes(plan.read_bytes()[:-7])
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert len(trt.built) == 2
    assert any("is damaged" in r.message for r in caplog.records)


def test_plan_that_tensorrt_refuses_is_built_again(
    trt: Any, graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    import hashlib

    engine_of(graph).run({"y_hat": latent()})
    side = sidecars(Path(os.environ["LATENTSR_CACHE"]))[0]
    facts, other = json.loads(side.read_text()), b"stand-in plan {}\n"
    facts |= {"bytes": len(other), "sha256": hashlib.sha256(other).hexdigest()}
    side.write_text(json.dumps(facts))
    side.with_suffix(".bin").write_bytes(other)
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert any("is refused" in r.message and "building it again" in r.message
               for r in caplog.records)  # fmt: skip


@pytest.mark.parametrize(
    "sides",
    [
        [[1, 96, 1], [1, 96, 9, 9], [1, 96, 9, 9]],
        [[1, 96, 1, 1], [1, 96, 1, 1], [1, 96, 10**400, 9]],
        [[1, 96, 1, 1], [1, 96, 9, 9], [1, 96, float("inf"), 9]],
        [[1, 96, 9, 9], [1, 96, 9, 9], [1, 96, 1, 1]],
        [[1, 96, 0, 1], [1, 96, 9, 9], [1, 96, 99, 99]],
        [[1, 96, True, 1], [1, 96, 9, 9], [1, 96, 99, 99]],
        [[1, 96, 9, 9]], ["abcd", "abcd", "abcd"], [1, 2, 3], None,
    ],
)  # fmt: skip
def test_profiles_that_are_none_are_passed_over(trt: Any, graph: bytes, sides: object) -> None:
    """The folder is untrusted: what lies in it under a plan's name stops no picture."""
    engine_of(graph).run({"y_hat": latent()})
    written = sidecars(Path(os.environ["LATENTSR_CACHE"]))[0]
    whole = json.loads(written.read_text())
    whole["facts"]["profile"] = {"y_hat": sides}
    prefix = written.stem.rpartition("-")[0]
    written.with_name(f"{prefix}-{'0' * 16}.json").write_text(json.dumps(whole))
    written.with_name(f"{prefix}-{'1' * 16}.json").mkdir()
    assert read_profile(json.dumps(whole).encode()) is None
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.built) == 1


def test_exact_plans_come_before_buckets(trt: Any, graph: bytes) -> None:
    backend: Any = get_backend("tensorrt")
    device = backend.load(graph, "synthesis", CUDA)._maker.device
    maker = backend.maker(graph, "synthesis", CUDA, device)
    wide = bucket({"y_hat": latent().shape})
    maker.fetch(wide)
    maker.fetch(exact({"y_hat": latent().shape}))
    assert maker.plan_for({"y_hat": latent().shape}).profile.is_exact
    assert maker.plan_for({"y_hat": latent(0, (1, latent().shape[1], 5, 7)).shape}).profile == wide
    assert len(trt.built) == 2
