"""README's tables of the suites, made from benchmarks/results, so that they cannot drift apart.

python benchmarks/readme_numbers.py [--write]

Without --write the text is printed. It stands in README.md between the two markers; a test
compares.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN = "<!-- numbers of the suites, by benchmarks/readme_numbers.py -->\n"
END = "<!-- end of the suites' numbers -->\n"
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the text in README.md")
    text = block()
    if parser.parse_args().write:
        readme = README.read_text(encoding="utf-8")
        README.write_text(replaced(readme, text), encoding="utf-8")
    else:
        print(text)


def replaced(readme: str, text: str) -> str:
    """README with `text` between the markers."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + text + END + rest.split(END)[1]


def block() -> str:
    """All tables, one section for each machine that has results."""
    sections = [section(folder) for folder in sorted(RESULTS.iterdir()) if folder.is_dir()]
    return "\n".join(sections)


def section(folder: Path) -> str:
    """Kodak's table with both backends, then ratios of the demo and of Kodak."""
    kodak, demo = ({b: load(folder, f"{suite}-{b}") for b in ("ort", "openvino")}
                   for suite in ("kodak", "demo"))  # fmt: skip
    first = kodak["ort"]
    machine = first["machine"]
    threads = first["settings"]["threads"]
    rate = [sum(p[key] for p in first["pictures"]) / len(first["pictures"])
            for key in ("bpp", "bpp_output")]  # fmt: skip
    lines = [
        f"{len(first['pictures'])} Kodak pictures as HR originals, coded at a quarter of their "
        f"size, {rate[0]:.3f} bpp ({rate[1]:.4f} per output pixel); {machine['cpu']}, "
        f"{machine['cores']} virtual cores, shared; {threads} threads; from the stream's file to "
        "the uint8 picture, each contender in a process of its own, in turn (`benchmarks/results/"
        f"{folder.name}`):",
        "",
        "| contender | PSNR dB | MS-SSIM | GMACs | p50 ms, ONNX Runtime | p50 ms, OpenVINO | MiB |",
        "|---|---|---|---|---|---|---|",
        *rows(kodak),
        "",
        "| slower | faster | on | times faster, 95 % interval |",
        "|---|---|---|---|",
        *ratios("Kodak", kodak),
        *ratios("demo picture", demo),
        "",
    ]
    return "\n".join(lines)


def load(folder: Path, name: str) -> Result:
    found: Result = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found


def rows(results: dict[str, Result]) -> list[str]:
    """One line a contender: quality, MACs and memory from the first result that has it."""
    by_name = {
        backend: {route["name"]: route for route in result["routes"]}
        for backend, result in results.items()
    }
    found = []
    for name in dict.fromkeys(name for routes in by_name.values() for name in routes):
        each = [routes.get(name) for routes in by_name.values()]
        route = next(r for r in each if r)
        quality = route["quality"] or {}
        cells = [
            f"`{name}`",
            f"{quality['psnr']:.2f}" if quality else "random weights",
            f"{quality['ms_ssim']:.4f}" if quality.get("ms_ssim") else "",
            f"{route['macs'] / 1e9:.2f}" if route["macs"] else "",
            *(f"{r['latency_ms']['p50']:.1f}" if r else "" for r in each),
            f"{route['memory']['peak_bytes'] / 2**20:.0f}",
        ]
        found.append("| " + " | ".join(cells) + " |")
    return found


def ratios(what: str, results: dict[str, Result]) -> list[str]:
    """Every contender that `latent_x4` is faster than."""
    found = []
    for result in results.values():
        engine = next(r for r in result["routes"] if r["name"] == "latent_x4")["runs_on"]
        for ratio in result["ratios"]:
            if ratio["fast"] == "latent_x4":
                interval = f"{ratio['ratio']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"
                place = f"{what}, {'OpenVINO' if 'OpenVINO' in engine else 'ONNX Runtime'}"
                found.append(f"| `{ratio['slow']}` | `latent_x4` | {place} | {interval} |")
    return found


if __name__ == "__main__":
    main()
