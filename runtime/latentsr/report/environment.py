"""What a report says of machine, versions, settings and timing, as pairs of words."""

from __future__ import annotations

from typing import Any

from latentsr.report.wording import (
    MISSING,
    engine_words,
    mebibytes,
    number,
    percent,
    plural,
)

Pairs = list[tuple[str, str]]


def environment(result: dict[str, Any]) -> dict[str, Pairs]:
    """Groups of pairs: bundle, contenders, machine, versions, settings, timing, load."""
    return {
        "Bundle": _bundle(result["bundle"]),
        "Contenders": _contenders(result["routes"]),
        "Machine": _machine(result["machine"]),
        "Versions": _versions(result),
        "Settings": _settings(result),
        "Timing": _timing(result),
        "Load": _load(result["load"]),
    }


def command_words(result: dict[str, Any]) -> str | None:
    """The command that makes the result again, quoted for a POSIX shell; None where not known."""
    import shlex

    return shlex.join(result["command"]) if result["command"] else None


def _bundle(bundle: dict[str, Any]) -> Pairs:
    return [
        ("name", bundle["name"]),
        ("family", bundle["family"]),
        ("fingerprint", bundle["fingerprint"]),
        ("size", f"{mebibytes(bundle['bytes'])} MiB"),
        ("weights", "random: speed only" if bundle["random_weights"] else "trained"),
    ]


def _contenders(routes: list[dict[str, Any]]) -> Pairs:
    return [(route["name"], f"{route['about']}; {route['runs_on']}") for route in routes]


def _machine(machine: dict[str, Any]) -> Pairs:
    memory = machine["memory_bytes"]
    rate = machine["sgemm"]["gmacs_per_s"]
    return [
        ("processor", machine["cpu"]),
        ("cores", number(machine["cores"])),
        ("instructions", ", ".join(machine["isa"]) or MISSING),
        ("memory", MISSING if memory is None else f"{number(memory / 2**30)} GiB"),
        ("system", machine["system"]),
        ("sgemm", f"{number(rate['p50'])} GMAC/s, deviation {percent(rate['cov'])}"),
    ]


def _versions(result: dict[str, Any]) -> Pairs:
    machine = result["machine"]
    found = {"python": machine["python"]} | machine["versions"]
    for route in result["routes"]:
        found |= route["versions"]
    return [(name, version or "not installed") for name, version in found.items()]


def _settings(result: dict[str, Any]) -> Pairs:
    settings = result["settings"]
    return [
        ("engine", engine_words(result)),
        ("launches", f"{settings['launches']} of all processes"),
        ("rounds", f"{settings['rounds']} a launch, after {settings['warmup']} not counted"),
        ("samples", ", ".join(f"{r['name']} {r['samples']}" for r in result["routes"])),
        ("written as", settings["write"] or "not written"),
        ("excluded", "; ".join(settings["excluded"]) or "nothing"),
    ]


def _timing(result: dict[str, Any]) -> Pairs:
    timer = result["machine"]["timer"]
    shares = [route["stage_share"] for route in result["routes"]]
    costs = [route["timer_share"] for route in result["routes"]]
    return [
        ("clock", f"resolution {timer['resolution_ns']:g} ns"),
        ("cost of a stage", f"{number(timer['stage_cost_us'])} µs"),
        ("timing's share", f"at most {percent(max(costs), 2)} of a call"),
        ("stages cover", f"at least {percent(min(shares), 1)} of a call"),
        ("a call", "from the stream's bytes to the uint8 picture, inside the contender's process"),
    ]


def _load(load: list[dict[str, Any]]) -> Pairs:
    pairs = []
    for count, launch in enumerate(load, start=1):
        said = [
            f"{number(launch.get('seconds'))} s",
            f"others {percent(launch.get('other_share'), 1)}",
            f"stolen {percent(launch.get('stolen_share'), 1)}",
            f"load {number(launch.get('load_average_before'), 2)} → "
            f"{number(launch.get('load_average_after'), 2)}",
            f"{number(launch.get('mhz_before'), 4)} → {number(launch.get('mhz_after'), 4)} MHz",
        ]
        pairs.append((f"launch {count}", ", ".join(said)))
    return pairs or [("launches", plural(0, "launch", "launches"))]
