"""The rate-distortion plot, read back as XML: lines, points, anchors, and what it warns of."""

from __future__ import annotations

import copy
import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

import evaluation_case
from latentsr.errors import UsageError
from latentsr.evaluate.curves import curves
from latentsr.evaluate.plot import COLOURS, HEIGHT, LEFT, PANEL, as_svg
from latentsr.evaluate.result import summarise
from latentsr.evaluate.table import cautions

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture()
def three() -> dict[str, Any]:
    return evaluation_case.result(**evaluation_case.BYTES)


def drawn(*results: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(as_svg(results))


def classed(root: ElementTree.Element, *classes: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if set(classes) <= set(e.get("class", "").split())]


def panels(root: ElementTree.Element) -> list[ElementTree.Element]:
    return root.findall(f"{SVG}g")


def hints(root: ElementTree.Element) -> list[str]:
    return [title.text or "" for group in panels(root) for title in group.iter(f"{SVG}title")]


def words(root: ElementTree.Element) -> str:
    return " | ".join(text.text or "" for text in root.iter(f"{SVG}text"))


def test_a_line_a_route_and_a_point_a_bundle(three: dict[str, Any]) -> None:
    for panel in panels(drawn(three)):
        lines = [e for e in classed(panel, "line") if e.tag == f"{SVG}path"]
        assert len(lines) == 2
        for one in lines:
            points = re.findall(r"([\d.]+) ([\d.]+)", one.get("d", ""))
            assert len(points) == 3
            across = [float(x) for x, _ in points]
            upwards = [float(y) for _, y in points]
            assert across == sorted(across) and across[0] > LEFT and across[-1] < PANEL
            # More bytes, better quality: higher up, which is smaller in SVG.
            assert upwards == sorted(upwards, reverse=True) and 28 < upwards[-1] < HEIGHT
        assert len(classed(panel, "dot")) == 6


def test_the_original_anchor_is_horizontal_and_dashed(three: dict[str, Any]) -> None:
    root = drawn(three)
    for panel in panels(root):
        (dashed,) = classed(panel, "original")  # all bundles share the network: one line
        assert dashed.get("y1") == dashed.get("y2")
        assert float(dashed.get("x1", 0)) == LEFT and float(dashed.get("x2", 0)) == PANEL
        assert "s1" in dashed.get("class", "").split()  # the colour of its route
        assert len(classed(panel, "hollow")) == 1
    style = root.find(f"{SVG}style")
    assert style is not None and re.search(r"\.original \{[^}]*stroke-dasharray", style.text or "")
    said = words(root)
    assert "pixel_x4, original anchor" in said and "pixel_x4, decoded anchor" in said


def test_points_say_their_figures(three: dict[str, Any]) -> None:
    said = hints(drawn(three))
    # 600 bytes of 160x80; two pictures 1 dB apart around 23.5 dB.
    assert "latent_x4, middle: 0.3750 bpp, PSNR 23.50 ± 0.50 dB" in said
    assert "pixel_x4, decoded anchor, low: 0.1875 bpp, MS-SSIM 0.5375 ± 0.0125" in said
    assert "pixel_x4, original anchor, low: PSNR 30.50 ± 0.50 dB" in said


def test_networks_that_differ_have_lines_of_their_own(three: dict[str, Any]) -> None:
    rows = [row for row in three["rows"] if row["bundle"] != "high"]
    three["rows"] = rows + evaluation_case.rows("high", 1200, pixel_original=31.0)
    three["summary"] = summarise(three["rows"])
    for panel in panels(drawn(three)):
        assert len(classed(panel, "original")) == 2


def test_earlier_results_join_the_lines() -> None:
    first, second = evaluation_case.result(low=300), evaluation_case.result(high=1200)
    found = {(c.name, c.anchor): [s.label for s in c.spots]
             for c in curves([second, first], "psnr")}  # fmt: skip
    assert found[("latent_x4", None)] == ["low", "high"]
    assert found[("pixel_x4", "original")] == ["high"]
    second["bundles"][0]["family"] = "mbt2018-mean"
    names = {curve.name for curve in curves([first, second], "psnr")}
    assert names == {f"{family} ×4: {route}" for family in ("bmshj2018-hyperprior", "mbt2018-mean")
                     for route in ("latent_x4", "pixel_x4")}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["settings"].update(border=4), "differ in border: found 0 and 4"),
        (lambda r: r["settings"].update(reduction="pillow"), "found matlab and pillow"),
        (lambda r: r["pictures"].append("2.png"), "found 2 and 3"),
    ],
)
def test_other_rules_share_no_plot(three: dict[str, Any], change: Any, message: str) -> None:
    other = copy.deepcopy(three)
    change(other)
    with pytest.raises(UsageError, match=message):
        as_svg([three, other])


@pytest.mark.parametrize(
    ("reduction", "said"),
    [("matlab", "as MATLAB"), ("pillow", "as Pillow"), ("bundle", "bundle's encode_hr")],
)
def test_how_pictures_were_reduced_is_said(
    three: dict[str, Any], reduction: str, said: str
) -> None:
    three["settings"]["reduction"] = reduction
    assert said in words(drawn(three))


def test_one_bundle_has_points_and_no_line() -> None:
    for panel in panels(drawn(evaluation_case.result(only=300))):
        assert not [e for e in classed(panel, "line") if e.tag == f"{SVG}path"]
        assert len(classed(panel, "dot")) == 2 and len(classed(panel, "original")) == 1


def test_what_was_left_out_random_or_failed_is_said(three: dict[str, Any]) -> None:
    assert "border 0" in words(drawn(three)) and "random" not in words(drawn(three))
    three["bundles"][1]["random_weights"] = True
    three["settings"]["border"] = 4
    three["failures"] = [{"bundle": "low", "picture": "1.png", "error": "no"}]
    said = words(drawn(three))
    assert "without 4 pixels at every side (border 4)" in said
    assert "middle has random weights" in said
    assert "1 picture of 2 failed and is not in the means" in said


def test_a_figure_that_no_picture_has_leaves_a_note(three: dict[str, Any]) -> None:
    for row in three["rows"]:
        row["figures"]["ms_ssim"] = None
    three["summary"] = summarise(three["rows"])
    assert "no MS-SSIM" in words(drawn(three))


def test_names_cannot_break_the_markup(three: dict[str, Any]) -> None:
    hostile = json.loads(json.dumps(three).replace("middle", "<script>&\\u202e"))
    root = drawn(hostile)
    assert not root.findall(f".//{SVG}script") and "\u202e" not in as_svg([hostile])
    assert any("<script>&" in hint for hint in hints(root))


def test_colours_are_those_of_okabe_and_ito() -> None:
    # Wong, "Points of view: Color blindness", Nature Methods 8 (2011), without its yellow.
    published = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"}
    assert set(COLOURS) == published


def test_means_over_some_of_the_pictures_say_so() -> None:
    given = evaluation_case.result(low=300)
    assert not cautions(given)
    for row in given["rows"][:3]:
        row["figures"]["ms_ssim"] = None
    given["rows"][3]["figures"]["psnr"] = None
    given["summary"] = summarise(given["rows"])
    assert cautions(given) == [
        "low: PSNR (latent_x4) of 1 of 2 pictures only, the others are equal to HR",
        "low: MS-SSIM of 1 of 2 pictures only, the others are too small",
    ]
    assert "MS-SSIM of 1 of 2 pictures only" in as_svg([given])
