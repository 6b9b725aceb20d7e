"""`--memory` and `--region` as a user gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import latentsr
from tiling_cases import assert_same


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> Path:
    """A folder with a stream and its picture by two routes."""
    path = tmp_path_factory.mktemp("tiling")
    Image.fromarray(picture).save(path / "a.png")
    latentsr("encode", "a.png", "-o", "a.lss", cwd=path)
    latentsr("upscale", "a.lss", "-o", "whole.png", cwd=path)
    latentsr("decode", "a.lss", "-o", "low.png", cwd=path)
    return path


def _array(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_memory(folder: Path) -> None:
    done = latentsr("upscale", "a.lss", "-o", "b.tif", "--memory", "24MiB", "--json", cwd=folder)
    facts = json.loads(done.stdout)[0]
    assert (facts["width"], facts["height"]) == (300, 404)
    assert "write" in [stage["kind"] for stage in facts["stages"]]
    assert_same(_array(folder / "b.tif"), _array(folder / "whole.png"))


def test_region(folder: Path) -> None:
    latentsr("upscale", "a.lss", "-o", "r.png", "--region", "10,20,130,40", cwd=folder)
    assert_same(_array(folder / "r.png"), _array(folder / "whole.png")[20:60, 10:140])
    latentsr("decode", "a.lss", "-o", "l.bmp", "--region", "1,2,3,4", cwd=folder)
    assert_same(_array(folder / "l.bmp"), _array(folder / "low.png")[2:6, 1:4])
    latentsr(
        "decode", "a.lss", "-o", "l.png", "--region", "5,0,70,101", "--memory", "9MB", cwd=folder
    )
    assert_same(_array(folder / "l.png"), _array(folder / "low.png")[:, 5:75])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--memory", "lots"), "memory budget is not known: found 'lots'"),
        (("--memory", "1MiB"), "memory budget is too small: found 1 MiB, expected at least"),
        (("--memory", "1GiB", "-o", "x.jpg"), "not written in strips: found '.jpg'"),
        (("--region", "1,2,3"), "region is not known: found '1,2,3'"),
        (("--region", "0,0,301,1"), "region does not lie in the picture: found 0,0,301,1"),
        (("--region", "0,0,0,1"), "region does not lie in the picture"),
    ],
)
def test_bad_input(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = latentsr("upscale", "a.lss", *arguments, cwd=folder, code=2)
    assert message in done.stderr
    assert not (folder / "x.jpg").exists()
