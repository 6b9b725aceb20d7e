"""The comparison of two contenders' pictures: markup for the page; `page/slider.js` drives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentsr.report.embed import LARGEST_SIDE, Embedded, embed
from latentsr.report.headlines import subject_name
from latentsr.report.markup import Safe, join, tag
from latentsr.report.wording import fixed, quality_of

ORIGINAL = "original"
HELP = ("Drag the divider. Zoom with the wheel, two fingers, or + and −; move with a drag or the "
        "arrow keys.")  # fmt: skip


def comparison(result: dict[str, Any], pictures: Mapping[str, np.ndarray]) -> Safe:
    """Section body: a line about the picture, the viewer, and the pictures themselves."""
    embedded = {name: embed(picture) for name, picture in pictures.items()}
    captions = {name: _caption(result, name) for name in embedded}
    left, right = _first_pair(result, list(embedded))
    shots = [
        tag("figure",
            tag("img", src=one.uri, alt=captions[name], width=one.width, height=one.height),
            tag("figcaption", captions[name]))
        for name, one in embedded.items()
    ]  # fmt: skip
    return join(
        tag("p", _about(result, next(iter(embedded.values())))),
        tag("div", _viewer(list(captions.items()), left, right),
            tag("div", *shots, class_="shots"), id="compare"),
    )  # fmt: skip


def _caption(result: dict[str, Any], name: str) -> str:
    """Name, and the PSNR of the first picture, which is the one that is shown."""
    for route in result["routes"]:
        if route["name"] == name and route["pictures"] and quality_of(result, route):
            psnr = route["pictures"][0]["psnr"]
            return name if psnr is None else f"{name} · {fixed(psnr, 2)} dB"
    return name


def _first_pair(result: dict[str, Any], names: list[str]) -> tuple[int, int]:
    """The subject on the right; on the left its slowest rival, else the original, else any."""
    subject = subject_name(result)
    right = names.index(subject) if subject in names else len(names) - 1
    p50 = {route["name"]: route["latency_ms"]["p50"] for route in result["routes"]}
    rivals = [n for n, name in enumerate(names) if n != right]
    if not rivals:
        return right, right
    return max(rivals, key=lambda n: p50.get(names[n], 0.0)), right


def _about(result: dict[str, Any], one: Embedded) -> str:
    name = result["pictures"][0]["name"] if result["pictures"] else "the first picture"
    said = f"{name}, {one.full_width} × {one.full_height}. "
    if one.cropped:
        said += (f"Shown is its centre, {one.width} × {one.height}: a side over {LARGEST_SIDE} "
                 "is cut. ")  # fmt: skip
    return f"{said}Pixels are exact."


def _viewer(captions: list[tuple[str, str]], left: int, right: int) -> Safe:
    def part(name: str) -> dict[str, str]:
        return {"data_part": name}

    def choice(words: str, name: str, chosen: int) -> Safe:
        options = [tag("option", name_, value=str(n), selected=n == chosen)
                   for n, (name_, _) in enumerate(captions)]  # fmt: skip
        return tag("label", words, tag("select", *options, autocomplete="off", **part(name)))

    def button(face: str, words: str, name: str) -> Safe:
        return tag("button", face, type="button", aria_label=words, title=words, **part(name))

    tools = tag(
        "div",
        tag("div", choice("Left", "left", left), button("⇄", "Swap left and right", "swap"),
            choice("Right", "right", right), class_="choices"),
        tag("div", button("Fit", "Fit to the view", "fit"),
            button("1:1", "One picture pixel a screen pixel", "one"),
            tag("output", "1×", aria_label="Zoom", **part("zoom")),
            button("−", "Zoom out", "out"), button("+", "Zoom in", "in"), class_="zoom"),
        class_="tools",
    )  # fmt: skip
    view = tag(
        "div", tag("canvas", **part("canvas")), tag("div", class_="edge"),
        tag("div", captions[left][1], class_="badge left", **part("name-left")),
        tag("div", captions[right][1], class_="badge right", **part("name-right")),
        class_="view", tabindex="0", role="application",
        aria_label="Two pictures under a divider: arrow keys move, plus and minus zoom, 0 fits",
        **part("view"),
    )  # fmt: skip
    divider = tag("input", type="range", min="0", max="1000", value="500", autocomplete="off",
                  aria_label="Place of the divider", **part("divider"))  # fmt: skip
    stage = tag("div", view, divider, class_="stage", **part("stage"))
    return tag("div", stage, tag("div", tools, tag("p", HELP, class_="note"), class_="side"),
               class_="viewer")  # fmt: skip
