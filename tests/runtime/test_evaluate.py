"""The protocol on small pictures: every figure computed again by hand, rules, failures."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="the demo's routes need an engine library")

import latentsr
from latentsr.bundle import DEMO
from latentsr.errors import BackendError, BundleError, ImageError, UsageError
from latentsr.evaluate import metrics, schema
from latentsr.evaluate.lines import as_csv
from latentsr.evaluate.plan import Settings, make_plans
from latentsr.evaluate.protocol import run_evaluation
from latentsr.evaluate.reduction import REDUCTIONS
from latentsr.evaluate.result import spread
from latentsr.image import save_rgb8, to_rgb8
from latentsr.report.metrics import ms_ssim, psnr, psnr_y, ssim

NAMES = ("bicubic", "latent_x4", "pixel_x4")
ROUTES = [("bicubic", "decoded"), ("bicubic", "original"), ("latent_x4", None),
          ("pixel_x4", "decoded"), ("pixel_x4", "original")]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts of the shipped picture, one of them of odd size and too small for MS-SSIM."""
    found = tmp_path_factory.mktemp("hr")
    picture = to_rgb8(DEMO.parent / "coffee.png")
    save_rgb8(picture[:171, :203], found / "a.png")
    save_rgb8(picture[100:250, 200:345], found / "b.png")
    return found


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    return run_evaluation(Settings(("demo",), str(folder), NAMES, threads=1))


def test_the_result_is_as_specified(result: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(result, allow_nan=False))
    assert schema.read_result(path) == result
    assert [(r["route"], r["anchor"]) for r in result["rows"]] == ROUTES * 2
    assert [(s["route"], s["anchor"]) for s in result["summary"]] == ROUTES
    assert result["pictures"] == ["a.png", "b.png"] and not result["failures"]
    (bundle,) = result["bundles"]
    assert bundle["scale"] == 4 and not bundle["random_weights"] and "CPU" in bundle["runs_on"]
    assert bundle["routes"] == list(NAMES)


def test_all_routes_of_the_largest_scale_unless_said() -> None:
    (plan,) = make_plans(Settings(("demo",), "."))
    known = json.loads((DEMO / "manifest.json").read_text())["routes"]
    assert plan.scale == 4 and set(plan.routes) == {
        name for name, route in known.items() if (route["kind"], route["scale"]) == ("decode", 4)
    }
    assert make_plans(Settings(("demo",), ".", ("bicubic",)))[0].routes == ("bicubic",)


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_every_figure_again_by_hand(folder: Path, name: str) -> None:
    settings = Settings(("demo",), str(folder / "a.png"), NAMES, reduction=name, threads=1)
    found = run_evaluation(settings)
    rows = {(row["route"], row["anchor"]): row for row in found["rows"]}
    high = to_rgb8(folder / "a.png")[:168, :200]
    low = REDUCTIONS[name](high, 4)
    with latentsr.load("demo", threads=1) as codec:
        stream = codec.encode(low)
        pictures = {(route, anchor): codec.decode(stream, route) for route, anchor in ROUTES
                    if anchor != "original"}  # fmt: skip
    enlarged = Image.fromarray(low).resize((200, 168), Image.Resampling.BICUBIC)
    pictures["bicubic", "original"] = np.asarray(enlarged)
    for key, picture in pictures.items():
        row = rows[key]
        assert (row["width"], row["height"], row["lr_width"], row["lr_height"]) == (
            200,
            168,
            50,
            42,
        )
        assert row["figures"] == {
            "psnr": psnr(picture, high), "psnr_y": psnr_y(picture, high),
            "ssim": ssim(picture, high), "ms_ssim": ms_ssim(picture, high),
        }  # fmt: skip
        if key[1] == "original":
            assert row["rate"] is None
            continue
        size = len(stream)
        assert row["rate"] == {
            "bytes": size, "bpp_hr": 8 * size / (200 * 168), "bpp_lr": 8 * size / (50 * 42),
            "ratio_hr": 200 * 168 * 3 / size, "ratio_lr": 50 * 42 * 3 / size,
        }  # fmt: skip


def test_means_and_deviations(result: dict[str, Any]) -> None:
    for one in result["summary"]:
        rows = [r for r in result["rows"] if (r["route"], r["anchor"])
                == (one["route"], one["anchor"])]  # fmt: skip
        values = [row["figures"]["psnr"] for row in rows]
        assert one["pictures"] == 2 and one["figures"]["psnr"] == {
            "mean": statistics.fmean(values), "std": abs(values[0] - values[1]) / 2, "count": 2,
        }  # fmt: skip
        # b.png is too small for MS-SSIM: the mean is over a.png alone.
        assert rows[1]["figures"]["ms_ssim"] is None
        assert one["figures"]["ms_ssim"]["count"] == 1 and one["figures"]["ms_ssim"]["std"] == 0
    assert spread([None, None]) == {"mean": None, "std": None, "count": 0}


def test_the_original_anchor_is_not_limited_by_the_rate(result: dict[str, Any]) -> None:
    figures = {(s["route"], s["anchor"]): s["figures"]["psnr"]["mean"] for s in result["summary"]}
    assert figures["bicubic", "original"] > figures["bicubic", "decoded"] + 0.5


def test_border_is_cut_from_every_figure(folder: Path) -> None:
    path = str(folder / "a.png")
    settings = Settings(("demo",), path, ("bicubic",), border=5, threads=1)
    found = run_evaluation(settings)
    high = to_rgb8(path)[:168, :200]
    enlarged = Image.fromarray(REDUCTIONS["matlab"](high, 4)).resize((200, 168), 3)
    a, b = (np.asarray(x)[5:-5, 5:-5] for x in (enlarged, high))
    assert found["settings"]["border"] == 5
    assert found["rows"][1]["figures"] == {
        "psnr": psnr(a, b),
        "psnr_y": psnr_y(a, b),
        "ssim": ssim(a, b),
        "ms_ssim": None,
    }
    with pytest.raises(UsageError, match="border leaves nothing"):
        run_evaluation(Settings(("demo",), path, ("bicubic",), border=84, threads=1))


def test_csv_has_a_line_for_every_row(result: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(result))))
    assert len(lines) == len(result["rows"]) == 10
    for line, row in zip(lines, result["rows"], strict=True):
        assert line["picture"] == row["picture"] and line["route"] == row["route"]
        assert line["anchor"] == (row["anchor"] or "") and line["random_weights"] == "False"
        assert line["reduction"] == "matlab" and line["border"] == "0" and line["scale"] == "4"
        assert float(line["psnr"]) == row["figures"]["psnr"]
        assert line["bpp_hr"] == ("" if row["rate"] is None else str(row["rate"]["bpp_hr"]))


def test_one_bad_picture_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "hr")
    (tmp_path / "hr" / "aa.png").write_bytes(b"\x89PNG no")
    save_rgb8(np.zeros((3, 40, 3), np.uint8), tmp_path / "hr" / "c.png")
    found = run_evaluation(Settings(("demo",), str(tmp_path / "hr"), ("bicubic",), threads=1))
    assert [(f["bundle"], f["picture"]) for f in found["failures"]] == [
        ("demo", "aa.png"), ("demo", "c.png")]  # fmt: skip
    assert "too small" in found["failures"][1]["error"]
    assert {row["picture"] for row in found["rows"]} == {"a.png", "b.png"}
    assert found["summary"][0]["pictures"] == 2 and len(found["pictures"]) == 4


def test_several_bundles_and_random_weights(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / "x" / "demo.lsr")
    shutil.copytree(DEMO, tmp_path / "random.lsr")
    manifest = tmp_path / "random.lsr" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"random_weights": True}))
    bundles = ("demo", str(tmp_path / "x" / "demo.lsr"), str(tmp_path / "random.lsr"))
    found = run_evaluation(Settings(bundles, str(folder / "b.png"), ("latent_x4",), threads=1))
    labels = [(b["label"], b["random_weights"]) for b in found["bundles"]]
    assert labels == [("demo", False), (bundles[1], False), ("random", True)]
    assert len({row["figures"]["psnr"] for row in found["rows"]}) == 1
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [line["random_weights"] for line in lines] == ["False", "False", "True"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"bundles": ("demo", "demo")}, UsageError, "bundles repeat"),
        ({"bundles": ("none.lsr",)}, BundleError, "none.lsr"),
        ({"routes": ("none",)}, UsageError, "no such decode route"),
        ({"routes": ("lr",)}, UsageError, r"lr \(x1\), expected a scale of more than 1"),
        ({"routes": ("lr", "bicubic")}, UsageError, "another scale"),
        ({"scale": 2}, UsageError, "expected a scale of 2"),
        ({"reduction": "lanczos"}, UsageError, "expected one of matlab, pillow"),
        ({"border": -1}, UsageError, "border is out of range"),
        ({"metrics": ("beauty",)}, UsageError, "no such metric: found 'beauty'"),
        ({"backend": "none"}, UsageError, "none"),
        (
            {"pictures": "none.png"},
            UsageError,
            "nothing could be .* among 1, .* picture is missing",
        ),
    ],
)
def test_bad_settings(
    folder: Path, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"bundles": ("demo",), "pictures": str(folder), **change}
    with pytest.raises(error, match=message):
        run_evaluation(Settings(**given))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder has no input"):
        run_evaluation(Settings(("demo",), str(tmp_path)))


class _Entry:
    """Stands in for an installed package's entry point."""

    def __init__(self, name: str, make: Any) -> None:
        self.name, self.make = name, make

    def load(self) -> Any:
        if isinstance(self.make, Exception):
            raise self.make
        return self.make


class _Brightness:
    """A metric that a test can compute itself."""

    about, random_weights = "difference of means", True

    def __call__(self, picture: np.ndarray, reference: np.ndarray) -> float:
        return float(picture.mean() - reference.mean())


def test_further_metrics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [_Entry("brightness", _Brightness), _Entry("broken", ImportError(name="torch"))]
    monkeypatch.setattr(metrics, "entry_points", lambda group: entries)
    given = {"bundles": ("demo",), "pictures": str(folder / "b.png"), "routes": ("bicubic",)}
    found = run_evaluation(Settings(**given, metrics=("brightness", "psnr")))
    schema.check(found, "it")
    (metric,) = found["settings"]["metrics"]
    assert metric == {"name": "brightness", "about": "difference of means", "random_weights": True}
    high = to_rgb8(folder / "b.png")[:148, :144]
    enlarged = Image.fromarray(REDUCTIONS["matlab"](high, 4)).resize((144, 148), 3)
    expected = np.asarray(enlarged).mean() - high.mean()
    assert found["rows"][1]["figures"]["brightness"] == pytest.approx(expected)
    assert "brightness" in as_csv(found).split("\n")[0]
    with pytest.raises(BackendError, match="found no torch, expected it for broken"):
        run_evaluation(Settings(**given, metrics=("broken",)))


def test_equal_and_tiny_pictures_have_no_figure() -> None:
    flat = np.zeros((9, 9, 3), np.uint8)
    assert metrics.compare(flat, flat, 0, {}) == dict.fromkeys(metrics.BUILT_IN)
    with pytest.raises(ImageError, match="border leaves nothing of the picture: found 5 for 9x9"):
        metrics.compare(flat, flat, 5, {})


def test_a_kodak_picture(data_dir: Path) -> None:
    path = data_dir / "kodak" / "kodim07.png"
    if not path.is_file():
        pytest.skip("no Kodak pictures in the test data")
    found = run_evaluation(Settings(("demo",), str(path), border=4))
    figures = {(r["route"], r["anchor"]): r["figures"] for r in found["rows"]}
    assert found["rows"][0]["rate"]["bpp_lr"] == pytest.approx(
        16 * found["rows"][0]["rate"]["bpp_hr"]
    )
    # Decoding costs quality, and the trained routes win it back in part.
    assert figures["bicubic", "original"]["psnr"] > figures["bicubic", "decoded"]["psnr"]
    for name in ("psnr", "psnr_y", "ms_ssim"):
        assert figures["latent_x4", None][name] > figures["bicubic", "decoded"][name]
        assert math.isfinite(figures["pixel_x4", "decoded"][name])
