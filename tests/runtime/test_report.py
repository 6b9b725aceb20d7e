"""The report as a whole: the HTML page is complete, well-formed and safe from text; files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import report_case
from latentsr.bench.run import Bench
from latentsr.bench.schema import read_result
from latentsr.report.form import check
from latentsr.report.html import render_html
from latentsr.report.markdown import render_markdown
from latentsr.report.publish import Targets, publish
from report_views import Page, terminal

COMMAND = Path(sys.executable).with_name("latentsr")


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
