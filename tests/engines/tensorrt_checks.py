"""What the TensorRT backend has to do as a whole, on the stand-in and on a GPU alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

import latentsr
from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.backends.device_pool import DeviceArray
from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.plans.listing import list_plans
from latentsr.report.metrics import psnr

CUDA = EngineOptions(device="cuda")
# Largest difference of 8-bit samples that another order of sums may make.
CLOSE = 2


def streams_mean_the_same(picture: np.ndarray) -> None:
    """Either side's stream decodes on the other, to pictures that differ by rounding at most."""
    with (
        latentsr.load("demo", backend="ort") as host,
        latentsr.load("demo", backend="tensorrt") as codec,
    ):
        assert "TensorRT" in codec.runs_on("lr")
        for stream in (host.encode(picture), codec.encode(picture)):
            for name, route in host.bundle.manifest.routes.items():
                if route.kind == "decode":
                    expected = host.decode(stream, name).astype(int)
                    for _ in range(3):  # as it is, captured, launched
                        found = codec.decode(stream, name)
                        assert np.abs(found - expected).max() <= CLOSE, name


def exact_graphs_give_the_same_integers(picture: np.ndarray) -> None:
    """Bit for bit, at shapes of several plans, whatever kernels the builds chose."""
    bundle = Bundle("demo")
    for name in bundle.manifest.exact.values():
        data, port = bundle.graph(name), bundle.manifest.graphs[name].inputs[0]
        host = get_backend("ort").load(data, name, EngineOptions())
        engine = get_backend("tensorrt").load(data, name, CUDA)
        rng = np.random.default_rng(5)
        for height, width, most in ((2, 3, 4), (5, 9, 30), (17, 30, 255)):
            given = np.rint(rng.normal(0, most / 3, (1, 64, height, width))).clip(-most, most)
            inputs = {port: given.astype(np.float32)}
            expected = host.run(inputs)
            for _ in range(3):
                for output, value in engine.run(inputs).items():
                    np.testing.assert_array_equal(np.asarray(value), expected[output])


def values_stay_and_are_cut_on_the_device(picture: np.ndarray) -> None:
    engine = get_backend("tensorrt").load(Bundle("demo").graph("synthesis"), "synthesis", CUDA)
    given = np.random.default_rng(6).normal(0, 2, (1, 96, 5, 7)).astype(np.float32)
    made = engine.run({"y_hat": given})["x_hat"]
    assert isinstance(made, DeviceArray)
    whole = np.array(made)
    np.testing.assert_array_equal(np.asarray(made.window(3, 9, 50, 60)), whole[:, :, 3:53, 9:69])
    again = engine.run({"y_hat": given})["x_hat"]
    np.testing.assert_allclose(np.asarray(again), whole, atol=1e-3)


def many_threads_get_their_own_pictures(picture: np.ndarray) -> None:
    with latentsr.load("demo", backend="tensorrt") as codec:
        streams = [codec.encode(np.roll(picture, 7 * k, axis=1)) for k in range(6)]
        alone = [codec.upscale(stream, "latent_x4").astype(int) for stream in streams]
        with ThreadPoolExecutor(4) as pool:
            together = list(
                pool.map(lambda k: codec.upscale(streams[k % 6], "latent_x4"), range(24))
            )
        for k, found in enumerate(together):
            assert np.abs(found - alone[k % 6]).max() <= CLOSE
        for k, found in enumerate(codec.upscale_many(streams, route="latent_x4")):
            assert np.abs(found - alone[k]).max() <= CLOSE


def plans_are_kept_and_can_be_looked_at(picture: np.ndarray) -> None:
    from latentsr.backends import tensorrt_plans

    bundle = Bundle("demo")
    stream = latentsr.load("demo").encode(picture)
    Codec(bundle, "tensorrt", CUDA).decode(stream)
    built: list[str] = []
    real = tensorrt_plans.build_plan
    try:
        tensorrt_plans.build_plan = lambda *given: built.append(given[1]) or real(*given)
        Codec(bundle, "tensorrt", CUDA).decode(stream)
    finally:
        tensorrt_plans.build_plan = real
    assert not built
    plans = {plan["graph"]: plan for plan in list_plans(bundle)}
    assert {"entropy_parameters_exact", "synthesis"} <= set(plans)
    assert all(plan["layers"] and plan["layers"][0].get("Name") for plan in plans.values())


def layers_are_timed(picture: np.ndarray) -> None:
    options = replace(CUDA, profile=True)
    engine = get_backend("tensorrt").load(Bundle("demo").graph("synthesis"), "synthesis", options)
    given = np.zeros((1, 96, 8, 8), np.float32)
    engine.run({"y_hat": given})
    engine.begin_profile()
    for _ in range(3):
        engine.run({"y_hat": given})
    nodes = engine.end_profile()
    assert nodes and all(node.runs == 3 and node.us >= 0 for node in nodes)
    assert sum(node.us for node in nodes) > 0


def half_precision_costs_little(picture: np.ndarray, half: Bundle) -> None:
    """FP16 variants run as they are typed; what decides scales stays as it was."""
    with latentsr.load("demo", backend="ort") as host:
        codec = Codec(half, "tensorrt", replace(CUDA, precision="fp16"))
        stream = codec.encode(picture)
        for name in ("lr", "latent_x4", "pixel_x4"):
            found = codec.decode(stream, name)
            expected = host.decode(stream, name)
            assert psnr(found, expected) > 40, name


CHECKS: tuple[Callable[[np.ndarray], None], ...] = (
    streams_mean_the_same, exact_graphs_give_the_same_integers,
    values_stay_and_are_cut_on_the_device, many_threads_get_their_own_pictures,
    plans_are_kept_and_can_be_looked_at, layers_are_timed,
)  # fmt: skip
