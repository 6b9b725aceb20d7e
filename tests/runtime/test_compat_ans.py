"""latentsr.compat.ans: CompressAI's answers where it has them, clear errors where it has none."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from entropy_cases import CompressaiCoder, draw, gaussian_tables, random_tables, tables_from_rows
from latentsr.compat import ans, table_cache
from latentsr.entropy import Tables
from latentsr.errors import CorruptStream, UsageError

REACH = 1 << 27
"""CompressAI codes values less than this far outside their row."""


def lists(tables: Tables) -> tuple[list[list[int]], list[int], list[int]]:
    return tables.cdf.tolist(), tables.length.tolist(), tables.offset.tolist()


def arrays(tables: Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tables.cdf, tables.length, tables.offset


@pytest.mark.parametrize("seed", range(300))
def test_equal_to_compressai(seed: int):
    theirs = pytest.importorskip("compressai.ans", reason="needs CompressAI, the original coder")
    rng = np.random.default_rng(2000 + seed)
    made = [random_tables(rng), random_tables(rng)]
    outside = float(rng.choice([0, 0.02, 0.3, 1]))
    parts = [
        (tables, *draw(rng, tables, int(rng.integers(3, 80)), outside, REACH))
        for tables in (made * 3)[: rng.integers(1, 5)]
    ]
    expected, encoder = theirs.BufferedRansEncoder(), ans.BufferedRansEncoder()
    for number, (tables, symbols, indexes) in enumerate(parts):
        expected.encode_with_indexes(symbols.tolist(), indexes.tolist(), *lists(tables))
        if number % 2:
            encoder.encode_with_indexes(symbols, indexes, *arrays(tables))
        else:
            encoder.encode_with_indexes(symbols.tolist(), indexes.tolist(), *lists(tables))
    stream = expected.flush()
    assert encoder.flush() == stream
    original, decoder = theirs.RansDecoder(), ans.RansDecoder()
    original.set_stream(stream)
    decoder.set_stream(stream)
    for number, (tables, symbols, indexes) in enumerate(parts):
        assert original.decode_stream(indexes.tolist(), *lists(tables)) == symbols.tolist()
        if number % 2:
            decoded = decoder.decode_stream(indexes, *arrays(tables))
            assert np.array_equal(decoded, symbols)
        else:
            assert decoder.decode_stream(indexes.tolist(), *lists(tables)) == symbols.tolist()
    tables, symbols, indexes = parts[0]
    given = (symbols.tolist(), indexes.tolist(), *lists(tables))
    whole = theirs.RansEncoder().encode_with_indexes(*given)
    assert ans.RansEncoder().encode_with_indexes(*given) == whole
    assert ans.RansEncoder().encode_with_indexes(symbols, indexes, *arrays(tables)) == whole
    assert ans.RansDecoder().decode_with_indexes(whole, *given[1:]) == given[0]
    # A stream may hold more than is asked for.
    some = ans.RansDecoder().decode_with_indexes(whole, indexes[:2], *arrays(tables))
    assert np.array_equal(some, symbols[:2])


def test_symbols_come_back_as_they_were_asked_for():
    tables = gaussian_tables(8)
    symbols, indexes = draw(np.random.default_rng(0), tables, 24)
    stream = CompressaiCoder(tables).encode(symbols, indexes)
    decoder = ans.RansDecoder()
    listed = decoder.decode_with_indexes(stream, indexes.tolist(), *lists(tables))
    assert isinstance(listed, list)
    assert all(type(symbol) is int for symbol in listed)
    shaped = decoder.decode_with_indexes(stream, indexes.reshape(4, 6), *lists(tables))
    assert isinstance(shaped, np.ndarray)
    assert shaped.shape == (4, 6)
    assert decoder.decode_with_indexes(stream, tuple(indexes), *lists(tables)) == listed


def test_what_has_array_is_an_array():
    torch = pytest.importorskip("torch", reason="tensors are the usual arrays")
    tables = gaussian_tables(8)
    symbols, indexes = draw(np.random.default_rng(1), tables, 30)
    given = [torch.from_numpy(x.copy()) for x in (symbols, indexes.astype(int), *arrays(tables))]
    stream = ans.RansEncoder().encode_with_indexes(*given)
    assert stream == CompressaiCoder(tables).encode(symbols, indexes)
    assert np.array_equal(ans.RansDecoder().decode_with_indexes(stream, *given[1:]), symbols)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_streams(count: int):
    """CompressAI writes outside its buffer for these, or reads outside it."""
    tables = tables_from_rows([[0, 40000, 65536]], [0])
    for symbols in ([0] * count, [5] * count):
        indexes = [0] * count
        stream = ans.RansEncoder().encode_with_indexes(symbols, indexes, *lists(tables))
        buffered = ans.BufferedRansEncoder()
        buffered.encode_with_indexes(symbols, indexes, *lists(tables))
        assert buffered.flush() == stream
        assert ans.RansDecoder().decode_with_indexes(stream, indexes, *lists(tables)) == symbols


def test_every_int32():
    """CompressAI does not return for values of 2^27 and more outside their row."""
    tables = tables_from_rows([[0, 40000, 65536]], [0])
    symbols = [-(2**31), 2**31 - 1, 2**27 + 2, -(2**27) - 2]
    stream = ans.RansEncoder().encode_with_indexes(symbols, [0] * 4, *lists(tables))
    assert ans.RansDecoder().decode_with_indexes(stream, [0] * 4, *lists(tables)) == symbols


def test_streams_that_are_none():
    given = ([0, 0], *lists(gaussian_tables(4)))
    for data in (b"", b"\0", bytes(8), b"\xff" * 8, bytes(9)):
        with pytest.raises(CorruptStream):
            ans.RansDecoder().decode_with_indexes(data, *given)
        with pytest.raises(CorruptStream):
            ans.RansDecoder().set_stream(data)
    with pytest.raises(UsageError, match="found str, expected bytes"):
        ans.RansDecoder().set_stream("abc")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="call set_stream first"):
        ans.RansDecoder().decode_stream(*given)
    rows = [3] * 1000
    decoder = ans.RansDecoder()
    decoder.set_stream(ans.RansEncoder().encode_with_indexes([9] * 1000, rows, *given[1:])[:-4])
    with pytest.raises(CorruptStream, match="truncated"):
        decoder.decode_stream(rows, *given[1:])


def test_wrong_arguments_are_explained():
    cdf, length, offset = lists(tables_from_rows([[0, 40000, 65536], [0, 1, 65536]], [0, 0]))
    code = ans.RansEncoder().encode_with_indexes
    for given, message in (
        (([0, 0], [0], cdf, length, offset), "indexes: found 1, expected 2"),
        (([0], [2], cdf, length, offset), "element 0: found 2, expected 0 to 1"),
        (([0], [-1], cdf, length, offset), "element 0: found -1"),
        (([0.5], [0], cdf, length, offset), "symbols: .*float"),
        ((["a"], [0], cdf, length, offset), "symbols: .*str"),
        (([2**31], [0], cdf, length, offset), "symbols: found a value beyond 32 bits"),
        (([0], [2**70], cdf, length, offset), "indexes: found a value beyond 32 bits"),
        ((np.array([0.5]), [0], cdf, length, offset), "symbols: found float64"),
        (([0], [0], cdf, length[:1], offset), "cdf lengths: found 1 elements, expected 2"),
        (([0], [0], cdf, length, [*offset, 0]), "offsets: found 3 elements, expected 2"),
        (([0], [0], [[0, 65536, 65536], cdf[1]], length, offset), "row 0: found distribution"),
        (([0], [0], cdf, [3, 4], offset), "row 1: found length 4"),
        (([0], [0], cdf, [3, -4], offset), "row 1: found length -4"),
        (([0], [0], [3, 4], length, offset), "entropy tables: "),
        (([0], [0], [[0, "1", 65536], cdf[1]], length, offset), "entropy tables: "),
        (([0], [0], np.array(cdf)[0], length, offset), "cdfs: found 1 dimensions"),
        (([0], [0], np.array(cdf) * 1.0, length, offset), "cdfs: found float64"),
    ):
        with pytest.raises(UsageError, match=message):
            code(*given)


def test_a_list_changed_in_place_is_another_table():
    tables = gaussian_tables(8)
    symbols, indexes = draw(np.random.default_rng(2), tables, 50, outside=0)
    cdf, length, offset = lists(tables)
    encoder = ans.RansEncoder()
    first = encoder.encode_with_indexes(symbols, indexes, cdf, length, offset)
    for values, place in ((cdf[1], length[1] // 2), (offset, 1), (length, 1)):
        values[place] -= 1
        if values is length:
            with pytest.raises(UsageError, match="row 1: found distribution"):
                encoder.encode_with_indexes(symbols, indexes, cdf, length, offset)
        else:
            rows = [row[:count] for row, count in zip(cdf, length, strict=True)]
            expected = CompressaiCoder(tables_from_rows(rows, offset)).encode(symbols, indexes)
            found = encoder.encode_with_indexes(symbols, indexes, cdf, length, offset)
            assert found == expected != first
        values[place] += 1
        assert encoder.encode_with_indexes(symbols, indexes, cdf, length, offset) == first


def test_addresses_used_again_are_no_tables():
    """Lists that are made and dropped in turn often lie at the same addresses."""
    rng = np.random.default_rng(3)
    for turn in range(200):
        tables = random_tables(rng)
        symbols, indexes = draw(rng, tables, 20, 0.1, 1 << 20)
        given = lists(tables) if turn % 2 else [x.copy() for x in arrays(tables)]
        encoder = ans.BufferedRansEncoder()
        encoder.encode_with_indexes(symbols.tolist(), indexes.tolist(), *given)
        stream = encoder.flush()
        assert stream == CompressaiCoder(tables).encode(symbols, indexes)
        del given
        gc.collect(0)


def test_tables_are_prepared_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch):
    cache = table_cache.TableCache()
    made = [gaussian_tables(rows) for rows in range(2, 4 + table_cache.ENTRIES)]
    first = cache.find(*lists(made[0]))
    assert cache.find(*lists(made[0])) is first
    assert cache.find(*arrays(made[0])) is first
    for tables in made:
        cache.find(*arrays(tables))
    assert len(cache._kept) == table_cache.ENTRIES
    assert cache.find(*lists(made[0])) is not first
    monkeypatch.setattr(table_cache, "SLOTS", 10)
    large = cache.find(*lists(gaussian_tables(30)))
    assert all(kept is not large for kept in cache._kept)


def test_a_stream_looks_its_tables_up_once():
    looked_up = []

    class Counting(table_cache.TableCache):
        def find(self, *given):
            looked_up.append(given)
            return super().find(*given)

    stream = table_cache.StreamTables(Counting())
    given = lists(gaussian_tables(8))
    found = {id(stream.find(*given)) for _ in range(50)}
    assert len(found) == len(looked_up) == 1
    for _ in range(50):
        stream.find(*lists(gaussian_tables(8)))
    assert len(looked_up) == 51
    assert len(stream._seen) <= table_cache.ENTRIES


def test_lists_that_change_while_they_are_read():
    cdf, length, offset = lists(tables_from_rows([[0, 40000, 65536]] * 3, [0] * 3))

    class Clearing:
        def __init__(self, *victims: list) -> None:
            self.victims = victims

        def __index__(self) -> int:
            for victim in self.victims:
                victim.clear()
            return 0

    values = [0, Clearing(), 0]
    values[1].victims = (values,)  # type: ignore[attr-defined]
    ans.RansEncoder().encode_with_indexes(values, [0, 0, 0], cdf, length, offset)
    hostile = [*offset]
    hostile[0] = Clearing(cdf, length, hostile)  # type: ignore[call-overload]
    with pytest.raises(UsageError):
        ans.RansEncoder().encode_with_indexes([0], [0], cdf, length, hostile)
