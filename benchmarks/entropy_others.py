"""Coders of other projects for the entropy-coding benchmark; each is left out if not installed.

constriction (QuantizedGaussian with arrays of means and standard deviations) evaluates the
distribution for each symbol, with 24 bits of precision, where all others look tables up; its
alphabet is the range of the data set's symbols. torch_ans codes with CompressAI's tables: the
64-bit coders take them as they are, the 32-bit ones with 16-bit words allow 15 bits, so their
tables are made by CompressAI's own function from the same probabilities. Its lookups are the
default search and the inverse table with the precision that its `auto` rule gives.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from compressai._CXX import pmf_to_quantized_cdf
from entropy_contenders import Contender
from entropy_latents import Latent, LatentSet
from numpy.typing import NDArray

from latentsr.entropy import Tables

# (coder, interleaved states, bits of precision, inverse table)
TORCH_ANS = (
    ("rans64", 1, 16, True),
    ("rans64", 4, 16, False),
    ("rans32_16", 4, 15, True),
    ("rans32_16", 32, 15, True),
)


class Constriction(Contender):
    """AnsCoder with a Gaussian for each symbol; uint32 words at the coded end."""

    slow = True

    def __init__(self, latents: LatentSet) -> None:
        super().__init__("constriction")
        import constriction

        self.coder = constriction.stream.stack.AnsCoder
        least = min(int(latent.symbols.min()) for latent in latents.ring)
        most = max(int(latent.symbols.max()) for latent in latents.ring)
        self.family = constriction.stream.model.QuantizedGaussian(least, most)
        self.scales = latents.scales

    def prepare(self, latent: Latent) -> Any:
        stds = self.scales[latent.indexes]
        return latent.symbols, np.zeros_like(stds), stds

    def encode(self, ready: Any) -> Any:
        symbols, means, stds = ready
        coder = self.coder()
        coder.encode_reverse(symbols, self.family, means, stds)
        return coder.get_compressed()

    def decode(self, stream: Any, ready: Any) -> Any:
        return self.coder(stream).decode(self.family, *ready[1:])

    def to_bytes(self, stream: Any) -> bytes:
        return bytes(stream.tobytes())


class TorchAns(Contender):
    """TorchANSInterface with CompressAI-like tables; int32 tensors and bytes."""

    def __init__(
        self, tables: Tables, coder: str, states: int, precision: int, inverse: bool
    ) -> None:
        lookup = "inverse table" if inverse else "search"
        super().__init__(f"torch_ans {coder} x{states} {lookup}")
        from torch_ans import utils

        cdf = torch.from_numpy(_at_precision(tables, precision))
        bits = None
        if inverse:
            bits = utils.auto_inverse_cdf_precision(
                cdf.shape[1], precision, num_distributions=len(cdf), itemsize=cdf.element_size()
            )
        self.coder = utils.TorchANSInterface(
            impl=coder, freq_precision=precision, num_interleaves=states, device="cpu",
            inverse_cdf_precision=bits,
        )  # fmt: skip
        if bits is not None:
            cdf = utils.build_cdf_with_inverse_table(cdf, precision, bits)
        length, offset = (torch.from_numpy(x.copy()) for x in (tables.length, tables.offset))
        self.coder.set_cdfs(cdf, length, offset)

    def prepare(self, latent: Latent) -> Any:
        symbols, indexes = (x.astype(np.int32) for x in (latent.symbols, latent.indexes))
        return torch.from_numpy(symbols).reshape(1, -1), torch.from_numpy(indexes).reshape(1, -1)

    def encode(self, ready: Any) -> Any:
        return self.coder.encode_with_indexes(*ready)

    def decode(self, stream: Any, ready: Any) -> Any:
        return self.coder.decode_with_indexes(stream, ready[1])


def _at_precision(tables: Tables, precision: int) -> NDArray[np.int32]:
    """The tables with another sum of frequencies, escape slot last as before."""
    if precision == tables.precision:
        return tables.cdf.copy()
    made = np.zeros_like(tables.cdf)
    for row, length in enumerate(tables.length):
        pmf = np.diff(tables.cdf[row, :length]) / (1 << tables.precision)
        made[row, :length] = pmf_to_quantized_cdf(pmf.tolist(), precision)
    return made


def others(latents: LatentSet) -> tuple[list[Contender], dict[str, str]]:
    """Coders that are installed and can be set up, and why the rest is left out."""
    builders = {"constriction": [lambda: Constriction(latents)]}
    builders["torch_ans"] = [
        lambda how=how: TorchAns(latents.tables, *how)  # type: ignore[misc]
        for how in TORCH_ANS
    ]
    found: list[Contender] = []
    left_out: dict[str, str] = {}
    for package, makers in builders.items():
        if find_spec(package) is None:
            left_out[package] = "not installed"
            continue
        for number, make in enumerate(makers):
            try:
                found.append(make())
            except Exception as error:  # whatever another project raises is worth a line only
                left_out[f"{package} {number}"] = f"{type(error).__name__}: {error}"
    return found, left_out
