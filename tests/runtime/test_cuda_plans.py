"""What of `latentsr.cuda` takes no device: plans, limits, and how a missing device is told."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import latentsr
from latentsr import cuda
from latentsr.cuda import DecodePlan, DeviceCoder, EncodePlan, batch, module, steps
from latentsr.entropy import Tables
from latentsr.errors import BackendError, UsageError

TABLES = Tables(np.array([[0, 30000, 65536]]), np.array([3]), np.array([0]))


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "latentsr._cuda_kernels", None)
    monkeypatch.delattr(latentsr, "_cuda_kernels", raising=False)


@pytest.fixture
def with_kernels() -> None:
    try:
        module.compiled()
    except BackendError as error:
        pytest.skip(str(error))


def test_structs_are_those_of_the_kernels() -> None:
    sizes = [kind.itemsize for kind in (batch.STREAM, batch.TARGET, batch.RESULT, batch.OUTCOME)]
    assert sizes == [24, 32, 24, 32]  # lane_batch.h asserts the same
    assert batch.OUTCOME.fields is not None and batch.OUTCOME.fields["size"][1] == 24


def test_a_decode_plan_lays_streams_side_by_side() -> None:
    plan = DecodePlan.of([b"\x0d" + bytes(4), b"", b"\x38" + bytes(9), b"\xff"], [7, 0, 300, 2])
    assert plan.streams["data"].tolist() == [0, 5, 5, 15]
    assert plan.streams["first"].tolist() == [0, 7, 7, 307]
    assert (plan.most_parts, plan.symbols, plan.data.size) == (8, 309, 16)
    sizes = plan.sizes(index_bytes=4)
    assert (sizes["indexes"], sizes["out"]) == (4 * 309, 4 * 309)
    assert (sizes["part_results"], sizes["results"]) == (4 * 8 * 24, 4 * 24)


@pytest.mark.parametrize(
    ("streams", "counts", "message"),
    [
        ([b""], [], "counts: found 0, expected 1, the streams"),
        ([b""], [-1], "count 0: found -1, expected 0 to 4294967295"),
        ([b""], [1 << 32], "count 0: found 4294967296"),
    ],
)
def test_decode_plans_have_limits(streams: list[bytes], counts: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecodePlan.of(streams, counts)


@pytest.mark.parametrize(
    ("counts", "lanes", "parts", "message"),
    [
        ([1], 3, 0, "lanes: found 3, expected 0 or a power of two to 32"),
        ([1], 64, 0, "lanes: found 64"),
        ([1], 0, 512, "parts: found 512, expected 0 or a power of two to 256"),
        ([5, (1 << 29) + 1], 0, 0, "count 1: found 536870913, expected 0 to 536870912"),
    ],
)
def test_encode_plans_have_limits(counts: list[int], lanes: int, parts: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncodePlan.of(counts, lanes, parts)


def test_steps_check_what_can_be_checked() -> None:
    with pytest.raises(UsageError, match="sample_bytes: found 3"):
        steps.scale_indexes(0, 0, 1, 0, 0, 0, sample_bytes=3)
    with pytest.raises(UsageError, match="thresholds: found 256, expected up to 255"):
        steps.scale_indexes(0, 0, 1, 0, 256, 0)
    with pytest.raises(UsageError, match="means: found 3 values, 4 times each"):
        steps.latent_from_symbols(0, steps.DeviceMeans(0, 3, 4), 0, 25)
    with pytest.raises(UsageError, match="means: found 3 values, 4 times each"):
        steps.clear_certain(0, 1, steps.DeviceMeans(0, 3, 4), 0, 0, 25)
    with pytest.raises(UsageError, match="index_bytes: found 2, expected 1"):
        steps.clear_certain(0, 1, steps.NO_MEANS, 0, 0, 25, index_bytes=2)
    with pytest.raises(UsageError, match="skip: found -1, expected 0 to"):
        steps.clear_certain(0, -1, steps.NO_MEANS, 0, 0, 25)
    planes = steps.DevicePlanes.dense(0, 1, 64, 64)
    with pytest.raises(UsageError, match=r"picture: found 60x60 at \(5, 0\)"):
        steps.planes_from_picture(0, 60, 60, planes, top=5)


def test_a_build_without_kernels_says_how_to_get_them(without_kernels: None) -> None:
    assert not cuda.available()
    assert "cmake.define.LATENTSR_CUDA=ON" in (cuda.why_not() or "")
    with pytest.raises(BackendError, match="CUDA kernels are missing"):
        DeviceCoder(TABLES)


def test_no_position_means_no_fault() -> None:
    assert steps.fault_at((1 << 64) - 1) is None
    assert steps.fault_at(0) == 0


def test_tables_are_packed_without_a_device(with_kernels: None) -> None:
    coder = DeviceCoder(TABLES)
    assert coder.packed.dtype == np.uint8
    assert coder.packed.size > 5 * 256 - 256
    with pytest.raises(UsageError, match="skip: found 2, expected 0 to 1"):
        DeviceCoder(TABLES, skip=2)
    plan = EncodePlan.of([10], lanes=2, parts=4)
    assert (plan.most_parts, plan.room) == (4, 1 + 4 * (10 + 8) + 70)
