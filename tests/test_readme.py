"""The README's examples run as written, and CI runs the README's two commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = [(kind, text) for kind, text in BLOCK.findall(README.read_text(encoding="utf-8"))]
EXAMPLES = [(kind, text) for kind, text in BLOCKS if "pip install" not in text]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name; examples run there one after another."""
    torch = pytest.importorskip("torch", reason="the examples export a checkpoint")
    models = pytest.importorskip("compressai.models", reason="the examples export a checkpoint")
    from latentsr.bundle import DEMO
    from latentsr_export.networks.edsr import EDSR
    from latentsr_export.networks.latent_sr import LatentSR

    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(DEMO.parent / "coffee.png", folder / "photo.png")
    torch.manual_seed(0)
    for name, network in {
        "codec.pth": models.ScaleHyperprior(16, 24),
        "latent_sr.pth": LatentSR(24),
        "edsr.pth": EDSR(16, 2, 4),
    }.items():
        torch.save(network.state_dict(), folder / name)
    return folder


@pytest.mark.parametrize(("kind", "text"), EXAMPLES, ids=[t.split("\n")[0] for _, t in EXAMPLES])
def test_example(place: Path, kind: str, text: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-ec", text]
    environment = {**os.environ, "PATH": path, "LATENTSR_CACHE": str(place / "cache")}
    done = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_there_are_examples_of_both_kinds() -> None:
    assert {kind for kind, _ in EXAMPLES} == {"sh", "python"}


def test_ci_runs_the_two_commands(repository: Path) -> None:
    setup = [text for kind, text in BLOCKS if "pip install" in text][:2]
    script = (repository / ".ci" / "run").read_text(encoding="utf-8")
    for text in setup:
        for part in re.split(r"&&|\n", text):
            # CI puts its environment and the demo's output into a temporary folder.
            if part.strip() and ".venv" not in part:
                assert part.strip() in script, part


def test_the_suites_numbers_are_those_of_the_results(repository: Path) -> None:
    sys.path.insert(0, str(repository / "benchmarks"))
    try:
        import readme_numbers
    finally:
        sys.path.pop(0)
    text = README.read_text(encoding="utf-8")
    assert readme_numbers.replaced(text, readme_numbers.block()) == text, (
        "run: python benchmarks/readme_numbers.py --write"
    )
