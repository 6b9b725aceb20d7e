"""Our coders and CompressAI's for the entropy-coding benchmark; `entropy_others` has the rest.

A contender gets its inputs in the form that its users hold them in (`prepare`, not timed) and
answers in the form that its call gives; making bytes or arrays of that is not timed either.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from compressai import ans
from compressai.entropy_models import GaussianConditional
from entropy_latents import Latent, LatentSet
from numpy.typing import NDArray

from latentsr.entropy import Coder, Tables, isa

BASE = "CompressAI"
OURS = "latentsr"


class Contender(ABC):
    """One coder on one data set. `slow` ones run in few rounds; `ways` says what is timed."""

    slow = False
    ways: tuple[str, ...] = ("encode", "decode")
    same_bytes_as: str | None = None
    threads = 1
    skip = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def coded(self, latent: Latent) -> Latent:
        """The latent that this coder takes: the same, unless it changes symbols."""
        return latent

    @abstractmethod
    def prepare(self, latent: Latent) -> Any:
        """Inputs of `encode` and `decode`."""

    @abstractmethod
    def encode(self, ready: Any) -> Any: ...

    @abstractmethod
    def decode(self, stream: Any, ready: Any) -> Any: ...

    def to_bytes(self, stream: Any) -> bytes:
        return bytes(stream)

    def symbols(self, decoded: Any) -> NDArray[np.int32]:
        """A decoded result as flat int32, for the check."""
        return np.asarray(decoded).reshape(-1).astype(np.int32)


class CompressAI(Contender):
    """GaussianConditional.compress and decompress, tensors at both ends."""

    slow = True

    def __init__(self, latents: LatentSet) -> None:
        super().__init__(BASE)
        self.model = GaussianConditional(latents.scales.tolist())
        tables = latents.tables
        self.model._quantized_cdf = torch.from_numpy(tables.cdf.copy())
        self.model._cdf_length = torch.from_numpy(tables.length.copy())
        self.model._offset = torch.from_numpy(tables.offset.copy())

    def prepare(self, latent: Latent) -> Any:
        shape = (1, 1, 1, -1)
        y = torch.from_numpy(latent.symbols).float().reshape(shape)
        return y, torch.from_numpy(latent.indexes.astype(np.int32)).reshape(shape)

    def encode(self, ready: Any) -> Any:
        return self.model.compress(*ready)

    def decode(self, stream: Any, ready: Any) -> Any:
        return self.model.decompress(stream, ready[1])

    def to_bytes(self, stream: Any) -> bytes:
        return bytes(stream[0])


class CompressAIAns(Contender):
    """The calls into CompressAI's C++ coder alone, lists at both ends."""

    slow = True
    same_bytes_as = BASE

    def __init__(self, tables: Tables) -> None:
        super().__init__("CompressAI ans")
        self.cdf = (tables.cdf.tolist(), tables.length.tolist(), tables.offset.tolist())

    def prepare(self, latent: Latent) -> Any:
        return latent.symbols.tolist(), latent.indexes.tolist()

    def encode(self, ready: Any) -> Any:
        return ans.RansEncoder().encode_with_indexes(*ready, *self.cdf)

    def decode(self, stream: Any, ready: Any) -> Any:
        return ans.RansDecoder().decode_with_indexes(stream, ready[1], *self.cdf)


class Ours(Contender):
    """`Coder` in one form, arrays at both ends; the decoder makes its array anew, as all do.

    isa: instructions of the `lanes` decoder, None for the widest. The encoder is the same for
    all, so it is timed once, with the widest.
    """

    def __init__(
        self, tables: Tables, form: str, isa: str | None = None, threads: int = 1, skip: int = 0
    ) -> None:
        words = [OURS, form, isa or "", f"skip {skip}" if skip else ""]
        name = " ".join(word for word in words if word)
        super().__init__(name + (f", {threads} threads" if threads > 1 else ""))
        self.form, self.threads, self.skip = form, threads, skip
        self.coder = _coder(tables, isa, skip)
        if form == "compressai":
            self.same_bytes_as = BASE

    def coded(self, latent: Latent) -> Latent:
        if not self.skip:
            return latent
        symbols = np.where(latent.indexes < self.skip, 0, latent.symbols).astype(np.int32)
        return Latent(symbols, latent.indexes)

    def prepare(self, latent: Latent) -> Any:
        return latent.symbols, latent.indexes

    def encode(self, ready: Any) -> Any:
        return self.coder.encode(*ready, self.form, self.threads)

    def decode(self, stream: Any, ready: Any) -> Any:
        return self.coder.decode(stream, ready[1], self.form, self.threads)


def lanes_and_parts(stream: bytes) -> tuple[int, int]:
    """What the encoder chose, from the first byte of a stream of the `lanes` form."""
    return 1 << (stream[0] & 7), 1 << (stream[0] >> 4)


def _coder(tables: Tables, name: str | None, skip: int) -> Coder:
    """A coder bound to one instruction set: it reads the variable with its first stream."""
    before = os.environ.get(isa.VARIABLE)
    os.environ[isa.VARIABLE] = name or ""
    coder = Coder(tables, skip)
    one = np.zeros(1, np.uint8)
    coder.decode(coder.encode(one.astype(np.int32), one, "lanes"), one, "lanes")
    if before is None:
        del os.environ[isa.VARIABLE]
    else:
        os.environ[isa.VARIABLE] = before
    return coder


def own(latents: LatentSet) -> list[Contender]:
    """CompressAI's two levels and our coders on one data set."""
    tables = latents.tables
    found: list[Contender] = [
        CompressAI(latents), CompressAIAns(tables), Ours(tables, "compressai"),
    ]  # fmt: skip
    names = isa.supported()
    for name in names:
        contender = Ours(tables, "lanes", name)
        contender.ways = ("encode", "decode") if name == names[-1] else ("decode",)
        found.append(contender)
    if latents.threads:
        found.append(Ours(tables, "lanes", names[-1], threads=2))
    if latents.skip:
        found.append(Ours(tables, "lanes", names[-1], skip=latents.skip))
    return found
