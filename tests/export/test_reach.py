"""Interval maps along one axis: composed, joined and in turn as the positions themselves are."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest

pytest.importorskip("torch", reason="the exporter needs torch")

from latentsr_export import reach
from latentsr_export.reach import IDENTITY, MAX_PERIOD, NotLocalError, Reach, Taps

Reads = Callable[[int], list[int]]
# An operator, the positions that its output o reads, and how many outputs it makes of one input.
OPERATORS: dict[str, tuple[Taps, Reads, Fraction]] = {
    "convolution": (
        reach.convolution(3, 1, 2, 2), lambda o: [o + 2 * k - 2 for k in range(3)], Fraction(1)
    ),
    "strided": (
        reach.convolution(5, 2, 2, 1), lambda o: [2 * o + k - 2 for k in range(5)], Fraction(1, 2)
    ),
    "pooled": (reach.convolution(3, 3, 0, 1), lambda o: [3 * o + k for k in range(3)],
               Fraction(1, 3)),
    "transposed": (
        reach.transposed(5, 2, 2, 1),
        lambda o: [t for t in range(-60, 200) if o in range(2 * t - 2, 2 * t + 3)], Fraction(2)
    ),
    "transposed with gaps": (
        reach.transposed(2, 3, 0, 1),
        lambda o: [t for t in range(-60, 200) if o - 3 * t in (0, 1)], Fraction(3)
    ),
    "shuffled": (reach.shuffled(3), lambda o: [o // 3], Fraction(3)),
    "gathered": (reach.gathered(2), lambda o: [2 * o, 2 * o + 1], Fraction(1, 2)),
    "every second": (reach.every(2, 1), lambda o: [2 * o + 1], Fraction(1, 2)),
    "shifted": (reach.shifted(1, 2, 3), lambda o: list(range(o - 1, o + 5)), Fraction(1)),
    "linear": (
        reach.resized(Fraction(3, 2), lambda o: (o + Fraction(1, 2)) / Fraction(3, 2)
                      - Fraction(1, 2), "linear"),
        lambda o: [math.floor((4 * o - 1) / 6), math.floor((4 * o - 1) / 6) + 1], Fraction(3, 2)
    ),
}  # fmt: skip


def _read(names: tuple[str, ...], o: int) -> reach.Span:
    """First and last input behind some operators, one behind the other."""
    places = {o}
    for name in reversed(names):
        read = {t for place in places for t in OPERATORS[name][1](place)}
        places = set(range(min(read), max(read) + 1)) if read else set()
    return (min(places), max(places)) if places else None


def _composed(names: tuple[str, ...]) -> Reach:
    made = IDENTITY
    for name in names:
        made = reach.compose(made, OPERATORS[name][0])
    return made


# What reads nothing leaves holes, which intervals do not have.
PLAIN = [name for name in OPERATORS if name != "transposed with gaps"]


@pytest.mark.parametrize("second", PLAIN)
@pytest.mark.parametrize("first", PLAIN)
def test_operators_one_behind_the_other(first: str, second: str) -> None:
    made = _composed((first, second))
    assert made.ratio == OPERATORS[first][2] * OPERATORS[second][2]
    for o in range(-12, 25):
        assert made.at(o) == made.repeated(3).at(o) == _read((first, second), o)


def test_positions_that_read_nothing() -> None:
    made = _composed(("transposed with gaps",))
    assert [made.at(o) for o in range(-1, 4)] == [None, (0, 0), (0, 0), None, (1, 1)]
    # A neighbour that reads something is all that counts.
    wide = reach.compose(made, reach.convolution(3, 1, 1, 1))
    assert [wide.at(o) for o in range(4)] == [(0, 0), (0, 0), (0, 1), (1, 1)]


def test_joined_values_need_what_each_needs() -> None:
    names = ("convolution",), ("shuffled", "gathered", "strided", "transposed", "transposed",
                               "pooled")  # fmt: skip
    made = reach.union([_composed(one) for one in names])
    for o in range(-12, 25):
        (a, b), (c, d) = (_composed(one).at(o) or (0, 0) for one in names)
        assert made.at(o) == (min(a, c), max(b, d))
    assert reach.union([IDENTITY]) == IDENTITY
    with pytest.raises(NotLocalError, match="joins values of different sizes"):
        reach.union([IDENTITY, _composed(("shuffled",))])


def test_values_in_turn() -> None:
    given = [None, _composed(("convolution",)), _composed(("shuffled", "pooled"))]
    made = reach.interleaved(given)
    assert made.ratio == 3
    for o in range(-12, 25):
        one = given[o % 3]
        assert made.at(o) == (None if one is None else one.at(o // 3))
    with pytest.raises(NotLocalError, match="values of different sizes in turn"):
        reach.interleaved([IDENTITY, _composed(("strided",))])


def test_periods_are_no_longer_than_they_need_be() -> None:
    assert len(_composed(("shuffled", "shuffled")).spans) == 9
    assert len(_composed(("transposed", "gathered")).spans) == 1
    assert len(_composed(("transposed", "pooled", "gathered")).spans) == 1


def test_periods_that_are_too_long() -> None:
    assert len(reach.compose(IDENTITY, reach.shuffled(MAX_PERIOD)).spans) == MAX_PERIOD
    with pytest.raises(NotLocalError, match=f"repeat only after {MAX_PERIOD + 1} outputs"):
        reach.compose(IDENTITY, reach.shuffled(MAX_PERIOD + 1))
    long, other = (IDENTITY.repeated(period) for period in (64, 81))
    with pytest.raises(NotLocalError, match="repeat only after 5184 outputs"):
        reach.union([long, other])
    half = IDENTITY.repeated(MAX_PERIOD // 2)
    assert len(reach.interleaved([half, IDENTITY]).spans) == MAX_PERIOD
    with pytest.raises(NotLocalError, match="in turn"):
        reach.interleaved([half, IDENTITY, IDENTITY])
