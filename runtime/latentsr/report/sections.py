"""The sections of the HTML report, each from the result alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from latentsr.report import tables
from latentsr.report.charts import (
    distributions,
    latency_by_size,
    ratio_intervals,
    scatter,
    series_class,
)
from latentsr.report.environment import command_words, environment
from latentsr.report.headlines import Headline, headlines, subject_name
from latentsr.report.markup import Part, Safe, join, tag
from latentsr.report.points import quality_latency, rate_distortion, series_of
from latentsr.report.stage_chart import kind_class, kinds_used, stage_bars
from latentsr.report.wording import conditions, milliseconds, plural, warning_lines, when

WIDE, NARROW = 1008.0, 328.0
Chart = Callable[[float], Safe]


def warnings(result: dict[str, Any]) -> Safe:
    """All warnings, in sight; nothing where there are none."""
    found = warning_lines(result)
    if not found:
        return Safe("")
    title = f"Read with care: {plural(len(found), 'warning')}"
    return tag("aside", tag("h2", title), tag("ul", *(tag("li", one) for one in found)),
               class_=f"warnings{' many' if len(found) > 4 else ''}")  # fmt: skip


def headline_cards(result: dict[str, Any]) -> Safe:
    """The subject's ratios as cards, and under which conditions they hold."""
    cards = [_card(one, number == 0) for number, one in enumerate(headlines(result))]
    if not cards:
        return tag("p", "No two contenders give pictures of one size, so there are no ratios.")
    return join(
        tag("div", *cards, class_="cards"),
        tag("p", f"Conditions: {'; '.join(conditions(result))}.", class_="note"),
    )


def _card(one: Headline, lead: bool) -> Safe:
    facts = [(f"{one.level} interval", one.interval), ("medians", one.times),
             ("quality", one.quality)]  # fmt: skip
    if one.doubt:
        facts.append(("note", f"{one.doubt}: no difference shown"))
    who = tag("p", tag("b", one.subject), " ", one.verb,
              f" {one.figure} {one.relation} ", tag("b", one.other), class_="who")  # fmt: skip
    listed = [join(tag("dt", key), tag("dd", value)) for key, value in facts]
    return tag("div", tag("strong", one.figure, aria_hidden="true"), who, tag("dl", *listed),
               class_="card lead" if lead else "card")  # fmt: skip


def contenders(result: dict[str, Any]) -> Safe:
    """The main table, and all ratios."""
    parts = [table(tables.contenders(result), result)]
    if result["ratios"]:
        parts += [
            figure("Every pair, the slower over the faster",
                   lambda width: ratio_intervals(result["ratios"], width)),
            table(tables.ratios(result), None),
            tag("p", "Quality is that of the faster one less that of the slower.", class_="note"),
        ]  # fmt: skip
    return join(*parts)


def stages(result: dict[str, Any]) -> Safe:
    """Bars, absolute and relative, and a table for each contender."""
    routes = result["routes"]
    legend = tag("ul", *(tag("li", swatch(kind_class(kind)), kind if kind != "other" else
                             "between stages or other") for kind in kinds_used(routes)),
                 class_="legend")  # fmt: skip
    details = []
    for route in routes:
        said = tag("span", f"{milliseconds(route['latency_ms']['p50'])}, {route['about']}",
                   class_="soft")  # fmt: skip
        own = route["name"] == subject_name(result)
        details.append(tag("details", tag("summary", route["name"], said),
                           table(tables.stages(route), None), open=own))  # fmt: skip
    rate = result["machine"]["sgemm"]["gmacs_per_s"]["p50"]
    return join(
        legend,
        figure("Time", lambda width: stage_bars(routes, width, relative=False)),
        figure("Share of the call", lambda width: stage_bars(routes, width, relative=True)),
        *details,
        tag("p", f"“of sgemm” is the stage's rate over that of a large matrix product on the "
            f"same threads, {rate:.0f} GMAC/s here.", class_="note"),
    )  # fmt: skip


def latency(result: dict[str, Any]) -> Safe:
    """Distributions of all rounds."""
    return join(
        tag("p", "Each dot is one round, the mean over the pictures; each line of dots is one "
            "start of all processes. The band holds the middle half, the bar is the median."),
        figure("Every round", lambda width: distributions(result["routes"], width)),
    )  # fmt: skip


def sizes(result: dict[str, Any]) -> Safe:
    """Latency against size, where it was measured."""
    return join(
        figure("Median time", lambda width: latency_by_size(result["routes"], width)),
        table(tables.sizes(result), result),
    )


def quality(results: Sequence[dict[str, Any]]) -> Safe:
    """Scatters of quality, rate and time; further results are drawn hollow."""
    result = results[0]
    half: list[Safe] = []
    for key, title in (("psnr", "PSNR in dB"), ("ms_ssim", "MS-SSIM")):
        points = rate_distortion(results, key)
        if points:
            half.append(figure("Rate and distortion", lambda w, p=points, t=title:
                               scatter(p, w, "bpp of the output", t), NARROW))  # type: ignore[misc] # fmt: skip
    timed = quality_latency(results)
    if timed:
        half.append(figure("Quality and time", lambda w: scatter(
            timed, w, "p50 ms, logarithmic", "mean PSNR in dB", True), NARROW))  # fmt: skip
    names = {p.series for p in timed}
    legend = [tag("li", swatch(series_class(n)), name)
              for name, n in series_of(results).items() if n in names]  # fmt: skip
    notes = []
    if len(results) > 1:
        notes.append("Hollow marks are of the further results below.")
    if any(_measured_on(other) != _measured_on(result) for other in results):
        notes.append("The results were measured on different pictures: compare with care.")
    return join(
        tag("ul", *legend, class_="legend") if legend else None,
        tag("div", *half, class_="trio") if half else None,
        table(tables.quality(result), result),
        table(tables.pictures(result), None),
        *(tag("p", note, class_="note") for note in notes),
    )


def _measured_on(result: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(p["name"], p["width"], p["height"]) for p in result["pictures"]]


def resources(result: dict[str, Any]) -> Safe:
    """Throughput, memory, cold start."""
    shown = tables.throughput(result)
    return join(
        tag("h3", shown.title), table(shown, result),
        tag("h3", "Memory and cold start"), table(tables.memory(result), result),
        tag("p", "Process: from its start until our code runs. Load: bundle and engines. "
            "Medians over launches; memory is the largest resident set.", class_="note"),
    )  # fmt: skip


def environment_groups(result: dict[str, Any]) -> Safe:
    """What it ran on, and how to run it again."""
    groups = []
    for name, pairs in environment(result).items():
        listed = [join(tag("dt", key), tag("dd", value)) for key, value in pairs]
        groups.append(tag("div", tag("h3", name), tag("dl", *listed)))
    words = command_words(result)
    command = tag("pre", tag("code", words)) if words else tag("p", "The command is not known.")
    return join(
        tag("div", *groups, class_="groups"), tag("h3", "Measure again"), command,
        tag("button", "Save the result as JSON", type="button", id="save", hidden=True),
    )  # fmt: skip


def further(result: dict[str, Any]) -> Safe:
    """One more result: its conditions, contenders and ratios."""
    return join(
        warnings(result),
        tag("p", f"{'; '.join(conditions(result))}; {when(result['created'])}", class_="note"),
        table(tables.contenders(result), None),
        table(tables.ratios(result), None) if result["ratios"] else None,
    )


def swatch(class_: str) -> Safe:
    """A spot of a series' or kind's colour."""
    return tag("span", class_=f"swatch {class_}")


def figure(title: str, draw: Chart, wide: float = WIDE) -> Safe:
    """A chart drawn for desktops and for phones; the page shows the one that fits."""
    if wide == NARROW:
        return tag("figure", tag("figcaption", title), draw(NARROW))
    return tag("figure", tag("figcaption", title), tag("div", draw(wide), class_="wide"),
               tag("div", draw(NARROW), class_="narrow"))  # fmt: skip


def table(shown: tables.Table, result: dict[str, Any] | None) -> Safe:
    """A table that scrolls by itself; `result` gives each contender's row its colour."""
    if not shown.rows:
        return Safe("")
    series = series_of([result]) if result else {}
    subject = subject_name(result) if result else None

    def kind(column: int) -> str | None:
        return "word" if column < shown.words else None

    heads = [tag("th", one, scope="col", class_=kind(n)) for n, one in enumerate(shown.heads)]
    rows = []
    for row in shown.rows:
        spot: Part = swatch(series_class(series[row[0]])) if row[0] in series else None
        first = tag("th", spot, row[0], scope="row", class_="word")
        cells = [tag("td", one, class_=kind(n)) for n, one in enumerate(row) if n]
        rows.append(tag("tr", first, *cells, class_="subject" if row[0] == subject else None))
    inner = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    return join(
        tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=shown.title),
        *(tag("p", note, class_="note") for note in shown.notes),
    )
