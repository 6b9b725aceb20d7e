"""Lending: things that go back where they came from, and pools that keep them for the next.

Only single operations on deques touch what lies in a pool's shelves, which need no lock: a lease
may end at any moment, also while this very thread takes one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from latentsr.errors import EngineMemoryError

T = TypeVar("T")
KEPT = 4
"""Free things of one size that a pool keeps; what is beyond is dropped."""
MOST_SIZES = 256
"""Sizes that a pool keeps things of: pictures come in any size, each with a dozen of its own."""

_lent: dict[int, object] = {}
"""What leases hold. A lease may end in a cycle, with the error of a run that failed; what it holds
must not be finalised with it, as it goes back."""


@dataclass
class Lease(Generic[T]):
    """Holds something until nobody refers to the lease; then it goes back where it came from."""

    held: T
    back: Callable[[T], object]

    def __post_init__(self) -> None:
        _lent[id(self.held)] = self.held

    def __del__(self) -> None:
        del _lent[id(self.held)]
        self.back(self.held)


class Pool(Generic[T]):
    """Things of a size, made once and lent again; safe from several threads.

    make: makes one of so many bytes; drop: ends one. most_idle: bytes that are kept while nobody
    uses them, give or take what is lent now; sizes that were not asked for the longest go first.
    """

    def __init__(
        self, make: Callable[[int], T], drop: Callable[[T], object], most_idle: int
    ) -> None:
        self._make, self._drop, self._most_idle = make, drop, most_idle
        self.free: dict[int, deque[T]] = {}  # the size asked for last comes last
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Lease[T]:
        """Lend one of that size."""
        with self._lock:
            shelf = self.free.pop(nbytes, None)
            if shelf is None:  # an empty one stays: what is lent now comes back to it
                shelf = deque()
            self.free[nbytes] = shelf
        found = _taken(shelf)
        if found is None:
            self._keep_within(max(self._most_idle - nbytes, 0))
            found = self._made(nbytes)
        return Lease(found, lambda thing: self._return(shelf, thing))

    def clear(self) -> bool:
        """Drop all that nobody uses; whether there was any."""
        return self._keep_within(0)

    def _made(self, nbytes: int) -> T:
        """A new one, where need be in the place of those that lie idle."""
        try:
            return self._make(nbytes)
        except EngineMemoryError:
            if not self.clear():
                raise
        return self._make(nbytes)

    def _keep_within(self, nbytes: int) -> bool:
        """Drop idle things until the others fit; whether anything was dropped."""
        going = []
        with self._lock:
            idle = sum(size * len(shelf) for size, shelf in self.free.items())
            for size, shelf in list(self.free.items()):
                too_many = len(self.free) > MOST_SIZES
                if idle <= nbytes and not too_many:
                    break
                if too_many:  # what comes back to this shelf later ends with its lease
                    del self.free[size]
                idle -= size * len(shelf)
                going.append(shelf)
        dropped = 0
        for shelf in going:
            while (thing := _taken(shelf)) is not None:
                self._drop(thing)
                dropped += 1
        return dropped > 0

    def _return(self, shelf: deque[T], thing: T) -> None:
        if len(shelf) < KEPT:
            shelf.append(thing)
        else:
            self._drop(thing)


def _taken(shelf: deque[T]) -> T | None:
    """The last thing of a shelf; None where other threads took all."""
    try:
        return shelf.pop()
    except IndexError:
        return None
