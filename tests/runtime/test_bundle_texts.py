"""What a bundle or a file of others says is printed as text, and names no file outside a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

from command_line import latentsr
from latentsr.bundle import DEMO, Bundle
from latentsr.errors import BundleError
from latentsr.image import save_rgb8
from latentsr.report import verify_file

# Closing tags that nothing opened end rich's markup in an exception; the rest steers a terminal.
ODD = "[b]x[/b][/c] \x1b[31m\x1b]0;title\x07:smile:"
# In names of routes neither slashes nor control characters are allowed.
ODD_ROUTE = "[b]x :smile:"


def change(folder: Path, act: Callable[[dict[str, Any]], object]) -> str:
    shutil.copytree(DEMO, folder / "odd.lsr")
    manifest = folder / "odd.lsr" / "manifest.json"
    said = json.loads(manifest.read_text())
    act(said)
    manifest.write_text(json.dumps(said))
    return "odd.lsr"


def odd_texts(said: dict[str, Any]) -> None:
    said["name"] = said["codec"]["channels"] = ODD
    said["random_weights"] = True
    said["assumptions"] = [ODD]
    said["preset"] = {"name": ODD, "paper": ODD}
    said["routes"][ODD_ROUTE] = said["routes"]["bicubic"]
    for graph in said["graphs"].values():
        graph["parameters"] = ODD


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "odd.lsr"),
        ("demo", "-m", "odd.lsr", "--image", "a.png"),
        ("profile", "odd.lsr", "a.png", "--runs", "1", "--route", ODD_ROUTE),
        ("bench", "odd.lsr", "a.png", "--routes", f"{ODD_ROUTE},bicubic", "--launches", "1",
         "--iterations", "1", "--burst", "1", "--batch", ""),
        ("evaluate", "odd.lsr", "a.png", "--routes", f"{ODD_ROUTE},bicubic"),
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_texts_of_a_bundle_stay_texts(tmp_path: Path, command: tuple[str, ...]) -> None:
    change(tmp_path, odd_texts)
    save_rgb8(np.full((32, 32, 3), 90, np.uint8), tmp_path / "a.png")
    said = latentsr(*command, cwd=tmp_path).stdout
    assert (
        "\x1b" not in said and "\x07" not in said and "\N{SMILING FACE WITH OPEN MOUTH}" not in said
    )
    assert "[b]x" in said and ":smile:" in said
    assert "random" in said or command[0] == "profile"  # which is of speed alone


def test_names_in_a_file_for_verify_stay_texts(tmp_path: Path) -> None:
    save_rgb8(np.full((16, 16, 3), 90, np.uint8), tmp_path / "a.png")
    latentsr("verify", "demo", "a.png", "--save", "v", cwd=tmp_path)
    encoded = verify_file.read(tmp_path / "v")
    verify_file.write(tmp_path / "odd", {ODD: next(iter(encoded.values()))})
    said = latentsr("verify", "demo", "a.png", "--with", "odd", cwd=tmp_path).stdout
    assert "\x1b" not in said and "[b]x[/b][/c]" in said


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a\\b", "a\nb", "\x1b[2J", ""])
def test_routes_that_name_other_folders_are_refused(tmp_path: Path, name: str) -> None:
    bundle = change(tmp_path, lambda said: said["routes"].update({name: said["routes"]["bicubic"]}))
    with pytest.raises(BundleError, match="unsafe route"):
        Bundle(tmp_path / bundle)
