"""The report in Markdown and on the terminal, its numbers in words, and which results it takes."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest

import report_case
from latentsr.errors import UsageError
from latentsr.report import tables
from latentsr.report.form import check
from latentsr.report.headlines import headlines, subject_name
from latentsr.report.markdown import render_markdown
from latentsr.report.terminal import split
from latentsr.report.wording import number, plain, ratio_figures, signed
from report_views import terminal


def test_hostile_text_in_markdown_and_terminal() -> None:
    given = report_case.hostile()
    text = render_markdown(given, [given])
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)(<script|\[x\]|\*\*b\*\*|`)", prose)
    for line in prose.splitlines():
        assert "\x1b" not in line and "\u202e" not in line
    shown = terminal(given, 80)
    assert "\x1b" not in shown and "\u202e" not in shown and "[x]" in shown.replace("\n", "")


def test_subject_and_headlines() -> None:
    given = report_case.result()
    assert subject_name(given) == "latent_x4"
    first, second = headlines(given)
    assert first.sentence == "latent_x4 is 7.2× faster than pixel_x4"
    assert second.sentence == "latent_x4 takes 5.0× as long as bicubic"
    given["ratios"] = [report_case.ratio("pixel_x4", "latent_x4", 1.02)]
    assert "no difference shown: the interval holds 1" in headlines(given)[0].sentence
    single = {"ratio": 2.519, "low": 2.519, "high": 2.519, "level": 0.0}
    given["ratios"] = [report_case.ratio("pixel_x4", "latent_x4", 2.519) | single]
    told = headlines(given)[0]
    assert "no difference shown: a single value has no interval" in told.sentence
    assert (told.figure, told.interval) == ("2.5×", "none")
    given["routes"] = [r for r in given["routes"] if "latent" not in r["name"]]
    assert subject_name(given) == "bicubic"


def test_numbers_and_ratios() -> None:
    assert [number(x) for x in (0.04123, 39.54, 1204.4, 7, None, 0.0)] == [
        "0.0412", "39.5", "1,204", "7", "–", "0"]  # fmt: skip
    assert signed(-0.001, 2) == "±0.00" and signed(-0.5, 1) == "−0.5"
    wide = {"ratio": 29.85, "low": 25.8, "high": 38.6, "level": 0.95}
    assert ratio_figures(wide) == ("30×", "26–39")
    narrow = {"ratio": 1.052, "low": 1.041, "high": 1.062, "level": 0.95}
    assert ratio_figures(narrow) == ("1.05×", "1.04–1.06")
    assert plain({"a\x1b": ["b\ud800", 1]}) == {"a\ufffd": ["b\ufffd", 1]}


def test_markdown_tables_have_one_width() -> None:
    text = render_markdown(report_case.result())
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) >= 10
    for table in tables:
        lines = table.splitlines()
        assert len({len(line) for line in lines}) == 1, table
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert re.fullmatch(r"(\| -+:? )+\|", lines[1])
    for said in (
        "- **latent_x4 is 7.2× faster than pixel_x4**, 95\u00a0% interval 6.8–7.5",
        "> - the host took 7% of the processors",
        "Conditions: same bytes for all",
        "    latentsr bench 'a b.lsr' --threads 2",
        "- processor: Test CPU 9000",
    ):
        assert said in text, said


@pytest.mark.parametrize("width", [40, 80, 132])
def test_terminal_keeps_to_its_width(width: int) -> None:
    text = terminal(report_case.result(), width)
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for said in ("latent_x4 is 7.2× faster than pixel_x4", "41.3", "297", "26.44", "123", "8 %",
                 "warning: lr, bicubic: unstable", "conditions: same bytes for all"):  # fmt: skip
        assert said in flat.replace("\u00a0", " "), said
    assert text.count("Contenders") == 1


def test_split_repeats_the_first_column() -> None:
    assert split([10, 5, 5, 5], 80) == [[0, 1, 2, 3]]
    assert split([10, 5, 5, 5], 24) == [[0, 1, 2], [0, 3]]
    assert split([30, 50, 50], 40) == [[0, 1], [0, 2]]


@pytest.mark.parametrize(
    ("path", "value"),
    [(("routes",), []), (("routes", 0, "latency_ms", "p50"), 0), (("routes", 0, "macs"), "1"),
     (("routes", 0, "launches", 0, 0), -1.0), (("routes", 0, "launches", 0), {}),
     (("machine", "sgemm", "gmacs_per_s"), None), (("ratios", 0, "low"), math.nan),
     (("pictures", 0, "width"), 2**40), (("pictures", 0, "width"), True),
     (("warnings", 0), 3), (("settings", "threads"), math.inf), (("command",), "rm -r")],
)  # fmt: skip
def test_results_of_another_form_are_refused(path: tuple[Any, ...], value: object) -> None:
    given = copy.deepcopy(report_case.result())
    check(given, "as made")
    inner: Any = given
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(UsageError, match="benchmark result"):
        check(given, "changed")
    del inner[path[-1]]
    if isinstance(path[-1], str):
        with pytest.raises(UsageError, match="benchmark result"):
            check(given, "cut")


def test_precision_is_a_text_where_it_is_said() -> None:
    given = report_case.result()
    given["settings"]["precision"] = "int8"
    check(given, "as made")
    assert "Runtime on CPU" in render_markdown(given) and ", INT8" in render_markdown(given)
    given["settings"]["precision"] = 8
    with pytest.raises(UsageError, match="no proper precision"):
        check(given, "changed")


def test_means_over_some_of_the_pictures_say_so() -> None:
    given = report_case.result()
    assert not any("of 1 of 2" in note for note in tables.quality(given).notes)
    for route in given["routes"][1:]:
        route["pictures"][0]["ms_ssim"] = None
    given["routes"][2]["pictures"][1]["psnr"] = None
    notes = tables.quality(given).notes
    assert "bicubic, latent_x4, pixel_x4: MS-SSIM of 1 of 2 pictures, the others are too small" in (
        notes
    )
    assert "latent_x4: PSNR of 1 of 2 pictures, the others are equal to theirs" in notes
