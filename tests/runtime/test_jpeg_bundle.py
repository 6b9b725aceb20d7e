"""A bundle whose streams are JPEG files: codec, routes, manifest checks, and the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import latentsr
from command_line import latentsr as command
from jpeg_bundle import CHUNK, DECODE, PAD, encoder, enlarger, raw_manifest, write_jpeg_bundle
from latentsr import jpeg
from latentsr.bench.rounds import Schedule
from latentsr.bench.run import Settings, run_bench
from latentsr.bundle import DEMO
from latentsr.codec import Codec
from latentsr.errors import BundleError, CorruptStream, LatentSRError, StreamError, UsageError
from latentsr.interop import to_compressai
from latentsr.pipeline import image_steps, routes
from latentsr.report.verify import verify
from latentsr.stream import Padding, pack, unpack


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jpeg_bundle(tmp_path_factory.mktemp("jpeg") / "jpeg.lsr")


@pytest.fixture(scope="module")
def codec(bundle: Path) -> Iterator[Codec]:
    with latentsr.load(bundle, threads=1) as loaded:
        yield loaded


def test_the_stream_is_the_file(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(picture)
    assert stream == jpeg.encode(picture, 30)
    low = codec.decode(stream)
    with Image.open(io.BytesIO(stream)) as image:
        assert np.array_equal(low, np.asarray(image))
    parts = codec.open_stream(memoryview(stream))
    assert (parts.width, parts.height, parts.form) == (75, 101, "jpeg")
    assert parts.padding == Padding() and parts.chunks == (stream,)
    with pytest.raises(UsageError, match="found form jpeg"):
        to_compressai(codec.bundle, parts)


def test_enlarged_as_the_network_does_by_itself(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(picture)
    large = codec.upscale(stream)  # the route that the manifest names
    x = codec.decode(stream).transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    made = codec.engine("pixel_sr").run({"x": np.ascontiguousarray(x * np.float32(1 / 255))})
    expected = np.rint(np.clip(made["hr"][0], 0, 1) * np.float32(255)).transpose(1, 2, 0)
    assert np.array_equal(large, expected.astype(np.uint8))
    assert codec.runs_on("lr") == "no engine" != codec.runs_on("sr_x4")


def test_any_jpeg_file_is_a_stream(codec: Codec, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for image, options in [
        (Image.fromarray(picture), {"exif": exif}),
        (Image.fromarray(picture).convert("L"), {"progressive": True}),
    ]:
        file = io.BytesIO()
        image.save(file, "JPEG", **options)
        height, width = (75, 101) if "exif" in options else (101, 75)
        assert codec.decode(file.getvalue()).shape == (height, width, 3)
        assert codec.upscale(file.getvalue()).shape == (4 * height, 4 * width, 3)


def test_streams_of_other_kinds_and_damage(codec: Codec, picture: np.ndarray) -> None:
    with latentsr.load("demo", threads=1) as other:
        with pytest.raises(StreamError, match="not a JPEG file"):
            codec.decode(other.encode(picture))
        with pytest.raises(StreamError, match="not a latentsr stream"):
            other.decode(codec.encode(picture))
    stream = codec.encode(picture)
    random = np.random.default_rng(3)
    for _ in range(200):
        data = bytearray(stream)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        try:
            parts = codec.open_stream(bytes(data))
            assert codec.decode(bytes(data)).shape == (parts.height, parts.width, 3)
        except LatentSRError:
            continue


@pytest.mark.parametrize(
    ("size", "coded"), [((333, 501), (84, 126)), ((64, 64), (16, 16)), ((1, 5), (1, 2))]
)
def test_encoding_from_hr(codec: Codec, size: tuple[int, int], coded: tuple[int, int]) -> None:
    with Image.open(DEMO.parent / "coffee.png") as image:
        high = np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC))
    stream = codec.encode(high, route="encode_hr")
    parts = codec.open_stream(stream)
    assert (parts.height, parts.width) == coded
    assert codec.upscale(stream).shape == (4 * coded[0], 4 * coded[1], 3)
    filled = np.pad(high, ((0, -size[0] % 4), (0, -size[1] % 4), (0, 0)), mode="edge")
    low = Image.fromarray(filled).resize(coded[::-1], Image.Resampling.BICUBIC)
    assert stream == jpeg.encode(np.asarray(low), 30)


@pytest.mark.parametrize("filtering", image_steps.FILTERS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_reduce_keeps_constants_and_works_against_aliasing(scale: int, filtering: str) -> None:
    step = {"scale": scale, "filter": filtering}
    run = routes.Run(0, 0, Padding())
    flat = np.full((13, 22, 3), (5, 130, 250), np.uint8)
    made = image_steps.reduce(flat, run, step)
    assert made.shape == (-(-13 // scale), -(-22 // scale), 3)
    assert (made == (5, 130, 250)).all()
    stripes = np.zeros((24, 48, 3), np.uint8)
    stripes[:, ::2] = 255
    if scale > 1:
        inner = image_steps.reduce(stripes, run, step)[2:-2, 2:-2].astype(int)
        assert np.abs(inner - 127.5).max() < (45 if scale == 2 else 30)
    for wrong in (flat[0], flat.astype(np.float32), flat[:0]):
        with pytest.raises(BundleError, match="reduce wants a picture"):
            image_steps.reduce(wrong, run, step)


def test_encoding_from_hr_with_a_learned_codec(tmp_path: Path, picture: np.ndarray) -> None:
    """The container's size and padding are those of the picture that is coded."""
    import shutil

    path = Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))
    raw = json.loads((path / "manifest.json").read_text())
    first = {"op": "reduce", "in": "picture", "out": "picture", "scale": 3, "filter": "lanczos"}
    whole = raw["routes"]["encode"]
    raw["routes"]["encode_hr"] = {**whole, "steps": [first, *whole["steps"]]}
    (path / "manifest.json").write_text(json.dumps(raw))
    with latentsr.load(path, threads=1) as codec:
        for centred, padding in ((False, (0, 0, 39, 30)), (True, (19, 15, 20, 15))):
            stream = codec.encode(picture, "encode_hr", centred=centred)
            parts = unpack(stream)
            assert (parts.width, parts.height) == (25, 34)
            assert tuple(parts.padding) == padding
            low = image_steps.reduce(picture, routes.Run(0, 0, Padding()), first)
            assert stream == codec.encode(low, centred=centred)
            assert codec.decode(stream).shape == (34, 25, 3)


def changed(**routes_: list[dict[str, Any]]) -> dict[str, Any]:
    raw = raw_manifest()
    for name, steps in routes_.items():
        raw["routes"][name]["steps"] = steps
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (changed(encode=[encoder(0)]), "quality of 1..100"),
        (changed(encode=[encoder(True)]), "quality of 1..100"),
        (changed(encode=[encoder("10")]), "quality of 1..100"),
        (changed(encode=[encoder(subsampling="4:1:1")]), "subsampling among 4:4:4"),
        (changed(encode=[encoder(subsampling=["4:2:0"])]), "subsampling among 4:4:4"),
        (changed(encode=[{**encoder(), "chunk": "y"}]), "a chunk among picture"),
        (changed(encode=[{**encoder(), "in": "x"}]), "made by earlier steps"),
        (changed(encode=[{**encoder(), "op": "entropy_encode"}]), "a chunk of model jpeg"),
        (changed(encode=[PAD]), r"codes the wrong chunks: found \[\]"),
        (changed(lr=[{**DECODE, "op": "entropy_decode"}]), "a chunk of model jpeg"),
        (changed(lr=[{**DECODE, "out": ["picture"]}]), "values given by name"),
        (changed(lr=[DECODE, {"op": "reduce", "in": "picture", "out": "p"}]), "a filter among"),
        (changed(encode=[encoder(), {"op": "clamp", "in": "None", "out": "x"}]), "earlier steps"),
        ({**raw_manifest(), "entropy": {"graphs": [], "chunks": [{**CHUNK, "channels": 4}]}},
         "3 channels at stride 1"),
        ({**raw_manifest(), "entropy": {"graphs": [], "chunks": [{**CHUNK, "stride": [1, 2]}]}},
         "3 channels at stride 1"),
        ({**raw_manifest(), "entropy": {"graphs": [], "chunks": [{**CHUNK, "skip": 1}]}},
         "expected 0..0"),
        ({**raw_manifest(), "upscale": 4}, "manifest.upscale"),
    ],
)  # fmt: skip
def test_manifests_that_are_wrong(tmp_path: Path, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        latentsr.load(write_jpeg_bundle(tmp_path / "wrong.lsr", raw))


def test_jpeg_steps_want_a_jpeg_chunk(tmp_path: Path) -> None:
    import shutil

    path = Path(shutil.copytree(DEMO, tmp_path / "copy.lsr"))
    raw = json.loads((path / "manifest.json").read_text())
    raw["routes"]["lr"]["steps"][0] = {**DECODE, "chunk": "z"}
    (path / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(BundleError, match="steps for a chunk of model factorized"):
        latentsr.load(path)


def test_a_file_beside_another_chunk_goes_into_the_container(
    tmp_path: Path, picture: np.ndarray
) -> None:
    raw = raw_manifest()
    raw["entropy"]["chunks"] = [CHUNK, {**CHUNK, "name": "again"}]
    second = [{**encoder(90), "chunk": "again"}]
    raw["routes"]["encode"]["steps"] += second
    raw["routes"]["encode_hr"]["steps"] += second
    raw["routes"]["sr_x4"]["steps"] = [{**DECODE, "chunk": "again"}, PAD, *enlarger()]
    with latentsr.load(write_jpeg_bundle(tmp_path / "two.lsr", raw), threads=1) as codec:
        stream = codec.encode(picture)
        parts = unpack(stream)
        assert parts.chunks == (jpeg.encode(picture, 30), jpeg.encode(picture, 90))
        assert np.array_equal(codec.decode(stream), jpeg.decode(parts.chunks[0]))
        assert codec.upscale(stream).shape == (404, 300, 3)
        other = pack(type(parts)(74, 101, Padding(), parts.fingerprint, parts.chunks))
        with pytest.raises(CorruptStream, match="found a picture of 75x101, expected 74x101"):
            codec.decode(other)


def test_command_line(bundle: Path, tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "photo.png")
    Image.fromarray(picture).save(tmp_path / "other.jpg", quality=95)
    encoded = command("encode", "photo.png", "-m", bundle, "--json", cwd=tmp_path)
    facts = json.loads(encoded.stdout)[0]
    assert facts["output"] == "photo.jpg" and facts["width"] == 75
    assert facts["bytes"] == (tmp_path / "photo.jpg").stat().st_size
    command("encode", "photo.png", "-m", bundle, "--route", "encode_hr", "-o", "s.jpg",
            cwd=tmp_path)  # fmt: skip
    command("decode", "s.jpg", "-m", bundle, cwd=tmp_path)
    command("upscale", "s.jpg", "-m", bundle, cwd=tmp_path)
    for name, size in (("s.png", (19, 26)), ("s_sr_x4.png", (76, 104))):
        with Image.open(tmp_path / name) as image:
            assert image.size == size
    before = (tmp_path / "other.jpg").read_bytes()
    done = command("encode", "other.jpg", "-m", bundle, cwd=tmp_path, code=2)
    assert "output would replace its input" in done.stderr
    for name in ("decode", "upscale"):
        done = command(name, "other.jpg", "-o", "other.jpg", "-m", bundle, cwd=tmp_path, code=2)
        assert "output would replace its input" in done.stderr
    assert (tmp_path / "other.jpg").read_bytes() == before
    done = command("encode", "photo.png", "--route", "lr", "-m", bundle, cwd=tmp_path, code=2)
    assert "no such encode route" in done.stderr
    header = json.loads(command("inspect", "s.jpg", "--json", cwd=tmp_path).stdout)
    assert (header["size"], header["form"], header["coding"]) == ("19x26", "jpeg", "baseline")
    shown = command("inspect", bundle, cwd=tmp_path).stdout
    assert "jpeg files" in shown and "picture: jpeg, 3 channels" in shown
    command("profile", bundle, "photo.png", "--runs", "1", "--warmup", "0", cwd=tmp_path)


def test_demo_of_such_a_bundle(bundle: Path, tmp_path: Path) -> None:
    done = command("demo", "-m", bundle, "--out", "d", "--json", cwd=tmp_path)
    assert set(json.loads(done.stdout)["routes"]) == {"sr_x4"}
    assert (tmp_path / "d" / "stream.jpg").is_file()


def test_verify_has_no_symbols_to_compare(bundle: Path, picture: np.ndarray) -> None:
    codecs = {f"ort-{threads}": latentsr.load(bundle, threads=threads) for threads in (1, 2)}
    result = verify(codecs, [picture])
    facts = result.as_dict()
    assert facts["symbols"] == facts["desyncs"] == facts["differing_indexes"] == 0
    assert "sr_x4: hr" in facts["parity"] and facts["parity"]["sr_x4: x"] == 0


def test_bench(bundle: Path, tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(np.tile(picture, (2, 3, 1))).save(tmp_path / "photo.jpg", quality=95)
    settings = Settings(
        str(bundle), (str(tmp_path / "photo.jpg"),), threads=1, launches=1, in_flight=(),
        schedule=Schedule(1, 2, 1),
    )  # fmt: skip
    result = run_bench(settings).result
    assert [route["name"] for route in result["routes"]] == ["lr", "sr_x4"]
    assert result["bundle"]["family"] == "jpeg"
    assert result["pictures"][0]["coded_width"] == 56
    assert all(route["quality"] for route in result["routes"])
