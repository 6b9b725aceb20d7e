"""Pillow's warning of large pictures, not passed on: what this package reads, it checks itself."""

from __future__ import annotations

import threading
import warnings
from types import TracebackType


class NoBombWarnings:
    """While a thread is inside, Pillow's DecompressionBombWarning is ignored, also as an error.

    Pillow warns from about 89 million samples on, in the middle of opening or loading, and refuses
    twice as many: that error stays. Warning filters belong to all threads, so the first one that
    comes in sets the filter, and the last to leave takes it away; there is one object for all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                from PIL import Image

                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(kind, error, trace)


no_bomb_warnings = NoBombWarnings()
