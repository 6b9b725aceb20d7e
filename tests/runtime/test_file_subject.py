"""JPEG, WebP and AVIF of a stream's size, enlarged by the bundle's pixel SR network."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import latentsr
from latentsr.bench.file_subject import FileSubject, decode, largest_within
from latentsr.bench.inputs import Input, from_picture, reduce
from latentsr.bench.subject import Item, Setup, find_subject
from latentsr.bundle import DEMO
from latentsr.errors import BackendError, BundleError, UsageError
from latentsr.image import to_rgb8
from latentsr.report.metrics import psnr

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(not features.check(name), reason="not in Pillow"))
    if name != "jpeg"
    else name
    for name in ("jpeg", "webp", "avif")
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """A crop of the shipped picture as an HR original of 320x256, coded at 80x64."""
    crop = to_rgb8(DEMO.parent / "coffee.png")[:256, :320]
    with latentsr.load("demo", threads=1) as codec:
        return from_picture(codec, crop, "a", 4, tmp_path_factory.mktemp("files"), "a")


def started(name: str) -> FileSubject:
    subject = find_subject(name)()
    assert isinstance(subject, FileSubject)
    subject.start(Setup("demo", threads=1))
    return subject


def size_of(quality: int) -> bytes:
    """A made-up format whose files have 100 + 10·quality bytes."""
    return bytes(100 + 10 * quality)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(99, 100), (100, 100), (109, 100), (555, 550), (1100, 1100), (9999, 1100)],
)
def test_bisection_finds_the_largest_quality(limit: int, expected: int) -> None:
    assert len(largest_within(size_of, limit, 100)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_as_good_a_file_as_the_bytes_allow(name: str, given: Input) -> None:
    subject = started(name)
    assert given.item.original is not None
    small = reduce(to_rgb8(given.item.original), 4)
    for limit in (1500, 3000, 6000):
        data = subject.fit(small, limit)
        assert len(data) <= limit
        found = psnr(decode(data), small)
        for options in subject.samplings:
            for quality in range(0, 101, 10):
                file = io.BytesIO()
                Image.fromarray(small).save(file, name.upper(), quality=quality, **options)
                if file.tell() <= limit:
                    assert psnr(decode(file.getvalue()), small) <= found + 0.2
    least = subject.fit(small, 10)
    assert len(least) <= len(subject.fit(small, 1500)) and decode(least).shape == small.shape


@pytest.mark.parametrize("name", NAMES)
def test_runs_from_its_own_bytes(name: str, given: Input) -> None:
    subject = started(name)
    size = subject.load(0, given.item)
    assert size > 0
    found = subject.output(0)
    assert found.shape == (256, 320, 3) and found.dtype == np.uint8
    assert given.item.original is not None
    assert psnr(found, to_rgb8(given.item.original)) > 15
    timeline = subject.run(0)
    stages = {stage.name: stage.kind for stage in timeline.stages}
    assert stages == {
        "read file": "read", f"decode {name}": "image", "to float": "image",
        "pixel_sr": "engine", "picture": "image",
    }  # fmt: skip
    assert timeline.macs == 1393344 * 80 * 64


def test_where_even_the_least_quality_is_too_large(given: Input, tmp_path: Path) -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    with latentsr.load("demo", threads=1) as codec:
        small = from_picture(codec, flat, "flat", 4, tmp_path, "flat")
    subject = started("jpeg")
    assert subject.load(0, small.item) > small.bytes  # a JPEG's tables alone exceed the stream
    assert subject.output(0).shape == (64, 64, 3)


def test_what_is_missing_is_named(
    given: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="needs a picture: found stream b without an original"):
        started("jpeg").load(0, Item("b", given.item.stream))
    bundle = tmp_path / "plain.lsr"
    shutil.copytree(DEMO, bundle)
    _change(bundle, lambda routes: routes.pop("pixel_x4"))
    with pytest.raises(BundleError, match="bundle has no pixel SR network"):
        find_subject("jpeg")().start(Setup(str(bundle)))
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(BackendError, match="without avif, expected one with it"):
        find_subject("avif")().start(Setup("demo"))


def _change(bundle: Path, change: Callable[[dict], object]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    change(manifest["routes"])
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
