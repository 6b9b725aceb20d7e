"""The command line as a user runs it: results, JSON, folders, and bad input with exit code 2."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import latentsr


@pytest.fixture()
def folder(tmp_path: Path, picture: np.ndarray) -> Path:
    """A folder with three small pictures."""
    for number in range(3):
        Image.fromarray(np.roll(picture, 9 * number, 0)[:40, :50]).save(tmp_path / f"{number}.png")
    return tmp_path


def test_encode_decode_upscale_inspect(folder: Path) -> None:
    encoded = latentsr("encode", "0.png", "-o", "a.lss", "--json", cwd=folder)
    facts = json.loads(encoded.stdout)[0]
    assert facts["bytes"] == (folder / "a.lss").stat().st_size
    assert facts["bpp"] == pytest.approx(8 * facts["bytes"] / 2000)
    last = latentsr("decode", "a.lss", "-o", "lr.png", cwd=folder).stdout.splitlines()[-1]
    assert last.startswith(f"lr.png: {(folder / 'lr.png').stat().st_size} bytes")
    latentsr("upscale", "a.lss", cwd=folder)
    with Image.open(folder / "a_latent_x4.png") as image:
        assert image.size == (200, 160)
    header = json.loads(latentsr("inspect", "a.lss", "--json", cwd=folder).stdout)
    assert header["size"] == "50x40" and header["padding"] == [0, 0, 14, 24]
    assert "parity" in latentsr("inspect", "demo", cwd=folder).stdout


def test_as_a_module(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "latentsr", "inspect", "nothing.lss"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("error: ")


def test_files_of_compressai(folder: Path) -> None:
    latentsr("encode", "0.png", "1.png", "--format", "compressai", "-o", "files", cwd=folder)
    assert sorted(p.name for p in (folder / "files").iterdir()) == ["0.bin", "1.bin"]
    latentsr("decode", "files", "--format", "compressai", cwd=folder)
    latentsr("upscale", "files/1.bin", "--format", "compressai", cwd=folder)
    with Image.open(folder / "files" / "0.png") as decoded, Image.open(folder / "0.png") as given:
        difference = np.abs(np.asarray(decoded, float) - np.asarray(given.convert("RGB"), float))
        assert decoded.size == given.size and difference.mean() < 12
    with Image.open(folder / "files" / "1_latent_x4.png") as image:
        assert image.size == (200, 160)
    done = latentsr("decode", "0.png", "--format", "compressai", cwd=folder, code=2)
    assert "not a file of CompressAI" in done.stderr


def test_decoding_does_not_cost_the_photograph(folder: Path) -> None:
    """Streams and pictures lie beside what they are made of: the names meet there."""
    photograph = (folder / "0.png").read_bytes()
    latentsr("encode", "0.png", "1.png", cwd=folder)
    (folder / "1.png").unlink()
    done = latentsr("decode", "0.lss", "1.lss", cwd=folder, code=2)
    assert "output is there already: found 0.png" in done.stderr
    assert (folder / "0.png").read_bytes() == photograph and (folder / "1.png").exists()
    for _ in range(2):
        latentsr("upscale", "0.lss", cwd=folder)  # a name that says what it is
    latentsr("decode", "0.lss", "-o", "0.png", cwd=folder)
    assert (folder / "0.png").read_bytes() != photograph


def test_a_slash_at_the_end_means_a_folder(folder: Path) -> None:
    latentsr("encode", "0.png", "-o", "new/streams/", cwd=folder)
    assert [path.name for path in (folder / "new" / "streams").iterdir()] == ["0.lss"]
    done = latentsr("encode", "0.png", "-o", "1.png/", cwd=folder, code=2)
    assert "output cannot be written: found File exists at 1.png" in done.stderr


def test_folders_and_globs_go_on_after_a_bad_file(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"\x89PNG no")
    done = latentsr("encode", "*.png", "-o", "out", "--json", cwd=folder, code=2)
    results = json.loads(done.stdout)
    assert [Path(r["input"]).name for r in results] == ["0.png", "1.png", "2.png"]
    assert ["error" in r for r in results] == [False, True, False]
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["0.lss", "2.lss"]
    (folder / "out" / "bad.lss").write_bytes(b"LSR\x01")
    latentsr("decode", "out", "-o", "pictures", cwd=folder, code=2)
    assert sorted(p.name for p in (folder / "pictures").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decode", "none.lss"], "No such file"),
        (["decode", "0.png"], "not a latentsr stream"),
        (["encode", "text.png"], "picture"),
        (["encode", "wide.png"], "found 65536"),
        (["encode", "empty"], "folder has no input"),
        (["encode", "0.png", "-m", "none.lsr"], "no bundle there"),
        (["encode", "0.png", "-m", "newer.lsr"], "newer format"),
        (["encode", "0.png", "-o", "missing/0.lss"], "cannot be written"),
        (["encode", "0.png", "--backend", "abacus"], "expected one of ort"),
        (["upscale", "a.lss", "--route", "x9"], "expected one of"),
        (["inspect", "text.png"], "not a latentsr stream"),
        (["inspect", "empty"], "not a bundle"),
        (["demo", "--image", "text.png"], "picture"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "text.png").write_text("hello")
    (folder / "empty").mkdir()
    (folder / "newer.lsr").mkdir()
    newer = {"format": "latentsr-bundle", "format_version": 99}
    (folder / "newer.lsr" / "manifest.json").write_text(json.dumps(newer))
    Image.new("RGB", (65536, 1)).save(folder / "wide.png")
    before = {p for p in folder.rglob("*") if p.is_file()}
    done = latentsr(*arguments, cwd=folder, code=2)
    assert message in " ".join(done.stderr.split())
    assert {p for p in folder.rglob("*") if p.is_file()} == before


def test_demo(folder: Path) -> None:
    Image.effect_noise((220, 201), 60).convert("RGB").save(folder / "own.png")
    done = latentsr("demo", "--image", "own.png", "--out", "d", "--json", cwd=folder)
    facts = json.loads(done.stdout)
    assert set(facts["routes"]) == {"latent_x4", "pixel_x4", "bicubic"}
    for route in facts["routes"].values():
        assert set(route) == {"psnr", "ms_ssim", "ms", "macs", "stages"}
        assert route["ms"] == pytest.approx(sum(stage["ms"] for stage in route["stages"]))
    assert facts["bytes"] == (folder / "d" / "stream.lss").stat().st_size
    with Image.open(folder / "d" / "latent_x4.png") as image:
        assert image.size == (220, 200)
    assert (folder / "d" / "side_by_side.png").is_file()


def test_a_demo_of_equal_pictures_leaves_no_infinity_in_json() -> None:
    from latentsr.report.demo import Demo, Outcome

    picture = np.zeros((4, 4, 3), np.uint8)
    outcome = Outcome(picture, float("inf"), None, 1.0, 0, [])
    found = Demo(picture, picture[:1, :1], b"x", ".lss", picture, 1.0, [], {"it": outcome})
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["routes"]["it"]["psnr"] is None


def test_version_and_help(tmp_path: Path) -> None:
    import latentsr as package

    assert latentsr("--version", cwd=tmp_path).stdout.strip() == f"latentsr {package.__version__}"
    for name in ("export", "encode", "decode", "upscale", "inspect", "demo"):
        assert name in latentsr("--help", cwd=tmp_path).stdout


def test_a_copied_bundle_is_as_good_as_demo(folder: Path) -> None:
    from latentsr.bundle import DEMO

    shutil.copytree(DEMO, folder / "mine.lsr")
    latentsr("encode", "0.png", "-m", "mine.lsr", "-o", "a.lss", cwd=folder)
    latentsr("decode", "a.lss", "-m", "demo", "-o", "a.png", cwd=folder)
