"""Which inputs an output depends on along one axis: a periodic interval map and its composition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

Span = tuple[int, int] | None
MAX_PERIOD = 4096
"""Longest period that is followed; a graph of a longer one has no window."""


class NotLocalError(Exception):
    """A graph has no window; the text says why."""


@dataclass(frozen=True)
class Reach:
    """Output o depends on inputs first..last, counted without the picture's borders.

    spans[o] is (first, last) for the outputs of one period, None where nothing is read; a period
    further, len(spans) outputs, everything lies `step` inputs further.
    """

    step: int
    spans: tuple[Span, ...]

    def at(self, o: int) -> Span:
        """First and last input that output o depends on."""
        turn, residue = divmod(o, len(self.spans))
        span = self.spans[residue]
        return None if span is None else (span[0] + turn * self.step, span[1] + turn * self.step)

    @property
    def ratio(self) -> Fraction:
        """Outputs for each input."""
        return Fraction(len(self.spans), self.step)

    def repeated(self, times: int) -> Reach:
        """The same map with a period that is `times` as long."""
        return Reach(self.step * times, tuple(self.at(o) for o in range(len(self.spans) * times)))


IDENTITY = Reach(1, ((0, 0),))


@dataclass(frozen=True)
class Taps:
    """What an operator reads along one axis: output q·m + r reads t + p·m for t in taps[r].

    p: `step`, q: the length of `taps`.
    """

    step: int
    taps: tuple[tuple[int, ...], ...]


def compose(inner: Reach, taps: Taps) -> Reach:
    """The reach behind an operator on a value of reach `inner`."""
    turns = len(inner.spans) // math.gcd(len(inner.spans), taps.step)
    period = turns * len(taps.taps)
    if period > MAX_PERIOD:
        raise NotLocalError(f"its positions repeat only after {period} outputs")
    spans = []
    for o in range(period):
        turn, residue = divmod(o, len(taps.taps))
        spans.append(_hull([inner.at(t + turn * taps.step) for t in taps.taps[residue]]))
    return Reach(inner.step * turns * taps.step // len(inner.spans), tuple(spans))


def union(reaches: Sequence[Reach]) -> Reach:
    """The reach of a value that takes one position of each of several values."""
    if len({reach.ratio for reach in reaches}) > 1:
        raise NotLocalError("it joins values of different sizes")
    period = math.lcm(*(len(reach.spans) for reach in reaches))
    if period > MAX_PERIOD:
        raise NotLocalError(f"its positions repeat only after {period} outputs")
    same = [reach.repeated(period // len(reach.spans)) for reach in reaches]
    return Reach(
        same[0].step, tuple(_hull([reach.spans[o] for reach in same]) for o in range(period))
    )


def interleaved(reaches: Sequence[Reach | None]) -> Reach:
    """The reach of a value whose positions are those of several values in turn, None for one that
    reads nothing."""
    known = [reach for reach in reaches if reach is not None]
    period = math.lcm(*(len(reach.spans) for reach in known))
    if len({reach.ratio for reach in known}) > 1 or period * len(reaches) > MAX_PERIOD:
        raise NotLocalError("it puts values of different sizes in turn")
    same = [None if r is None else r.repeated(period // len(r.spans)) for r in reaches]
    step = next(reach.step for reach in same if reach is not None)
    spans = [None if r is None else r.spans[o] for o in range(period) for r in same]
    return Reach(step, tuple(spans))


def every(step: int, start: int) -> Taps:
    """Each `step`-th position from `start` on."""
    return Taps(step, ((start,),))


def _hull(spans: Sequence[Span]) -> Span:
    found = [span for span in spans if span is not None]
    if not found:
        return None
    return min(first for first, _ in found), max(last for _, last in found)


def convolution(kernel: int, stride: int, pad: int, dilation: int) -> Taps:
    """A convolution or pooling with `pad` positions before the first."""
    return Taps(stride, (tuple(k * dilation - pad for k in range(kernel)),))


def transposed(kernel: int, stride: int, pad: int, dilation: int) -> Taps:
    """A transposed convolution: output o gets tap k of input t where s·t = o + pad - k·dilation."""
    taps = []
    for residue in range(stride):
        ends = [residue + pad - k * dilation for k in range(kernel)]
        taps.append(tuple(end // stride for end in ends if end % stride == 0))
    return Taps(1, tuple(taps))


def shuffled(ratio: int) -> Taps:
    """Depth to space."""
    return Taps(1, ((0,),) * ratio)


def gathered(ratio: int) -> Taps:
    """Space to depth."""
    return Taps(ratio, (tuple(range(ratio)),))


def shifted(start: int, before: int = 0, after: int = 0) -> Taps:
    """Output o reads o + start, and at a border up to `before` or `after` positions beside it."""
    return Taps(1, (tuple(range(start - before, start + after + 1)),))


def resized(scale: Fraction, source: Callable[[Fraction], Fraction], reads: str) -> Taps:
    """A resampling: `source` gives an output's place among the inputs, as a fraction.

    reads: ``floor``, ``nearest``, ``linear`` or ``cubic``, what is read around that place.
    """
    around = {"floor": (0, 0), "nearest": (0, 1), "linear": (0, 1), "cubic": (-1, 2)}[reads]
    taps = []
    for residue in range(scale.numerator):
        floor = math.floor(source(Fraction(residue)))
        taps.append(tuple(range(floor + around[0], floor + around[1] + 1)))
    return Taps(scale.denominator, tuple(taps))
