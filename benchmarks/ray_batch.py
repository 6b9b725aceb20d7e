"""Many streams over Ray workers, one of which is killed: are all pictures there, once, the same?

python benchmarks/ray_batch.py [--streams 200] [--workers 2] [--side 96] [--out JSON]

Streams of crops of the shipped picture go through `latentsr batch --ray local`, and through
`latentsr upscale`, which is what they are compared with. A quarter on the way one worker's process
is killed. Needs `pip install 'latentsr[ray]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from soak import crops

import latentsr

COMMAND = Path(sys.executable).with_name("latentsr")
RESULT = Path(__file__).parent / "results" / "ray_batch.json"


def write_streams(folder: Path, count: int, side: int) -> None:
    folder.mkdir()
    pictures = crops(count, side, np.random.default_rng(7))
    with latentsr.load("demo") as codec:
        for number, stream in enumerate(codec.encode_many(pictures)):
            (folder / f"{number:04}.lss").write_bytes(stream)


def locally(folder: Path, out: Path) -> float:
    start = time.perf_counter()
    command = [str(COMMAND), "upscale", str(folder), "-o", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def over_workers(folder: Path, out: Path, workers: int, kill_at: int) -> tuple[float, list[Any]]:
    """Seconds, start of the cluster included, and the result lines; kills a worker on the way."""
    command = [str(COMMAND), "batch", str(folder), "-o", str(out), "--ray", "local",
               "--workers", str(workers), "--jsonl"]  # fmt: skip
    start = time.perf_counter()
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for text in running.stdout:
            lines.append(json.loads(text))
            if len(lines) == kill_at:
                os.kill(int(lines[-1]["worker"].split(":")[1]), signal.SIGKILL)
    if running.returncode:
        raise SystemExit(f"latentsr batch ended with exit code {running.returncode}")
    return time.perf_counter() - start, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder, here, there = (Path(work) / name for name in ("in", "here", "there"))
        write_streams(folder, given.streams, given.side)
        local_s = locally(folder, here)
        ray_s, lines = over_workers(folder, there, given.workers, given.streams // 4)
        names = sorted(path.name for path in here.iterdir())
        found = sorted(path.name for path in there.iterdir())
        same = sum((here / n).read_bytes() == (there / n).read_bytes() for n in names if n in found)
    result = {
        "machine": describe_machine("ray"), "streams": given.streams, "workers": given.workers,
        "killed_after": given.streams // 4,
        "outputs": len(found), "names_as_expected": names == found,
        "byte_equal_to_local": same, "reported_once": len({line["output"] for line in lines}),
        "pictures_by_worker": sorted(Counter(line["worker"] for line in lines).values()),
        "seconds": {"local": round(local_s, 1), "ray_with_start": round(ray_s, 1)},
    }  # fmt: skip
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
