"""Files that CompressAI's `examples/codec.py` writes: read into streams, and written.

All integers are big-endian::

    1 byte     model: position in CompressAI's list of models, `MODELS`
    1 byte     metric (0 mse, 1 ms-ssim) in the upper half, quality - 1 in the lower
    2 x 4      height and width of the picture
    2 x 4      height and width of the grid of the last latent listed (z, or y where it is alone)
    4          number of strings
    4 + n ..   for each string its length and its bytes, y before z

The picture lies in the middle of the padded one, with the smaller half of the padding to the left
and above.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from latentsr.bundle import Bundle
from latentsr.errors import CorruptStream, StreamError, UsageError
from latentsr.interop import from_compressai, to_compressai
from latentsr.stream import Padding, Stream, check_size

MODELS = (
    "bmshj2018-factorized", "bmshj2018-factorized-relu", "bmshj2018-hyperprior", "mbt2018-mean",
    "mbt2018", "cheng2020-anchor", "cheng2020-attn", "bmshj2018-hyperprior-vbr",
    "mbt2018-mean-vbr", "mbt2018-vbr",
)  # fmt: skip
METRICS = ("mse", "ms-ssim")
_HEAD = struct.Struct(">BB5I")
_MAX_STRINGS = 64


@dataclass(frozen=True)
class CodecFile:
    """One file taken apart; quality is 1..16, sizes are (width, height), shape (height, width)."""

    model: str
    metric: str
    quality: int
    size: tuple[int, int]
    shape: tuple[int, int]
    strings: tuple[bytes, ...]


def read(data: bytes) -> CodecFile:
    """Take a file apart; StreamError where it is none, CorruptStream where it is cut or longer."""
    if len(data) < _HEAD.size:
        raise CorruptStream(
            f"file of CompressAI is truncated: found {len(data)} bytes, expected at least "
            f"{_HEAD.size}; fetch or write it again"
        )
    model, code, height, width, rows, columns, count = _HEAD.unpack_from(data)
    if model >= len(MODELS) or code >> 4 >= len(METRICS) or not 1 <= count <= _MAX_STRINGS:
        raise StreamError(
            f"not a file of CompressAI's examples/codec.py: found model {model}, metric "
            f"{code >> 4}, {count} strings, expected models below {len(MODELS)}, metrics below "
            f"{len(METRICS)}, 1..{_MAX_STRINGS} strings; pass another file or another --format"
        )
    check_size(width, height)
    strings = _strings(data, count)
    quality = (code & 15) + 1
    name, metric = MODELS[model], METRICS[code >> 4]
    return CodecFile(name, metric, quality, (width, height), (rows, columns), strings)


def _strings(data: bytes, count: int) -> tuple[bytes, ...]:
    found, at = [], _HEAD.size
    for _ in range(count):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
        if at > len(data):
            break
    if at != len(data):
        raise CorruptStream(
            f"file of CompressAI and its lengths disagree: found {len(data)} bytes, expected "
            f"{at}{' or more' if at > len(data) else ''}; fetch or write it again"
        )
    return tuple(found)


def write(file: CodecFile) -> bytes:
    """The bytes of a file; UsageError where a name or a number has no place in it."""
    if file.model not in MODELS or file.metric not in METRICS or not 1 <= file.quality <= 16:
        raise UsageError(
            f"no such model in CompressAI's list: found {file.model}, {file.metric}, quality "
            f"{file.quality}, expected one of {', '.join(MODELS)}, mse or ms-ssim, 1..16"
        )
    code = METRICS.index(file.metric) << 4 | (file.quality - 1)
    width, height = file.size
    head = _HEAD.pack(MODELS.index(file.model), code, height, width, *file.shape, len(file.strings))
    return head + b"".join(len(s).to_bytes(4, "big") + s for s in file.strings)


def to_stream(bundle: Bundle, data: bytes) -> bytes:
    """A file of CompressAI as a stream of the bundle, which must be the file's own model."""
    file = read(data)
    family = bundle.manifest.family
    if file.model != family:
        raise StreamError(
            f"file was written by another model: found {file.model}, expected {family}, the "
            "bundle's; decode it with a bundle of its own model and quality"
        )
    stride = bundle.manifest.chunks[0].stride
    padded = (file.shape[1] * stride, file.shape[0] * stride)
    right, bottom = (p - s for p, s in zip(padded, file.size, strict=True))
    padding = Padding(right // 2, bottom // 2, right - right // 2, bottom - bottom // 2)
    strings = [[string] for string in file.strings]
    return from_compressai(bundle, strings, file.shape, file.size, padding)


def from_stream(bundle: Bundle, stream: Stream) -> bytes:
    """A stream of `Codec.encode(exact=False, centred=True)` as a file that CompressAI's example
    decodes.

    Metric and quality are those of the zoo's model that the bundle was exported from; without
    one, mse and 1, and CompressAI must be told which weights to use.
    """
    padding = stream.padding
    beside = (padding.right - padding.left, padding.bottom - padding.top)
    if not all(0 <= difference <= 1 for difference in beside):
        raise UsageError(
            f"padding cannot be told to CompressAI: found {tuple(padding)}, expected equal halves; "
            "encode with centred=True"
        )
    strings, shape = to_compressai(bundle, stream)
    metric, quality = _zoo_model(bundle)
    size = (stream.width, stream.height)
    flat = tuple(batch[0] for batch in strings)
    return write(CodecFile(bundle.manifest.family, metric, quality, size, shape, flat))


def _zoo_model(bundle: Bundle) -> tuple[str, int]:
    source = bundle.manifest.raw.get("source")
    codec = source.get("codec") if isinstance(source, dict) else None
    name = codec.get("zoo") if isinstance(codec, dict) else None
    parts = str(name).split("/")
    if len(parts) == 3 and parts[1] in METRICS and parts[2].isdecimal():
        return parts[1], int(parts[2])
    return METRICS[0], 1
