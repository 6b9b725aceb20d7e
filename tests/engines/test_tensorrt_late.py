"""TensorRT for RTX on the stand-in: one plan for all GPUs, kernels compiled where it runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.host_device import HostDevice
from engines.tensorrt_graph import CUDA, engine_of, expected, latent
from engines.tensorrt_versions import RTX
from latentsr.backends import get_backend
from latentsr.backends.profiles import exact, parse_sizes
from latentsr.bundle import Bundle
from latentsr.errors import BackendError
from latentsr.plans import tensorrt as plans
from latentsr.plans.builders import Wanted, get_builder
from latentsr.plans.cache import Cache
from latentsr.plans.listing import list_plans

pytestmark = pytest.mark.parametrize("trt", [RTX], indirect=True)


def kernels() -> list[Path]:
    return sorted(Path(os.environ["LATENTSR_CACHE"]).glob("kernels-*.bin"))


def test_kernels_are_compiled_once(trt: Any, graph: bytes) -> None:
    for seed in range(3):
        found = engine_of(graph).run({"y_hat": latent(seed)})["x_hat"]
        np.testing.assert_array_equal(np.asarray(found), expected(graph, latent(seed)))
    assert (len(trt.built), len(trt.compiled), len(kernels())) == (1, 1, 1)
    wider = latent(0, (1, 96, 5, 7))  # another shape that the plan takes
    for _ in range(2):
        engine_of(graph).run({"y_hat": wider})
    assert (len(trt.built), len(trt.compiled), len(kernels())) == (1, 2, 1)
    engine = engine_of(graph)
    for value in (latent(), wider):
        engine.run({"y_hat": value})
    assert len(trt.compiled) == 2
    strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    assert {c.dynamic_shapes_kernel_specialization_strategy for c in trt.configs} == {strategy}


def test_another_gpu_takes_the_plan_and_compiles_again(
    trt: Any, device: HostDevice, graph: bytes
) -> None:
    engine_of(graph).run({"y_hat": latent()})
    device.name, device.capability, device.driver = "Other GPU", (8, 9), 12080
    found = engine_of(graph).run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert (len(trt.built), len(trt.compiled)) == (1, 2)


@pytest.mark.parametrize("spoil", [b"", b"another version\nkernel"])
def test_kernels_that_do_not_fit_are_compiled_again(trt: Any, graph: bytes, spoil: bytes) -> None:
    engine_of(graph).run({"y_hat": latent()})
    if spoil:  # written by someone, whole, of no use to the library
        sidecar = kernels()[0].with_suffix(".json")
        import json

        facts = json.loads(sidecar.read_text())["facts"]
        Cache().store(kernels()[0].stem, facts, spoil, {})
    else:
        kernels()[0].write_bytes(b"cut")
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.compiled) == 2
    engine_of(graph).run({"y_hat": latent()})
    assert len(trt.compiled) == 2


def test_kernels_that_cannot_be_kept_cost_time_only(
    trt: Any,
    graph: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = engine_of(graph)
    engine.prepare({"y_hat": latent().shape})  # type: ignore[attr-defined]
    caplog.set_level(logging.WARNING, "latentsr")
    place = Path(os.environ["LATENTSR_CACHE"])
    place.rename(place.with_name("gone"))
    place.write_text("a file in the folder's place")
    found = engine.run({"y_hat": latent()})["x_hat"]
    np.testing.assert_array_equal(np.asarray(found), expected(graph, latent()))
    assert any("are not kept" in r.message for r in caplog.records)


def test_turing_gets_plans_of_its_own(trt: Any, device: HostDevice, graph: bytes) -> None:
    engine_of(graph).run({"y_hat": latent()})
    device.capability = (7, 5)
    engine_of(graph).run({"y_hat": latent()})
    assert [config.targets for _, config in trt.built] == [[], [trt.ComputeCapability.SM75]]
    shown = {plan["gpu"] for plan in list_plans(Bundle("demo"))}
    assert shown == {"Ampere and later", "SM75"}


def no_gpu(index: int) -> Any:
    raise BackendError(f"no CUDA device can be used: found none of number {index}")


def test_plans_are_built_without_a_gpu(
    trt: Any, device: HostDevice, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    import latentsr

    monkeypatch.setattr(plans, "open_device", no_gpu)
    builder = get_builder("tensorrt-rtx")
    height, width = picture.shape[:2]
    wanted = Wanted(ranges=parse_sizes(f"{width}x{height}"), device="cuda")
    report = builder.build(Bundle("demo"), wanted, print)
    assert len(report.rows) == len(trt.built) == 6
    assert report.notes == [plans.NO_GPU] and all(place.exists() for place in report.places)
    with latentsr.load("demo", backend="tensorrt-rtx") as codec:
        for route in ("latent_x4", "pixel_x4"):
            codec.upscale(codec.encode(picture), route)
    assert len(trt.built) == 6  # the GPU that turned up later took these
    forced = builder.build(Bundle("demo"), Wanted(**{**vars(wanted), "force": True}), print)
    assert len(forced.rows) == 6 and len(trt.built) == 12


def test_a_gpu_asked_for_by_its_number_has_to_be_there(
    trt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "open_device", no_gpu)
    wanted = Wanted(ranges=parse_sizes("64x64"), device="cuda:1")
    with pytest.raises(BackendError, match="found none of number 1"):
        get_builder("tensorrt-rtx").build(Bundle("demo"), wanted, print)


def test_without_a_gpu_nothing_is_loaded(trt: Any, graph: bytes) -> None:
    backend: Any = get_backend("tensorrt-rtx")
    maker = backend.maker(graph, "synthesis", CUDA, None)
    profile = exact({"y_hat": latent().shape})
    maker.put(profile, force=False)
    with pytest.raises(BackendError, match="found no GPU"):
        maker.fetch(profile)
