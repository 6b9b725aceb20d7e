"""Memory budgets as people write them, and grids that fit into them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from latentsr.errors import UsageError
from latentsr.tiling.budget import parse_memory, shown
from latentsr.tiling.calls import parse_region
from latentsr.tiling.plan import cut


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 1 << 30), ("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("2048KiB", 2 << 20),
        ("64mb", 64 * 10**6), (" 2GB ", 2 * 10**9), ("1048576", 1 << 20), (1 << 21, 1 << 21),
        ("1TiB", 1 << 40),
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


def test_sizes_for_people() -> None:
    assert shown(64 << 20) == "64 MiB"
    assert shown(3 << 29) == "1.50 GiB"


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
