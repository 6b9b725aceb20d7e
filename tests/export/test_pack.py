"""Where bundles go: links, names, what else lies there, and exports that are ended halfway."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai.models", reason="the exporter needs compressai")

from PIL import Image  # noqa: E402

from codec_cases import exported, made  # noqa: E402
from command_line import started  # noqa: E402
from latentsr.bundle import Bundle  # noqa: E402
from latentsr.errors import ExportError  # noqa: E402
from latentsr_export.pack import check_target, write_bundle  # noqa: E402


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    picture = np.zeros((32, 48, 3), np.uint8)
    folder = tmp_path_factory.mktemp("pack")
    return exported(folder / "a.lsr", made("bmshj2018-factorized"), picture)


def _write(bundle: Bundle, path: Path) -> Bundle:
    made_here = ("format", "format_version", "files")
    manifest = {k: v for k, v in bundle.manifest.raw.items() if k not in made_here}
    graphs = {name: bundle.graph(name) for name in bundle.manifest.graphs}
    return write_bundle(path, manifest, graphs, bundle.tensors)


def _content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_links_lead_to_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    _write(bundle, tmp_path / "real.lsr")
    (tmp_path / "real.lsr" / "manifest.json").write_text("damaged")
    for target in ("real.lsr", "new.lsr"):
        (tmp_path / "link.lsr").symlink_to(tmp_path / target)
        _write(bundle, tmp_path / "link.lsr")
        assert (tmp_path / "link.lsr").is_symlink()
        assert _content(tmp_path / target) == _content(bundle.path)
        (tmp_path / "link.lsr").unlink()
    assert {path.name for path in tmp_path.iterdir()} == {"real.lsr", "new.lsr"}


@pytest.mark.parametrize("name", ["codec.pth", "graphs/notes.txt", ".git/config"])
def test_what_else_lies_in_a_bundle_is_kept(bundle: Bundle, tmp_path: Path, name: str) -> None:
    _write(bundle, tmp_path / "a.lsr")
    own = tmp_path / "a.lsr" / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")
    first = Path(name).parts[0]
    for call in (check_target, lambda path: _write(bundle, path)):
        with pytest.raises(ExportError, match=f"place is taken: found {first}"):
            call(tmp_path / "a.lsr")
    assert own.read_text() == "mine"
    own.unlink()


def test_the_longest_names(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("n" * 251 + ".lsr", "日" * 83 + ".lsr"):
        assert _content(_write(bundle, tmp_path / name).path) == _content(bundle.path)


def test_folders_that_cannot_be_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(ExportError, match="found no permission for"):
        check_target(tmp_path / "a.lsr")
    monkeypatch.undo()
    # Nobody makes folders there, the administrator included.
    with pytest.raises(ExportError, match="bundle cannot be written"):
        _write(bundle, Path("/proc/a.lsr"))


def test_the_old_bundle_comes_back_where_the_new_one_cannot_be_put(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _write(bundle, tmp_path / "a.lsr").path
    before, rename = _content(place), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "made":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(KeyboardInterrupt):
        _write(bundle, place)
    assert _content(place) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.lsr"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are POSIX's")
def test_a_terminated_export_leaves_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(tmp_path / "p.png")
    codec = bundle.path.with_suffix(".pth")
    options = ("--fp16", "--picture", "p.png")
    with started("export", codec, "-o", "b.lsr", *options, cwd=tmp_path) as running:
        end = time.monotonic() + 60
        # The plain bundle lies there while its FP16 variants are made.
        while not any(scratch.glob("latentsr-*")) and time.monotonic() < end:
            time.sleep(0.001)
        running.process.terminate()
        lines, _ = running.finish()
    assert running.process.returncode == 130 and not lines  # as where Ctrl-C ends it
    assert not list(scratch.glob("latentsr-*"))
    assert {path.name for path in tmp_path.iterdir()} == {"scratch", "p.png", "stderr.txt"}
