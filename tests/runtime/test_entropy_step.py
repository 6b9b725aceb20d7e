"""`EntropyModel` gives what the plain NumPy expressions and the coder give, bit for bit."""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from entropy_cases import gaussian_tables, tables_from_rows
from guarded import same_bits
from latentsr.chunks import Chunk
from latentsr.entropy import Coder, Tables, isa
from latentsr.errors import BundleError, DesyncError, ImageError, StreamError
from latentsr.pipeline.entropy_step import EntropyModel

TABLE = np.exp(np.linspace(np.log(0.11), np.log(256), 64)).astype(np.float32)
THRESHOLDS = np.arange(-5, 59, dtype=np.float32) * 7
SIZE = (6, 10)


class Given:
    """As much of a bundle as an entropy model asks for."""

    manifest = SimpleNamespace(exact={"float": "twin"})

    def __init__(self, tables: Tables, **tensors: NDArray) -> None:
        self._tables, self._tensors = tables, tensors
        self.tensors: dict[str, NDArray] = {}

    def tables(self, chunk: Chunk) -> Tables:
        return self._tables

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray:
        found = self._tensors[name.split(".")[1]]
        assert (found.dtype.name, found.shape) == (dtype, shape)
        return found


def coding(exact: bool, form: str = "lanes") -> Any:
    return SimpleNamespace(form=form, exact=exact, repairs=[])


def gaussian(channels: int = 5) -> EntropyModel:
    given = Given(gaussian_tables(), scale_table=TABLE, thresholds=THRESHOLDS)
    return EntropyModel(given, Chunk("y", "gaussian", channels, 1, 1, "y"))


def factorized(channels: int) -> EntropyModel:
    row = [0, 5000, 20000, 45000, 60000, 65000, 65536]
    tables = tables_from_rows([row] * channels, [-2] * channels)
    medians = np.random.default_rng(channels).normal(0, 2, channels).astype(np.float32)
    chunk = Chunk("z", "factorized", channels, 1, 1, "z")
    return EntropyModel(Given(tables, medians=medians), chunk)


def plain_encode(latent: NDArray, shift: Any, rows: NDArray, tables: Tables, form: str) -> Any:
    symbols = np.rint(latent - shift).astype(np.int32)
    data = Coder(tables).encode(symbols, rows.astype(np.int32), form)
    return data, symbols.astype(np.float32) + shift, symbols


@pytest.fixture(params=isa.supported(), autouse=True)
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, request.param)


def check(model: EntropyModel, given: tuple, expected: tuple, how: Any) -> None:
    latent, scales, means = given
    found = model.encode(latent, scales, means, how)
    assert found[0] == expected[0]
    assert same_bits(found[1], expected[1])
    assert same_bits(found[2], expected[2])
    decoded = model.decode(found[0], SIZE, scales, means, how)
    assert same_bits(decoded[0], expected[1])
    assert same_bits(decoded[1], expected[2])
    assert model.crc(decoded[1], 7) == zlib.crc32(expected[2].astype("<i4").tobytes(), 7)


@pytest.mark.parametrize("form", ["lanes", "compressai"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["each", "none", "channel", "row", "one"])
def test_gaussian_chunks(kind: str, exact: bool, form: str) -> None:
    rng = np.random.default_rng(1)
    model, shape = gaussian(), (1, 5, *SIZE)
    latent = rng.normal(0, 9, shape).astype(np.float32)
    scales = rng.integers(-40, 400, shape) if exact else np.exp(rng.uniform(-3, 6, shape))
    scales = scales.astype(np.float32)
    spread = {"each": shape, "channel": (1, 5, 1, 1), "row": (1, 1, 6, 1), "one": ()}
    means = rng.normal(0, 2, spread[kind]).astype(np.float32) if kind in spread else None
    if means is not None:
        means = np.asarray(means, np.float32)
    limits = THRESHOLDS if exact else TABLE
    rows = (limits[:-1] < scales[..., None]).sum(axis=-1)
    assert np.array_equal(model.indexes(scales, shape, exact), rows)
    shift = np.float32(0) if means is None else means
    expected = plain_encode(latent, shift, rows, model.coder.tables, form)
    check(model, (latent, scales, means), expected, coding(exact, form))


@pytest.mark.parametrize(("form", "skip"), [("lanes", 20), ("compressai", 0)])
def test_certain_zeros_are_left_out_in_lanes_alone(form: str, skip: int) -> None:
    """What the encoder goes on with is what the decoder gets, not what the latent was."""
    rng = np.random.default_rng(3)
    given = Given(gaussian_tables(), scale_table=TABLE, thresholds=THRESHOLDS)
    model = EntropyModel(given, Chunk("y", "gaussian", 5, 1, 1, "y", skip=20))
    shape = (1, 5, *SIZE)
    latent, means = (rng.normal(0, 3, shape).astype(np.float32) for _ in range(2))
    scales = np.exp(rng.uniform(-3, 6, shape)).astype(np.float32)
    rows = model.indexes(scales, shape, False).astype(np.int32)
    symbols = np.rint(latent - means).astype(np.int32)
    symbols[rows < skip] = 0
    assert np.count_nonzero(rows < 20) > 50
    data = Coder(model.coder.tables, skip).encode(symbols, rows, form)
    expected = data, symbols.astype(np.float32) + means, symbols
    check(model, (latent, scales, means), expected, coding(False, form))


@pytest.mark.parametrize("channels", [1, 3, 256, 257])
def test_factorized_chunks(channels: int) -> None:
    rng = np.random.default_rng(channels)
    model, shape = factorized(channels), (1, channels, *SIZE)
    latent = rng.normal(0, 3, shape).astype(np.float32)
    channel = np.arange(channels).reshape(1, -1, 1, 1)
    rows = np.broadcast_to(channel, shape)
    medians = np.random.default_rng(channels).normal(0, 2, channels).astype(np.float32)
    shift = medians.reshape(1, -1, 1, 1)
    for form in ("lanes", "compressai"):
        expected = plain_encode(latent, shift, rows, model.coder.tables, form)
        check(model, (latent, None, None), expected, coding(True, form))


def test_channels_rows_are_kept_for_one_shape() -> None:
    model = factorized(3)
    rows = model.indexes(None, (1, 3, 4, 5), True)
    assert rows.dtype == np.uint8 and not rows.flags.writeable
    assert rows[0, :, 3, 2].tolist() == [0, 1, 2]
    assert model.indexes(None, (1, 3, 4, 5), False) is rows
    other = model.indexes(None, (2, 3, 5, 4), True)
    assert other.shape == (2, 3, 5, 4) and (other[:, 2] == 2).all()
    assert model.indexes(None, (1, 3, 4, 5), True) is not rows
    assert factorized(257).indexes(None, (1, 257, 1, 1), True).dtype == np.int32


def test_a_huge_shape_is_not_kept() -> None:
    model = factorized(2)
    huge = model.indexes(None, (1, 2, 4097, 2048), True)
    assert model.indexes(None, (1, 2, 4097, 2048), True) is not huge


@pytest.mark.parametrize("bad", [np.nan, np.inf, -(2.0**31)])
def test_latents_out_of_range(bad: float) -> None:
    latent, scales = np.zeros((1, 5, *SIZE), np.float32), np.ones((1, 5, *SIZE), np.float32)
    latent[0, 1, 0, 2] = bad
    for model in (gaussian(), factorized(5)):
        with pytest.raises(ImageError, match=r"out of range: found values .* at element 62,"):
            model.encode(latent, scales, None, coding(False))


def test_arrays_that_graphs_of_this_bundle_cannot_give() -> None:
    model, latent = gaussian(), np.zeros((1, 5, *SIZE), np.float32)
    for wrong in (latent[0], latent[:, :4], latent.astype(np.float64)):
        with pytest.raises(BundleError, match="latent y is of the wrong kind: found float"):
            model.encode(wrong, latent, None, coding(False))
    data, _, _ = model.encode(latent, latent, None, coding(False))
    for wrong in (latent[:, :4], latent[..., :3], latent.astype(np.float64), latent[None, None]):
        with pytest.raises(BundleError, match="means of chunk y are of the wrong kind: found fl"):
            model.encode(latent, latent, wrong, coding(False))
        with pytest.raises(BundleError, match="means of chunk y are of the wrong kind: found fl"):
            model.decode(data, SIZE, latent, wrong, coding(False))
    for wrong in (None, latent[0]):
        with pytest.raises(BundleError, match="scales of chunk y have the wrong shape"):
            model.decode(data, SIZE, wrong, None, coding(False))
    with pytest.raises(StreamError, match="scales, element 7: found NaN"):
        latent[0, 0, 0, 7] = np.nan
        model.decode(data, SIZE, latent, None, coding(False))
    with pytest.raises(DesyncError, match="chunk y ran out of step"):
        model.decode(data, SIZE, np.full_like(latent, 200), None, coding(False))
