"""Numbers and sentences of a report, the same in HTML, Markdown and on the terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

MISSING = "–"
LONGEST_TEXT = 2000
ENGINES = {"ort": "ONNX Runtime", "openvino": "OpenVINO"}


def plain(value: Any) -> Any:
    """A copy of a result whose texts, keys too, hold printable characters only, and not too many.

    What would steer a terminal, turn the direction of writing or break an encoding becomes U+FFFD.
    """
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "\ufffd" for c in value[:LONGEST_TEXT])
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits: 0.0412, 39.5, 1,204; whole numbers exactly."""
    if value is None:
        return MISSING
    if isinstance(value, int):
        return f"{value:,}"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if not 1e-6 <= abs(value) < 1e15:
        return f"{value:.{digits - 1}e}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return fixed(value, max(decimals, 0))


def fixed(value: float | None, decimals: int) -> str:
    """So many decimals, thousands apart."""
    if value is None:
        return MISSING
    return "∞" if math.isinf(value) else f"{value:,.{decimals}f}"


def percent(share: float | None, decimals: int = 0) -> str:
    """A share of 1 in %, with a no-break space."""
    return MISSING if share is None else f"{100 * share:.{decimals}f}\u00a0%"


def milliseconds(value: float) -> str:
    """A time with the unit that suits it: µs, ms or s."""
    if value < 0.1:
        return f"{number(value * 1e3)}\u00a0µs"
    return f"{number(value / 1e3)}\u00a0s" if value >= 1e4 else f"{number(value)}\u00a0ms"


def mebibytes(value: float | None) -> str:
    """Bytes in MiB, without the unit."""
    return MISSING if value is None else number(value / 2**20)


def signed(value: float, decimals: int) -> str:
    """With its sign, and a true minus; never a signed zero."""
    said = f"{value:+.{decimals}f}"
    if not float(said):
        said = said.replace("-", "±").replace("+", "±")
    return said.replace("-", "−")


def ratio_figures(ratio: dict[str, Any]) -> tuple[str, str]:
    """A ratio and its interval, with no more decimals than the interval supports.

    Of a single value, whose level is 0, there is no interval.
    """
    if not ratio["level"]:
        return f"{fixed(ratio['ratio'], 1 if ratio['ratio'] < 10 else 0)}×", "none"
    half = max((ratio["high"] - ratio["low"]) / 2, 1e-4)
    decimals = min(max(math.floor(-math.log10(half)) + 1, 1 if ratio["ratio"] < 10 else 0), 3)
    low, high = fixed(ratio["low"], decimals), fixed(ratio["high"], decimals)
    return f"{fixed(ratio['ratio'], decimals)}×", f"{low}–{high}"


def speed_only(result: dict[str, Any], route: dict[str, Any]) -> bool:
    """Whether a contender's weights are random, so that its pictures mean nothing."""
    ours = route["kind"] == "route" and result["bundle"]["random_weights"]
    return bool(route["random_weights"] or ours)


def quality_of(result: dict[str, Any], route: dict[str, Any]) -> dict[str, float | None]:
    """Mean quality of a contender; empty where it has none or its weights are random."""
    return {} if speed_only(result, route) else route["quality"] or {}


def size_words(result: dict[str, Any]) -> str:
    """How many pictures of what size, as they come out."""
    pictures = result["pictures"]
    sizes = {(p["width"], p["height"]) for p in pictures}
    count = plural(len(pictures), "picture")
    if len(sizes) > 2:
        megapixels = [w * h / 1e6 for w, h in sizes]
        return f"{count} of {number(min(megapixels), 2)} to {number(max(megapixels), 2)} MP"
    return f"{count}, {' and '.join(f'{w} × {h}' for w, h in sorted(sizes))}" if sizes else count


def engine_words(result: dict[str, Any]) -> str:
    """Engine library, device, threads and precision as asked for, and where the routes ran."""
    settings = result["settings"]
    threads = settings["threads"]
    count = "threads as the library chooses" if threads is None else plural(threads, "thread")
    engine = ENGINES.get(settings["backend"], settings["backend"])
    found = {route["runs_on"] for route in result["routes"] if route["kind"] == "route"}
    really = f" ({', '.join(sorted(found))})" if found else ""
    precision = settings.get("precision", "fp32")  # results from before it was said have none
    low = "" if precision == "fp32" else f", {precision.upper()}"
    return f"{engine} on {settings['device'].upper()}{really}, {count}{low}"


def when(created: str) -> str:
    """A time in UTC, as ``2026-05-04 12:30 UTC``; the text itself where it is no ISO time."""
    try:
        return f"{datetime.fromisoformat(created).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return created


def warning_lines(result: dict[str, Any]) -> list[str]:
    """The warnings; one that several contenders share is said once, with all their names."""
    names = {route["name"] for route in result["routes"]}
    owners: dict[str, list[str]] = {}
    for warning in result["warnings"]:
        name, colon, said = warning.partition(": ")
        owned = colon and name in names
        owners.setdefault(said if owned else warning, []).extend([name] if owned else [])
    return [f"{', '.join(who)}: {said}" if who else said for said, who in owners.items()]


def plural(count: float, one: str, many: str = "") -> str:
    """As ``2 threads``; `many` where it is not `one` with an s."""
    return f"{count:g} {one if count == 1 else many or one + 's'}"


def conditions(result: dict[str, Any]) -> list[str]:
    """Under which conditions the ratios hold, in a few parts."""
    machine, settings = result["machine"], result["settings"]
    cores = f", {plural(machine['cores'], 'core')}" if machine["cores"] else ""
    return [
        _bytes_words(result),
        engine_words(result),
        f"{machine['cpu']}{cores}",
        size_words(result),
        f"{plural(settings['launches'], 'launch', 'launches')} of "
        f"{plural(settings['rounds'], 'round')}, paired within rounds",
    ]


def _bytes_words(result: dict[str, Any]) -> str:
    """Whether all contenders read the same bytes, or some of them files of their own."""
    streams = [picture["bytes"] for picture in result["pictures"]]
    own = [
        route["name"]
        for route in result["routes"]
        if [picture["bytes"] for picture in route["pictures"]] != streams
    ]
    return f"same bytes for all but {', '.join(own)}" if own else "same bytes for all"
