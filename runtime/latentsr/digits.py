"""Numbers in messages, with as many digits as tell what was found from what was expected."""

from __future__ import annotations

import math

_MOST_DIGITS = 12


def apart(found: float, limit: float, digits: int) -> str:
    """A number with at least so many digits behind the point, and more where it shows the limit."""
    for more in range(digits, _MOST_DIGITS):
        text = f"{found:.{more}f}"
        if not math.isfinite(found) or float(text) != limit:
            return text
    return repr(found)


def sizes_apart(found: float, needed: float) -> tuple[str, str]:
    """Two sizes in bytes for people; the second is larger as shown, too, and never rounded down."""
    for more in range(_MOST_DIGITS):
        have, want = _size(found, more, up=False), _size(needed, more, up=True)
        if have[1] < want[1]:
            break
    return have[0], want[0]


def _size(size: float, more: int, up: bool) -> tuple[str, float]:
    """The text, with some digits more than usual, and what it says in bytes."""
    unit, name, digits = (1 << 20, "MiB", more) if size < 1 << 30 else (1 << 30, "GiB", more + 2)
    scale = 10**digits
    number = math.ceil(size / unit * scale) / scale if up else round(size / unit, digits)
    return f"{number:.{digits}f} {name}", number * unit
