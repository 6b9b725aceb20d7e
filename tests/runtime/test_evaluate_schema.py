"""Reading an evaluation's file back: the form is checked field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import evaluation_case
from latentsr.errors import UsageError
from latentsr.evaluate.schema import check, read_result


@pytest.fixture()
def result() -> dict[str, Any]:
    return evaluation_case.result(low=300, high=1200)


def test_what_was_written_is_read(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(result))
    assert read_result(tmp_path / "r.json") == result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(schema="latentsr-bench"), "schema, expected a result of"),
        (lambda r: r.update(schema_version=2), "update latentsr"),
        (lambda r: r.update(schema_version=True), "update latentsr"),
        (lambda r: r.pop("rows"), r"it\.rows, expected the field"),
        (lambda r: r.update(rows=[]), "a list of 1"),
        (lambda r: r["rows"][0].update(width=0), r"rows\[0\]\.width"),
        (lambda r: r["rows"][0].update(width=70000), r"rows\[0\]\.width"),
        (lambda r: r["rows"][0].update(bundle="other"), "bundle and one of its routes"),
        (lambda r: r["rows"][0].update(route="other"), "bundle and one of its routes"),
        (lambda r: r["rows"][1].update(anchor="else"), "null, decoded or original"),
        (lambda r: r["rows"][0].update(rate=None), "null for the original anchor"),
        (lambda r: r["rows"][0]["rate"].update(bytes=-1), r"rate\.bytes"),
        (lambda r: r["rows"][0]["figures"].update(psnr=float("nan")), "psnr"),
        (lambda r: r["rows"][0]["figures"].pop("ssim"), "psnr, psnr_y, ssim, ms_ssim at least"),
        (lambda r: r["summary"][0]["figures"]["psnr"].update(std=-1), "std"),
        (lambda r: r["summary"][0]["rate"].pop("bpp_hr"), "bpp_hr"),
        (lambda r: r["summary"][0]["rate"]["bpp_hr"].update(mean=5e-324), r"bpp_hr\.mean"),
        (lambda r: r["rows"][0]["rate"].update(bpp_hr=0), r"rate\.bpp_hr"),
        (lambda r: r["summary"][2].update(rate=r["summary"][0]["rate"]), "only for it"),
        (lambda r: r["settings"].update(border=-1), "border"),
        (lambda r: r["settings"].update(reduction="no"), "one of matlab, pillow"),
        (lambda r: r["bundles"].append(r["bundles"][0]), "labels all different"),
        (lambda r: r["bundles"][0].update(random_weights=1), "true or false"),
        (lambda r: r.update(failures=[{"bundle": "low"}]), "picture"),
    ],
)
def test_faults(result: dict[str, Any], change: Any, message: str) -> None:
    check(result, "it")
    change(result)
    with pytest.raises(UsageError, match=message):
        check(result, "it")


@pytest.mark.parametrize("content", ["", "[", "[]", "{}", "[" * 100_000, "\ud800"])
def test_files_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(UsageError, match="evaluation"):
        read_result(path)
    with pytest.raises(UsageError, match="No such file"):
        read_result(tmp_path / "none.json")
