"""The CUDA kernels' own source, run on the processor, against the scalar kernels.

A warp's lanes take turns there (kernels/tests/host_warp.h), so that what a kernel computes and
which memory it touches are tested without a device; tests/gpu is for what only a device can show:
launches, memory spaces and races.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from native_drivers import build, configure, need, need_sanitizers, report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build in which nothing can be touched beside its array unseen, where the compiler can."""
    place = tmp_path_factory.mktemp("cuda-emulation")
    options = ["LATENTSR_SANITIZE=ON", "CMAKE_BUILD_TYPE=Debug"]
    try:
        need_sanitizers(need("c++"), "address,undefined", place)
    except pytest.skip.Exception:
        options = []
    configure(place / "build", *options)
    return place / "build"


def check_streams(found: dict[str, int]) -> None:
    assert found["encoded"] > 0.3 * found["not_encoded"] > 0
    assert found["refused"] > found["decoded"] > 0.1 * found["refused"]


def test_lanes_agree_with_the_scalar_coder(folder: Path) -> None:
    check_streams(report([str(build(folder, "cuda_lanes")), "150"]))


def test_steps_agree_with_the_scalar_steps(folder: Path) -> None:
    assert report([str(build(folder, "cuda_steps")), "150"]) == {"rounds": 150}


def test_context_models_agree_with_the_scalar_ones(folder: Path) -> None:
    found = report([str(build(folder, "cuda_context")), "60"])
    assert found["refused"] > found["decoded"] > found["models"] == 60
    assert found["quantised"] > 60 and found["not_quantised"] > 60


def numbers_of(case: dict) -> list[int]:
    """A golden case as the driver reads it."""
    streams = [bytes.fromhex(case[key]) for key in ("stream", "read_too") if key in case]
    numbers = [case["lanes"] or 0, case.get("parts") or 0, case.get("skip") or 0]
    numbers += [len(case["symbols"]), *case["symbols"], *case["indexes"], len(streams)]
    for stream in streams:
        numbers += [len(stream), *stream]
    return numbers


def test_golden_streams(folder: Path, repository: Path) -> None:
    golden = json.loads((repository / "tests" / "golden" / "rans_lanes.json").read_text())
    rows = golden["tables"]["rows"]
    numbers = [len(rows)]
    for row, offset in zip(rows, golden["tables"]["offset"], strict=True):
        sizes = [end - start for start, end in pairwise(row)]
        numbers += [offset, len(sizes), *sizes]
    for case in golden["cases"]:
        numbers += numbers_of(case)
    file = folder / "golden.txt"
    file.write_text(" ".join(map(str, numbers)))
    found = report([str(build(folder, "cuda_golden")), str(file)])
    assert found == {"cases": len(golden["cases"])}
