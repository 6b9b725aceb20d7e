"""The report in HTML, Markdown and on the terminal: complete, well-formed, and safe from text."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import report_case
from latentsr.bench.run import Bench
from latentsr.bench.schema import read_result
from latentsr.errors import UsageError
from latentsr.report import embed, svg
from latentsr.report.form import check
from latentsr.report.headlines import headlines, subject_name
from latentsr.report.html import render_html
from latentsr.report.markdown import render_markdown
from latentsr.report.publish import Targets, publish
from latentsr.report.terminal import print_report, split
from latentsr.report.wording import number, plain, ratio_figures, signed

VOID = {"meta", "link", "img", "input", "br"}
COMMAND = Path(sys.executable).with_name("latentsr")


class Page(HTMLParser):
    """Tags, attributes and visible text; fails where tags are not balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.said)


def terminal(result: dict[str, Any], width: int) -> str:
    out = io.StringIO()
    print_report(result, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_page_is_well_formed_and_needs_nothing_else() -> None:
    text = render_html(report_case.result(), report_case.pictures())
    page = Page(text)
    assert text.startswith("<!doctype html>")
    for tag, attributes in page.tags:
        for key in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:", "#")), (tag, key, value)
    assert not re.search(r"https?://|//cdn|@import|url\(", text)
    names = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(set(names)) == len(names)
    linked = {a["href"] for tag, a in page.tags if tag == "a"}
    assert {f"#{n}" for n in ("ratios", "stages", "latency", "sizes", "environment")} <= linked
    assert {name.removeprefix("#") for name in linked if name} <= set(names)


def test_page_says_names_numbers_conditions_and_warnings() -> None:
    text = Page(render_html(report_case.result(), report_case.pictures())).text
    for route in report_case.result()["routes"]:
        assert text.count(route["name"]) >= 5
    for said in ("7.2×", "6.8–7.5", "41.3", "297", "26.44", "−0.08\u00a0dB", "PSNR +1.33\u00a0dB",
                 "Test CPU 9000, 4 cores", "2 threads", "TestProvider", "61.7", "77\u00a0%",
                 "lr, bicubic: unstable", "the host took 7% of the processors", "TestOS",
                 "latentsr bench 'a b.lsr' --threads 2", "2026-05-04 12:30 UTC", "the start",
                 "not installed", "3,500"):  # fmt: skip
        assert said in text, said


def test_stored_result_has_no_pictures_and_says_so() -> None:
    page = Page(render_html(report_case.result(), {}))
    assert "No pictures are in this page" in page.text
    assert not [tag for tag, _ in page.tags if tag in ("img", "canvas")]


def test_result_travels_in_the_page() -> None:
    given = report_case.hostile()
    page = Page(render_html(given, {}))
    kept = [s for s in page.scripts if s.startswith("{")]
    assert len(kept) == 1 and json.loads(kept[0]) == given


@pytest.mark.parametrize("with_pictures", [False, True])
def test_hostile_text_stays_text(with_pictures: bool) -> None:
    given = report_case.hostile()
    given["machine"]["versions"][report_case.HOSTILE] = report_case.HOSTILE
    check(given, "hostile")
    pictures = report_case.pictures() if with_pictures else {}
    pictures = {name + report_case.HOSTILE: p for name, p in pictures.items()}
    clean = Page(render_html(report_case.result(), report_case.pictures() if pictures else {}))
    text = render_html(given, pictures, [given])
    page = Page(text)
    assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text
    text.encode()
    count = [sum(tag == "script" for tag, _ in p.tags) for p in (page, clean)]
    assert count[0] == count[1] == 3
    known = {key for _, attributes in clean.tags for key in attributes}
    assert {key for _, attributes in page.tags for key in attributes} <= known | {"colspan"}
    assert not any(key.startswith("on") for key in known)
    policy = next(a["content"] for _, a in page.tags if "http-equiv" in a)
    assert policy and "script-src 'sha256-" in policy and "default-src 'none'" in policy


def test_hostile_text_in_markdown_and_terminal() -> None:
    given = report_case.hostile()
    text = render_markdown(given, [given])
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)(<script|\[x\]|\*\*b\*\*|`)", prose)
    for line in prose.splitlines():
        assert "\x1b" not in line and "\u202e" not in line
    shown = terminal(given, 80)
    assert "\x1b" not in shown and "\u202e" not in shown and "[x]" in shown.replace("\n", "")


def test_random_weights_show_speed_only() -> None:
    given = report_case.result()
    given["bundle"]["random_weights"] = True
    for text in (Page(render_html(given, {})).text, render_markdown(given), terminal(given, 200)):
        assert "speed only" in text and "random weights" in text and "7.2×" in text
        assert "26.44" not in text and "25.11" not in text and "−0.08" not in text
    one = report_case.result()
    one["routes"][3]["random_weights"] = True
    text = Page(render_html(one, {})).text
    assert "26.52" not in text and "26.44" in text and "PSNR +1.33\u00a0dB" in text


def test_subject_and_headlines() -> None:
    given = report_case.result()
    assert subject_name(given) == "latent_x4"
    first, second = headlines(given)
    assert first.sentence == "latent_x4 is 7.2× faster than pixel_x4"
    assert second.sentence == "latent_x4 takes 5.0× as long as bicubic"
    given["ratios"] = [report_case.ratio("pixel_x4", "latent_x4", 1.02)]
    assert "no difference shown" in headlines(given)[0].sentence
    given["routes"] = [r for r in given["routes"] if "latent" not in r["name"]]
    assert subject_name(given) == "bicubic"


def test_further_results_add_points_and_a_section() -> None:
    given, other = report_case.result(), report_case.result()
    other["bundle"]["name"] = "second"
    other["routes"] = [report_case.route("latent_x4", 11.5, 24.99)]
    other["ratios"] = []
    alone, both = (Page(render_html(given, {}, others)) for others in ([], [other]))
    guests = [a for _, a in both.tags if (a.get("class") or "").startswith("guest")]
    # Two pictures and their mean in two scatters, and one point of quality against time.
    assert len(guests) == 2 * 3 + 1
    assert "Further result: second" in both.text and "second: latent_x4" in both.text
    assert "11.5" in both.text and "second" not in alone.text
    assert "Further result: second" in render_markdown(given, [other])
    other["pictures"][0]["name"] = "another.png"
    assert "different pictures" in Page(render_html(given, {}, [other])).text


def _svg_numbers(page: Page) -> list[float]:
    keys = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "r")
    return [float(a[key] or "nan") for tag, a in page.tags
            if tag in ("rect", "line", "circle", "text") for key in keys if key in a]  # fmt: skip


@pytest.mark.parametrize("case", ["one route", "no extras", "infinite", "equal", "huge range"])
def test_charts_of_unusual_results(case: str) -> None:
    given = report_case.result()
    if case == "one route":
        given |= {"routes": given["routes"][2:3], "ratios": [], "warnings": []}
    elif case == "no extras":
        for route in given["routes"]:
            route |= {"stages": [], "throughput": [], "sizes": [], "pictures": [],
                      "launches": [[4.0]], "quality": None}  # fmt: skip
        given |= {"pictures": [], "load": [], "command": None}
    elif case == "infinite":
        for route in given["routes"]:
            route["quality"]["psnr"] = route["pictures"][0]["psnr"] = math.inf
    elif case == "equal":
        for route in given["routes"]:
            route |= {"launches": [[5.0, 5.0]], "latency_ms": report_case.figures(5.0)}
        for ratio in given["ratios"]:
            ratio |= {"ratio": 1.0, "low": 1.0, "high": 1.0}
    else:
        given["routes"][0]["launches"] = [[1e-4, 1e7]]
    check(given, case)
    page = Page(render_html(given, {}))
    numbers = _svg_numbers(page)
    assert numbers and all(math.isfinite(x) for x in numbers)
    assert all(float(a["width"] or 0) >= 0 for tag, a in page.tags if tag == "rect")
    render_markdown(given)
    terminal(given, 80)


def test_stage_bars_are_as_long_as_their_times() -> None:
    given = report_case.result()
    text = render_html(given, {})
    chart = text[text.index("Median time of each stage") :]
    chart = chart[: chart.index("</svg>")]
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*class="k-engine"', chart)
    lengths = [float(width) + 1 for _, width in bars]
    assert lengths[3] / lengths[2] == pytest.approx(297 / 41.3, rel=0.02)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.0, 1.0, False), (23.7, 24.2, False), (-3.0, 50.0, False), (3.2, 410.0, True),
     (20.0, 21.0, True), (1e-3, 1e6, True)],
)  # fmt: skip
def test_ticks_are_round_ordered_and_inside(low: float, high: float, log: bool) -> None:
    scale = svg.Scale(low, high, 0, 500, log)
    ticks = scale.ticks(8)
    assert 2 <= len(ticks) <= 9 and ticks == sorted(set(ticks))
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    said = svg.tick_texts(scale, ticks)
    assert [float(one.replace(",", "")) for one in said] == pytest.approx(ticks)


def test_spread_keeps_order_and_distance() -> None:
    placed = svg.spread([50.0, 10.0, 12.0, 11.0], 15, 0, 60)
    assert placed[0] == max(placed) <= 60
    assert sorted(np.diff(sorted(placed)))[0] >= 15 - 1e-9
    assert placed[1] < placed[3] < placed[2]


def test_numbers_and_ratios() -> None:
    assert [number(x) for x in (0.04123, 39.54, 1204.4, 7, None, 0.0)] == [
        "0.0412", "39.5", "1,204", "7", "–", "0"]  # fmt: skip
    assert signed(-0.001, 2) == "±0.00" and signed(-0.5, 1) == "−0.5"
    wide = {"ratio": 29.85, "low": 25.8, "high": 38.6}
    assert ratio_figures(wide) == ("30×", "26–39")
    assert ratio_figures({"ratio": 1.052, "low": 1.041, "high": 1.062}) == ("1.05×", "1.04–1.06")
    assert plain({"a\x1b": ["b\ud800", 1]}) == {"a\ufffd": ["b\ufffd", 1]}


def test_pictures_are_embedded_exactly() -> None:
    for picture in report_case.pictures().values():
        one = embed.embed(picture)
        head, data = one.uri.split(",", 1)
        assert head in ("data:image/png;base64", "data:image/webp;base64") and not one.cropped
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)


def test_large_pictures_are_cut_to_their_centre() -> None:
    picture = np.zeros((40, 2000, 3), np.uint8)
    picture[:, 200:1800] = 255
    one = embed.embed(picture)
    assert (one.width, one.height, one.full_width) == (1600, 40, 2000)
    with Image.open(io.BytesIO(base64.b64decode(one.uri.split(",", 1)[1]))) as image:
        assert np.asarray(image.convert("RGB")).min() == 255
    shown = render_html(report_case.result(), {"original": picture, "latent_x4": picture})
    assert "Shown is its centre, 1600 × 40" in shown


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


def test_publish_writes_all_and_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [tmp_path / name for name in ("r.json", "r.csv", "r.html", "r.md")]
    publish(Bench(report_case.result(), report_case.pictures()), Targets(*names))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [f"{path}: {path.stat().st_size} bytes" for path in names]
    assert "Contenders" in lines and read_result(names[0]) == report_case.result()


def test_command_line(tmp_path: Path, picture: np.ndarray) -> None:
    """A real measurement, its reports, and the stored result rendered again."""
    Image.fromarray(picture).save(tmp_path / "a.png")
    files = ["--json", "r.json", "--report", "r.html", "--markdown", "r.md"]
    short = ["--launches", "1", "--warmup", "1", "--iterations", "3", "--batch", "1", "--threads",
             "1", "--routes", "latent_x4,bicubic", "--sizes", "64x64,128x64"]  # fmt: skip
    again = ["report", "r.json", "r.json", "--html", "s.html", "--markdown", "s.md"]
    commands = [["bench", "demo", "a.png", *short, *files], again]
    for command in commands:
        done = subprocess.run([str(COMMAND), *command], cwd=tmp_path, capture_output=True,
                              text=True, timeout=300, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        name = command[-1]
        assert done.stdout.splitlines()[-1] == f"{name}: {(tmp_path / name).stat().st_size} bytes"
    made, stored = (Page((tmp_path / n).read_text("utf-8")) for n in ("r.html", "s.html"))
    assert [a["alt"] for tag, a in made.tags if tag == "img"] and "canvas" in dict(made.tags)
    assert "canvas" not in dict(stored.tags) and "Further result: demo" in stored.text
    assert "latentsr bench demo a.png --launches 1" in made.text
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema": "latentsr-bench", "schema_version": 1}', encoding="utf-8")
    done = subprocess.run([str(COMMAND), "report", str(bad)], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2 and "malformed" in done.stderr and not done.stdout
