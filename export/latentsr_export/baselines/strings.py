"""A stream's symbols coded again as CompressAI's strings, in a file as its example writes it.

Streams with exact scales, or in the `lanes` form, mean nothing to CompressAI, and even a float
network's scales differ a little between libraries. So every stream is decoded by the runtime and
its symbols are coded by CompressAI's coder, with the scales of the very network that will read
them: the symbols stay, the bytes change by a little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentsr import compressai_file
from latentsr.backends.values import on_host
from latentsr.codec import Codec
from latentsr.manifest import Route
from latentsr.pipeline import routes
from latentsr.stream import Padding, Stream

Hyper = Callable[[Tensor], Tensor]
"""ẑ (1, N, h, w) → scales (1, M, 4h, 4w), in CompressAI's float arithmetic."""


@dataclass(frozen=True)
class Coded:
    """One input for CompressAI: its file, and what the padded picture is cropped to."""

    path: Path
    width: int
    height: int
    padding: Padding

    def crop(self, x: Tensor) -> Tensor:
        """A view of the picture in (1, 3, H', W')."""
        left, top = self.padding.left, self.padding.top
        return x[:, :, top : top + self.height, left : left + self.width]


def transcode(codec: Codec, data: bytes, network: Any, hyper: Hyper, path: Path) -> Coded:
    """Write a stream's symbols to `path` as CompressAI's strings.

    codec: the stream's own bundle. network: `restore_codec` of that bundle. hyper: what the
    strings' reader will compute scales with. Raises what `Codec.decode` raises.
    """
    stream = codec.open_stream(data)
    symbols = decode_symbols(codec, stream)
    strings = encode_symbols(network, symbols, hyper)
    rows, columns = next(iter(symbols.values())).shape[2:]
    size = (stream.width, stream.height)
    family = codec.bundle.manifest.family
    file = compressai_file.CodecFile(family, "mse", 1, size, (rows, columns), strings)
    path.write_bytes(compressai_file.write(file))
    return Coded(path, *size, stream.padding)


def decode_symbols(codec: Codec, stream: Stream) -> dict[str, Tensor]:
    """int32 (1, C, h, w) of each chunk, in decoding order."""
    run = routes.Run(stream.width, stream.height, stream.padding, stream.form, stream.exact)
    names = [chunk.name for chunk in codec.bundle.manifest.chunks]
    run.chunks = dict(zip(names, stream.chunks, strict=True))
    whole = codec.bundle.route("lr", "decode")
    last = max(i for i, step in enumerate(whole.steps) if step["op"] == "entropy_decode")
    latents = Route(whole.kind, whole.scale, whole.steps[: last + 1], whole.about)
    routes.execute(latents, run, codec.machine)
    return {name: torch.from_numpy(on_host(run.symbols[name])) for name in names}


def encode_symbols(network: Any, symbols: dict[str, Tensor], hyper: Hyper) -> tuple[bytes, ...]:
    """CompressAI's strings of these symbols, y before z, as its ``compress()`` orders them."""
    from compressai.entropy_models import EntropyModel

    bottleneck = network.entropy_bottleneck
    first, *rest = symbols.values()
    # The base class codes what it is given; EntropyBottleneck.compress would take medians off.
    indexes = bottleneck._build_indexes(first.size())
    strings = EntropyModel.compress(bottleneck, first.float(), indexes)
    if rest:
        conditional = network.gaussian_conditional
        z_hat = bottleneck.decompress(strings, first.size()[-2:])
        rows = conditional.build_indexes(hyper(z_hat))
        strings = [*conditional.compress(rest[0].float(), rows), *strings]
    return tuple(strings)
