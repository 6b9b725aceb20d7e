"""A benchmark's figures where pictures differ in size, or contenders in scale, kind and speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

import latentsr
import report_case
from latentsr.bench import caution
from latentsr.bench.contender import Plan, Sample
from latentsr.bench.result import assemble_stages
from latentsr.bench.rounds import Samples, Schedule, run_rounds
from latentsr.bench.run import Launch, Measured, Settings, run_bench
from latentsr.bundle import DEMO
from latentsr.image import save_rgb8, to_rgb8
from latentsr.report.wording import conditions
from latentsr.timing import Stage


def coffee(path: Path, height: int, width: int) -> str:
    save_rgb8(to_rgb8(DEMO.parent / "coffee.png")[:height, :width], path)
    return str(path)


def test_throughput_counts_every_picture_alike_and_each_contenders_own_output(
    tmp_path: Path,
) -> None:
    names = [coffee(tmp_path / f"{n}.png", 64, 64 * n) for n in (1, 2, 3)]
    found = run_bench(
        Settings("demo", tuple(names), ("lr", "bicubic"), threads=1, launches=1,
                 schedule=Schedule(1, 1, 1), in_flight=(1,))
    ).result  # fmt: skip
    for route in found["routes"]:
        (figures,) = route["throughput"]
        assert figures["pictures"] % len(names) == 0
        pixels = np.mean([p["coded_width"] * p["coded_height"] for p in found["pictures"]])
        made = figures["pictures_per_s"] * pixels * route["scale"] ** 2 / 1e6
        assert figures["output_mp_per_s"] == pytest.approx(made), route["name"]


def test_who_makes_one_picture_after_another_has_no_figure_for_several(tmp_path: Path) -> None:
    found = run_bench(
        Settings("demo", (coffee(tmp_path / "a.png", 64, 64),), ("bicubic",), baselines=("jpeg",),
                 threads=1, launches=1, schedule=Schedule(1, 1, 1), in_flight=(2, 3))
    ).result  # fmt: skip
    numbers = {r["name"]: [t["in_flight"] for t in r["throughput"]] for r in found["routes"]}
    assert numbers == {"bicubic": [2, 3], "jpeg": [1]}


def test_a_stages_rate_is_that_of_its_calls_whatever_the_pictures_sizes() -> None:
    # Three pictures of 1, 1 and 10 MMAC at one GMAC/s.
    sizes: list[tuple[float, int]] = [(1.0, 10**6), (1.0, 10**6), (10.0, 10**7)]
    runs = {(0, n): Sample(ms, (Stage("net", "engine", ms, macs),))
            for n, (ms, macs) in enumerate(sizes)}  # fmt: skip
    plan: Any = Plan("it", "route", None)  # type: ignore[arg-type]
    measured = Measured(Settings("demo", ()), [plan], [], [Launch([], [Samples(1, runs)], {})])
    (stage,) = assemble_stages(measured, 0, 2.0)
    assert stage["gmacs_per_s"] == pytest.approx(1.0)
    assert stage["sgemm_share"] == pytest.approx(0.5)
    assert stage["macs"] == pytest.approx(4e6)


class Compiling:
    """Stands in for the process of a contender that takes longer in the first call of a size."""

    def __init__(self, ms: float, first_ms: float) -> None:
        self.ms, self.first_ms = ms, first_ms
        self.known: set[int] = set()

    def run(self, index: int) -> Sample:
        first = index not in self.known
        self.known.add(index)
        return Sample(self.first_ms if first else self.ms, ())


@pytest.mark.parametrize("ms", [20.0, 2000.0])
def test_no_counted_call_is_the_first_of_its_size(ms: float) -> None:
    racing: Any = [Compiling(ms, 50_000.0)]
    (found,) = run_rounds(racing, [0, 1, 2], Schedule(1, 4, burst=1, slow_items=2))
    assert found.slow == (ms > 1000)
    assert {sample.ms for sample in found.runs.values()} == {ms}
    assert {item for _, item in found.runs} == ({0, 1} if found.slow else {0, 1, 2})


def test_what_sets_a_contender_apart_is_said() -> None:
    given = report_case.result(load=[])
    given["settings"]["launches"] = 6
    jpeg = report_case.route("jpeg", 100.0, 26.0, kind="baseline", bytes=4000.0)
    jpeg["pictures"][0]["bytes"] = 4500
    jpeg["pictures"][1]["p50_ms"] = None
    given["routes"].append(jpeg)
    said = [text for text in caution.warnings(given) if text.startswith("jpeg: ")]
    assert any("timed on 1 of 2 pictures" in text for text in said)
    assert any("reads 23% more bytes than the streams have" in text for text in said)
    assert not any("writes no files" in text for text in said)
    given["settings"]["write"] = ".png"
    assert any("jpeg: writes no files" in text for text in caution.warnings(given))
    others = [text for text in caution.warnings(given) if not text.startswith("jpeg: ")]
    for words in ("timed on", "more bytes", "writes no files"):
        assert not any(words in text for text in others)
    assert conditions(given)[0] == "same bytes for all but jpeg"


def test_written_pictures_are_not_put_beside_the_users_streams(tmp_path: Path) -> None:
    with latentsr.load("demo", threads=1) as codec:
        (tmp_path / "photo.lss").write_bytes(codec.encode(np.zeros((16, 16, 3), np.uint8)))
    (tmp_path / "photo-bicubic.png").write_bytes(b"the user's")
    found = run_bench(
        Settings("demo", (str(tmp_path / "photo.lss"),), ("bicubic",), threads=1, launches=1,
                 schedule=Schedule(1, 1, 1), in_flight=(), write=".png")
    ).result  # fmt: skip
    assert "write file" in [stage["name"] for stage in found["routes"][0]["stages"]]
    assert (tmp_path / "photo-bicubic.png").read_bytes() == b"the user's"
    assert len(list(tmp_path.iterdir())) == 2
