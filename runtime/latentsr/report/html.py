"""The HTML report: one file that needs nothing else, and in which no text can become markup.

Scripts run by their hash only and nothing may be loaded (Content-Security-Policy), so even a
mistake in escaping would not let a result's text act.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from latentsr.report import sections
from latentsr.report.compare import ORIGINAL, comparison
from latentsr.report.markup import Part, Safe, join, tag
from latentsr.report.wording import plain, quality_of, when

SCRIPTS, STYLES = ("slider.js", "data.js"), ("page.css", "slider.css")
Section = tuple[str, str, Safe]


def render_html(
    result: dict[str, Any],
    pictures: Mapping[str, np.ndarray],
    others: Sequence[dict[str, Any]] = (),
) -> str:
    """The whole page.

    result: of `latentsr.bench.schema`, checked. pictures: uint8 (H, W, 3) by contender, all of
    one size, with ``original``; may be empty. others: further results, for the scatters.
    """
    shown, guests = plain(result), [plain(one) for one in others]
    pictures = {plain(name): picture for name, picture in pictures.items()}
    parts = _sections(shown, pictures, guests)
    title = f"{shown['bundle']['name']} · latentsr benchmark"
    body = join(
        _header(shown, parts),
        tag("main", *(_section(*one) for one in parts)),
        tag("footer", f"Made by latentsr {shown['machine']['versions'].get('latentsr') or ''} "
            f"from a measurement of {when(shown['created'])}."),
        _data(result),
        *(tag("script", Safe(_asset(name))) for name in SCRIPTS),
    )  # fmt: skip
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        *(tag("style", Safe(_asset(name))) for name in STYLES),
    ]
    page = tag("html", tag("head", *head), tag("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _sections(
    result: dict[str, Any], pictures: Mapping[str, np.ndarray], others: Sequence[dict[str, Any]]
) -> list[Section]:
    found = [("ratios", "Result", sections.headline_cards(result)),
             ("pictures", "Pictures", _pictures(result, pictures)),
             ("contenders", "Contenders", sections.contenders(result)),
             ("stages", "Stages", sections.stages(result)),
             ("latency", "Latency", sections.latency(result))]  # fmt: skip
    if any(route["sizes"] for route in result["routes"]):
        found.append(("sizes", "Size", sections.sizes(result)))
    found += [("quality", "Quality and rate", sections.quality([result, *others])),
              ("resources", "Throughput and memory", sections.resources(result))]  # fmt: skip
    for number, other in enumerate(others, start=1):
        name = f"Further result: {other['bundle']['name']}"
        found.append((f"further-{number}", name, sections.further(other)))
    return [*found, ("environment", "Environment", sections.environment_groups(result))]


def _pictures(result: dict[str, Any], pictures: Mapping[str, np.ndarray]) -> Safe:
    if len(pictures) > 1:
        return comparison(result, pictures)
    if any(quality_of(result, route) for route in result["routes"]):
        return tag("p", "No pictures are in this page: a stored result has none. "
                   "`latentsr bench --report` embeds them.")  # fmt: skip
    return tag("p", f"No pictures to compare: contenders with random weights and inputs without "
               f"{ORIGINAL} give none.")  # fmt: skip


def _header(result: dict[str, Any], parts: Sequence[Section]) -> Safe:
    bundle, machine = result["bundle"], result["machine"]
    facts: list[Part] = [bundle["family"], f"fingerprint {bundle['fingerprint']}", machine["cpu"],
                         when(result["created"])]  # fmt: skip
    if bundle["random_weights"]:
        facts.append("random weights: speed only")
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in parts]
    return tag(
        "header",
        tag("p", "latentsr benchmark", class_="kicker"),
        tag("h1", bundle["name"]),
        tag("ul", *(tag("li", fact) for fact in facts), class_="facts"),
        sections.warnings(result),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )


def _section(name: str, title: str, body: Safe) -> Safe:
    return tag("section", tag("h2", title), body, id=name)


def _data(result: dict[str, Any]) -> Safe:
    """The result as JSON; without ``<`` it can end no script element."""
    said = json.dumps(result).replace("<", "\\u003c").replace(">", "\\u003e")
    return tag("script", Safe(said), type="application/json", id="result")


def _asset(name: str) -> str:
    return (files("latentsr.report") / "page" / name).read_text(encoding="utf-8")


def _policy() -> str:
    hashes = [hashlib.sha256(_asset(name).encode()).digest() for name in SCRIPTS]
    scripts = " ".join(f"'sha256-{base64.b64encode(one).decode('ascii')}'" for one in hashes)
    return (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {scripts}; "
            "base-uri 'none'; form-action 'none'")  # fmt: skip
