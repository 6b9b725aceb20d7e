"""Short trainings of every recipe, one after the other; what is finished is not done again.

python benchmarks/short_runs.py PICTURE_FOLDERS... --demo DIR --out DIR [--only NAMES] [--threads 1]

Each run writes NAME.pth and logs/NAME.txt, whose lines are its learning curve; an interrupted one
goes on where it last saved. --demo: folder with the demo's codec.pth, latent_sr.pth and edsr.pth,
from which the codecs of two more rates begin. `learning.py` measures what comes out. The whole
list takes about five hours on one core of a CPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SELECTIVE = "--share 0.5 --batch 4 --crop 128 --steps 5000"
LARGER = "--share 0.5 --batch 4 --crop 256 --bfloat16"
BASE = f"{LARGER} --steps 6000 --rate 5e-4"
FINE = f"{LARGER} --steps 3000 --rate 1e-4"
PAIR = "--crop 128 --bfloat16"
JPEG = "--scale 2 --features 32 --blocks 6 --batch 4 --rate 4e-4 --steps 3000"
CAR = "--car-features 32 --car-layers 8"
RATE = "--steps 1800 --rate 3e-4 --start {demo}/codec.pth"
AFTER = "--steps 1000 --rate 2e-4 --bfloat16"
RUNS = {
    "suzuki-first": f"selective {SELECTIVE} --without residual",
    "suzuki-second": f"selective {SELECTIVE} --without residual --start {{out}}/suzuki-first.pth",
    "suzuki-base": f"selective {BASE} --without residual --start {{out}}/suzuki-second.pth",
    "suzuki-plain-first": f"selective {SELECTIVE} --without both",
    "suzuki-plain-second": f"selective {SELECTIVE} --without both "
    "--start {out}/suzuki-plain-first.pth",
    "suzuki-plain-base": f"selective {BASE} --without both --start {{out}}/suzuki-plain-second.pth",
    "suzuki": f"selective {FINE} --residual-rate 1e-3 --start {{out}}/suzuki-base.pth",
    "suzuki-nores": f"selective {FINE} --without residual --start {{out}}/suzuki-base.pth",
    "suzuki-nomask": f"selective {FINE} --residual-rate 1e-3 --without mask "
    "--start {out}/suzuki-plain-base.pth",
    "low": f"codec {RATE} --weight 0.006",
    "high": f"codec {RATE} --weight 0.08",
    **{
        f"latent-{rate}": f"latent_sr {AFTER} --codec {{out}}/{rate}.pth "
        "--start {demo}/latent_sr.pth"
        for rate in ("low", "high")
    },
    **{
        f"edsr-{rate}": f"pixel_sr {AFTER} --codec {{out}}/{rate}.pth --start {{demo}}/edsr.pth "
        "--features 64 --blocks 8"
        for rate in ("low", "high")
    },
    "car4-bicubic": f"resampler {PAIR} --scale 4 --steps 2000 --bicubic",
    "car4-bicubic-second": f"resampler {PAIR} --scale 4 --steps 4000 --bicubic "
    "--start {out}/car4-bicubic.pth",
    "car4-bicubic-third": f"resampler {PAIR} --scale 4 --steps 4000 --rate 6e-4 --bicubic "
    "--start {out}/car4-bicubic-second.pth",
    "car4-first": f"resampler {PAIR} --scale 4 --steps 4000 --start {{out}}/car4-bicubic.pth",
    "car4": f"resampler {PAIR} --scale 4 --steps 4000 --rate 6e-4 --start {{out}}/car4-first.pth",
    "car2": f"resampler {PAIR} --scale 2 --steps 2000",
    "lee": "codec --steps 3000 --window 32 --features 64 --latent 96",
    **{f"jin{quality}": f"jpeg_sr --quality {quality} {JPEG} {CAR}" for quality in (10, 20, 30)},
    "jin10-alone": f"jpeg_sr --quality 10 {JPEG} --alone",
}


def command(name: str, given: argparse.Namespace) -> list[str]:
    """One run as a process's arguments."""
    recipe, *words = RUNS[name].format(demo=given.demo, out=given.out).split()
    out = given.out / f"{name}.pth"
    resume = ["--resume"] if out.with_name(out.name + ".resume").exists() else []
    return [
        sys.executable, "-W", "ignore", "-m", f"latentsr_export.train.{recipe}", *words,
        "--pictures", *given.pictures, "--out", str(out), "--threads", str(given.threads), *resume,
    ]  # fmt: skip


def missing(given: argparse.Namespace) -> Iterator[str]:
    """Runs that are wanted and have not ended."""
    for name in RUNS:
        if (not given.only or name in given.only) and not (given.out / f"{name}.done").exists():
            yield name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(RUNS))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    (given.out / "logs").mkdir(parents=True, exist_ok=True)
    for name in list(missing(given)):
        print(name, flush=True)
        # Progress lines come on stderr; a resumed run's go on where the earlier ones ended.
        with (given.out / "logs" / f"{name}.txt").open("a") as log:
            subprocess.run(command(name, given), stderr=log, check=True, env=os.environ)
        (given.out / f"{name}.done").touch()


if __name__ == "__main__":
    main()
