"""Files of CompressAI's example: written, read, refused, and decoded by CompressAI itself."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest

import latentsr
from latentsr import compressai_file
from latentsr import stream as container
from latentsr.codec import Codec
from latentsr.compressai_file import CodecFile
from latentsr.errors import CorruptStream, ImageError, LatentSRError, StreamError, UsageError

FILE = CodecFile("bmshj2018-hyperprior", "ms-ssim", 5, (50, 41), (1, 1), (b"why", b"zed"))
# By hand after write_uchars, write_uints and write_body of CompressAI's examples/codec.py.
GOLDEN = struct.pack(">BBIIIIII3sI3s", 2, 0x14, 41, 50, 1, 1, 2, 3, b"why", 3, b"zed")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return latentsr.load("demo")


def test_golden_file() -> None:
    assert compressai_file.write(FILE) == GOLDEN
    assert compressai_file.read(GOLDEN) == FILE


@pytest.mark.parametrize("size", [(50, 41), (64, 64), (65, 101), (1, 1)])
def test_round_trip_through_the_file(
    codec: Codec, picture: np.ndarray, size: tuple[int, int]
) -> None:
    crop = picture[: size[1], : size[0]]
    stream = codec.encode(crop, exact=False, centred=True)
    data = compressai_file.from_stream(codec.bundle, container.unpack(stream))
    assert compressai_file.read(data).size == size
    again = compressai_file.to_stream(codec.bundle, data)
    assert np.array_equal(codec.decode(again), codec.decode(stream))
    found, made = container.unpack(again), container.unpack(stream)
    assert (found.padding, found.chunks) == (made.padding, made.chunks)


def test_compressai_decodes_our_file(codec: Codec, picture: np.ndarray, data_dir: Path) -> None:
    """The steps of its example, with the weights that the demo bundle was exported from."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("compressai")
    from compressai.models import ScaleHyperprior

    weights = data_dir / "weights" / "demo" / "codec.pth"
    if not weights.is_file():
        pytest.skip("the demo codec's checkpoint is not here")
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = ScaleHyperprior.from_state_dict(state.get("state_dict", state)).eval()
    network.update()
    crop = picture[:75, :60]
    stream = codec.encode(crop, exact=False, centred=True)
    file = compressai_file.read(compressai_file.from_stream(codec.bundle, container.unpack(stream)))
    with torch.no_grad():
        out = network.decompress([[s] for s in file.strings], file.shape)["x_hat"]
    top, left = (out.shape[2] - 75) // 2, (out.shape[3] - 60) // 2
    inside = out[0, :, top : top + 75, left : left + 60].clamp(0, 1).permute(1, 2, 0).numpy()
    ours = codec.decode(stream).astype(np.float32) / 255
    assert np.abs(inside - ours).max() <= 1 / 255


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated: found 0 bytes"),
        (GOLDEN[:21], "truncated: found 21 bytes"),
        (b"\x0a" + GOLDEN[1:], "found model 10"),
        (GOLDEN[:1] + b"\x24" + GOLDEN[2:], "metric 2"),
        (GOLDEN[:18] + b"\0\0\0\0", "0 strings"),
        (GOLDEN[:18] + b"\xff\xff\xff\xff" + GOLDEN[22:], "4294967295 strings"),
        (GOLDEN[:-1], "or more"),
        (GOLDEN + b"\0", "expected 36;"),
        (GOLDEN[:22] + b"\xff" * 4 + GOLDEN[26:], "or more"),
        (GOLDEN[:2] + b"\0" * 4 + GOLDEN[6:], "found 50x0"),
        (GOLDEN[:2] + b"\xff" * 4 + GOLDEN[6:], "found 50x4294967295"),
    ],
)
def test_bad_files(data: bytes, message: str) -> None:
    with pytest.raises((CorruptStream, StreamError, ImageError), match=message):
        compressai_file.read(data)


def test_files_that_do_not_fit_the_bundle(codec: Codec) -> None:
    for change, message in (
        ({"model": "mbt2018-mean"}, "another model: found mbt2018-mean"),
        ({"shape": (9, 1)}, "do not fit the latent"),
        ({"shape": (2**31, 2**31)}, "do not fit the latent"),
        ({"strings": (b"one",)}, "expected 2 lists"),
    ):
        file = dataclasses.replace(FILE, **change)
        with pytest.raises(LatentSRError, match=message):
            compressai_file.to_stream(codec.bundle, compressai_file.write(file))
    for change in ({"model": "jpeg"}, {"metric": "l1"}, {"quality": 17}):
        with pytest.raises(UsageError, match="no such model"):
            compressai_file.write(dataclasses.replace(FILE, **change))


def test_streams_that_compressai_cannot_read(codec: Codec, picture: np.ndarray) -> None:
    crop = picture[:40, :50]
    for stream, message in (
        (codec.encode(crop, exact=False), "expected equal halves"),
        (codec.encode(crop, centred=True), "expected form compressai"),
    ):
        with pytest.raises(UsageError, match=message):
            compressai_file.from_stream(codec.bundle, container.unpack(stream))


def test_mutated_files_never_crash(codec: Codec, picture: np.ndarray) -> None:
    stream = codec.encode(picture[:40, :50], exact=False, centred=True)
    data = compressai_file.from_stream(codec.bundle, container.unpack(stream))
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        mutant = bytearray(data)
        for at in rng.integers(0, min(len(data), 60), 2):
            mutant[at] ^= 1 << int(rng.integers(0, 8))
        try:
            codec.decode(compressai_file.to_stream(codec.bundle, bytes(mutant)))
        except LatentSRError:
            refused += 1
    assert refused > 250
