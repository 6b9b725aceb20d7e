"""Memory budgets as people write them, and grids that fit into them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from latentsr.digits import apart
from latentsr.errors import UsageError
from latentsr.tiling.budget import parse_memory, too_small
from latentsr.tiling.calls import parse_region
from latentsr.tiling.plan import cut


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 1 << 30), ("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("2048KiB", 2 << 20),
        ("64mb", 64 * 10**6), (" 2GB ", 2 * 10**9), ("1048576", 1 << 20), (1 << 21, 1 << 21),
        ("1TiB", 1 << 40), (np.int64(1 << 21), 1 << 21),
    ],
)  # fmt: skip
def test_sizes(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GiB",
        "-1GiB",
        "1 GiB x",
        "1e9",
        "0.5MiB",
        "0",
        1000,
        True,
        None,
        1.5,
        "1PiB",
        "9" * 40,
        "9" * 400,
        f"{'9' * 400}GiB",
    ],
)
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(UsageError, match="memory budget is not known"):
        parse_memory(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("memory", "needed", "found", "expected"),
    [
        (64 << 20, 65 << 20, "64 MiB", "65 MiB"),
        (64 << 20, 64.2 * (1 << 20), "64 MiB", "65 MiB"),
        (1 << 20, (1 << 20) + 1, "1 MiB", "2 MiB"),
        (1_900_000, 2_000_000, "1.8 MiB", "2.0 MiB"),
        (1_999_990, 2_000_000, "1.9 MiB", "2.0 MiB"),
        (3 << 29, 1.501 * (1 << 30), "1.50 GiB", "1.51 GiB"),
        ((1 << 30) - 1, 1 << 30, "1023.999999 MiB", "1.00000000 GiB"),
        (100 << 20, 5 << 30, "100 MiB", "5.00 GiB"),
    ],
)
def test_a_budget_and_what_it_lacks_differ_as_shown(
    memory: int, needed: float, found: str, expected: str
) -> None:
    error = too_small(memory, "at least", needed, "for this")
    assert str(error).startswith(
        f"memory budget is too small: found {found}, expected at least {expected} for this;"
    )
    # Whoever gives what is asked for gets along with it.
    assert parse_memory(expected) >= needed - 1


def test_numbers_beyond_a_limit_differ_from_it_as_shown() -> None:
    assert apart(0.7349, 0.5, 2) == "0.73"
    assert apart(0.5004, 0.5, 2) == "0.5004"
    assert apart(-0.02003, -0.02, 3) == "-0.02003"
    assert apart(0.5 + 2**-52, 0.5, 2) == repr(0.5 + 2**-52)
    assert (apart(float("nan"), 1, 2), apart(float("inf"), 1, 2)) == ("nan", "inf")


def test_regions_of_the_command_line() -> None:
    assert parse_region(None) is None
    assert parse_region("1, 2,30,40") == (1, 2, 30, 40)
    for text in (
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,2,3,4",
        "-1,2,3,4",
        "1.5,2,3,4",
        f"{'1' * 5000},0,1,1",
    ):
        with pytest.raises(UsageError, match="region is not known"):
            parse_region(text)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_cuts_cover_a_region_once(count: int) -> None:
    places = list(range(16, 160, 16))
    spans = cut((3, 157), places, count)
    assert spans[0][0] == 3
    assert spans[-1][1] == 157
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(a[1] in places for a in spans[:-1])
    assert len(spans) == min(count, len(places) + 1)
    assert max(b - a for a, b in spans) <= 154 / count + 16
