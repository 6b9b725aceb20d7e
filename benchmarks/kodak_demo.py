"""The demo over a folder of HR pictures: rate, quality and time of each ×4 route, and the means.

python benchmarks/kodak_demo.py FOLDER [--bundle demo] [--backend ort] [--threads 2] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from machine import describe_machine

import latentsr
from latentsr.files import PICTURES, expand
from latentsr.image import to_rgb8
from latentsr.report.demo import ROUTES, run_demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    with latentsr.load(given.bundle, given.backend, threads=given.threads) as codec:
        for path in expand([given.folder], PICTURES):
            demo = run_demo(codec, to_rgb8(path), ROUTES, given.repeats)
            rows.append({"picture": path.name, **demo.as_dict()})
            print(path.name, line(rows[-1]), flush=True)
    mean = means(rows)
    print(f"mean of {len(rows)}", line(mean))
    if given.out:
        result = {"machine": describe_machine(), "bundle": given.bundle,
                  "backend": given.backend, "threads": given.threads,
                  "repeats": given.repeats, "mean": mean, "pictures": rows}  # fmt: skip
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over pictures; of times, the median over pictures."""
    routes = {}
    for name in rows[0]["routes"]:
        cells = [row["routes"][name] for row in rows]
        routes[name] = {
            "psnr": statistics.mean(cell["psnr"] for cell in cells),
            "ms_ssim": statistics.mean(cell["ms_ssim"] for cell in cells),
            "ms": statistics.median(cell["ms"] for cell in cells),
            "macs": statistics.mean(cell["macs"] for cell in cells),
        }
    rate = {key: statistics.mean(row[key] for row in rows) for key in ("bpp", "bpp_output")}
    encode = {"ms": statistics.median(row["encode"]["ms"] for row in rows)}
    return {**rate, "encode": encode, "routes": routes}


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    cells = [
        f"{name} {r['psnr']:.2f} dB {r['ms_ssim']:.4f} {r['ms']:.1f} ms"
        for name, r in row["routes"].items()
    ]
    return f"{row['bpp']:.3f} bpp ({row['bpp_output']:.4f} per output pixel); " + "; ".join(cells)


if __name__ == "__main__":
    main()
