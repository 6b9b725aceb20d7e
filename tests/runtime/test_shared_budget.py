"""Several pictures at a time within one memory budget, in Python and on the command line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr
from command_line import latentsr as command
from latentsr.bundle import Bundle
from latentsr.cli.batch import Manner, run_jobs
from latentsr.codec import Codec
from latentsr.errors import BudgetError, UsageError
from latentsr.pipeline.schedule import ordered
from latentsr.tiling.shared import Allowance, SharedBudget
from tiling_cases import assert_same

MIB = 1 << 20
SIZES = ((101, 75), (40, 30), (300, 200), (64, 75), (200, 150))


class Account:
    """Bytes that are given to calls at a time, and what each call of a picture was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.given: dict[int, list[int]] = {}
        self.now = self.most = 0

    def use(self, picture: int, memory: int | None, work: Callable[[], Any]) -> Any:
        assert memory is not None
        with self._lock:
            self.given.setdefault(picture, []).append(memory)
            self.now += memory
            self.most = max(self.most, self.now)
        try:
            return work()
        finally:
            with self._lock:
                self.now -= memory


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    with latentsr.load("demo", threads=1) as codec:
        yield codec


@pytest.fixture(scope="module")
def streams(codec: Codec, picture: np.ndarray) -> list[bytes]:
    wide = np.tile(picture, (3, 3, 1))
    return [codec.encode(wide[:height, :width]) for height, width in SIZES]


@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_parts_never_exceed_the_whole(jobs: int) -> None:
    """Each third picture needs more than a part."""
    budget, account = SharedBudget("24MiB", jobs), Account()
    needs = [20 * MIB if number % 3 == 0 else MIB for number in range(60)]

    def work(number: int) -> int:
        def call(allowance: Allowance | None) -> int:
            assert allowance is not None
            assert allowance.shared == (allowance.bytes < 24 * MIB)

            def made() -> int:
                threading.Event().wait(0.001)
                if allowance.bytes < needs[number]:
                    raise BudgetError("too small")
                return number

            return account.use(number, allowance.bytes, made)

        return budget.spend(call)

    assert list(ordered(work, range(60), jobs)) == list(range(60))
    assert account.most <= 24 * MIB
    part = 24 * MIB // jobs
    for number, need in enumerate(needs):
        expected = [part] if part >= need else [part, 24 * MIB]
        assert account.given[number] == expected


def test_what_no_budget_holds() -> None:
    def never(allowance: Allowance | None) -> None:
        assert allowance is not None
        raise BudgetError(f"found {allowance.bytes}")

    budget = SharedBudget("3MiB", 2)
    for _ in range(2):
        with pytest.raises(BudgetError, match=str(3 * MIB)):
            budget.spend(never)
    # Parts below the smallest budget that there is are not tried.
    given: list[Allowance | None] = []
    SharedBudget("3MiB", 4).spend(given.append)
    assert given == [Allowance(3 * MIB, False)]
    with pytest.raises(ValueError, match="broken"):
        budget.spend(lambda allowance: int("broken"))
    assert budget.spend(lambda allowance: allowance) == Allowance(3 * MIB // 2, True)


def test_the_coder_counts_beside_other_pictures() -> None:
    """The demo's y: 96 channels at stride 16, 9 bytes for each latent."""
    manifest = Bundle("demo").manifest
    assert Allowance(MIB, False).beside_coder(manifest, 7680, 4320) == MIB
    assert Allowance(2 * MIB, True).beside_coder(manifest, 64, 64) == 2 * MIB - 16 * 96 * 9
    assert Allowance(2 * MIB, True).beside_coder(manifest, 1, 1) == 2 * MIB - 96 * 9
    with pytest.raises(BudgetError, match="found 100 MiB, expected about 110 MiB for the coder"):
        Allowance(100 * MIB, True).beside_coder(manifest, 7680, 4320 + 80)


@pytest.mark.parametrize("jobs", [None, 1, 2, 3])
def test_many(
    codec: Codec, streams: list[bytes], monkeypatch: pytest.MonkeyPatch, jobs: int | None
) -> None:
    expected = [codec.upscale(stream) for stream in streams]
    account, plain = Account(), Codec.upscale

    def upscale(own: Codec, data: bytes, route: str | None, memory: int | None) -> Any:
        number = streams.index(data)
        return account.use(number, memory, lambda: plain(own, data, route, memory))

    monkeypatch.setattr(Codec, "upscale", upscale)
    found = list(codec.upscale_many(streams, memory="24MiB", jobs=jobs))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert account.most <= 24 * MIB
    coder = 0 if jobs in (None, 1) else 3 * 2 * 96 * 9  # of a picture of 40 rows, 30 columns
    assert account.given[1] == [24 * MIB // (jobs or 1) - coder]
    assert account.given[2][-1] == 24 * MIB  # a part does not hold the largest


def test_decode(codec: Codec, streams: list[bytes]) -> None:
    expected = [codec.decode(stream) for stream in streams]
    found = codec.decode_many(streams, memory="16MiB", jobs=2)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
        # Of tiles, and of this picture.
        assert "entropy_parameters_exact" in [stage.name for stage in codec.timeline.stages]
    errors = list(codec.decode_many(streams[2:3], memory="1MiB", on_error="yield"))
    assert isinstance(errors[0], BudgetError) and "found 1 MiB" in str(errors[0])


def test_encode(codec: Codec, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [picture, picture[:50]]
    expected = [codec.encode(one) for one in pictures]
    account, plain = Account(), Codec.encode

    def encode(own: Codec, image: np.ndarray, *how: Any, memory: int | None) -> bytes:
        return account.use(len(image), memory, lambda: plain(own, image, *how, memory=memory))

    monkeypatch.setattr(Codec, "encode", encode)
    assert list(codec.encode_many(pictures, memory="24MiB", jobs=2)) == expected
    # Each of them its part, beside 7x5 and 4x5 latents of 96 channels.
    assert account.given == {101: [12 * MIB - 35 * 96 * 9], 50: [12 * MIB - 20 * 96 * 9]}
    errors = list(codec.encode_many(pictures, memory="1MiB", on_error="yield"))
    assert all(isinstance(error, BudgetError) for error in errors)


def test_results_do_not_pile_up(codec: Codec, streams: list[bytes]) -> None:
    pulled = []

    def endless() -> Iterator[bytes]:
        while True:
            pulled.append(1)
            yield streams[1]

    iterator = codec.decode_many(endless(), memory="16MiB")
    for number in range(1, 4):
        next(iterator)
        assert len(pulled) == number
    iterator.close()


def test_budgets_that_are_none(codec: Codec) -> None:
    for call in (codec.decode_many, codec.upscale_many, codec.encode_many):
        with pytest.raises(UsageError, match="memory budget is not known: found 'lots'"):
            call([], memory="lots")


@pytest.mark.parametrize(("jobs", "part"), [(None, 24), (2, 12), (8, 8)])
def test_files_share_a_budget(
    codec: Codec, tmp_path: Path, jobs: int | None, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three files; more jobs than files do not make the parts smaller."""
    account = Account()

    def job(own: Codec, source: Path, target: Path, part: Allowance | None) -> dict[str, Any]:
        assert part is not None
        account.use(int(source.stem), part.bytes, lambda: threading.Event().wait(0.01))
        target.write_bytes(b"made")
        return {}

    pairs = [(tmp_path / f"{n}.lss", tmp_path / f"{n}.png") for n in range(3)]
    for source, _ in pairs:
        source.touch()
    run_jobs(codec, pairs, job, Manner(jobs=jobs, memory="24MiB"), {})
    assert account.most <= 24 * MIB
    assert account.given == {n: [part * MIB] for n in range(3)}
    assert capsys.readouterr().out.count("4 bytes") == 3


def test_commands(streams: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, stream in enumerate(streams):
        (tmp_path / "in" / f"{number}.lss").write_bytes(stream)
    within = ("--memory", "24MiB", "--jobs", "3")
    command("upscale", "in", "-o", "large", *within, cwd=tmp_path)
    command("decode", "in", "-o", "low", *within, cwd=tmp_path)
    command("encode", "low", "-o", "again", *within, cwd=tmp_path)
    for folder in ("large", "low", "again"):
        assert len(list((tmp_path / folder).iterdir())) == len(streams)
    failed = command("decode", "in", "-o", "x", "--memory", "1MiB", "--jobs", "3", cwd=tmp_path,
                     code=2)  # fmt: skip
    assert "memory budget is too small: found 1 MiB" in failed.stderr
    failed = command("decode", "nowhere", "--memory", "lots", cwd=tmp_path, code=2)
    assert "memory budget is not known: found 'lots'" in failed.stderr
