"""Many pictures through one codec, several at a time: `upscale_many` and its like."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypeVar, cast

from latentsr.errors import LatentSRError, UsageError
from latentsr.last_call import CallRecord
from latentsr.pipeline.schedule import Crew, check_count, ordered, share_cores, usable_cores
from latentsr.tiling.budget import parse_memory

if TYPE_CHECKING:
    from latentsr.codec import Codec

ON_ERROR = ("raise", "yield")

Item = TypeVar("Item")
Made = tuple[list[Any], CallRecord]


class ManyPictures:
    """The methods of a `Codec` that take many pictures.

    They return an iterator over the results, in the order of what they are given. Options:

    - jobs: pictures at a time, by default so many that jobs times the engines' threads (1 where
      `load` was given no number) is the number of cores. Memory grows with them.
    - ahead: results that may wait for an earlier one or for the caller, by default three
      for each job. The iterable is read in the caller's thread, at most jobs + ahead items
      further than results were asked for.
    - on_error: ``raise`` ends the iteration with a picture's LatentSRError in its place;
      ``yield`` gives the error in place of the result and goes on.

    After each result the asking thread's `timeline` and `repairs` are those of that picture.
    Closing the iterator early drops what was not begun and ends all threads. Errors of the
    arguments are raised by the call itself.
    """

    def decode_many(
        self, streams: Iterable[bytes], route: str = "lr", **options: Any
    ) -> Iterator[Any]:
        """`Codec.decode` of each stream; options: see `ManyPictures`."""
        _codec(self).bundle.route(route, "decode")
        return many(_codec(self), streams, lambda own, data: own.decode(data, route), **options)

    def upscale_many(
        self, streams: Iterable[bytes], route: str | None = None, **options: Any
    ) -> Iterator[Any]:
        """`Codec.upscale` of each stream; options: see `ManyPictures`."""
        _codec(self).enlarging_route(route)
        return many(_codec(self), streams, lambda own, data: own.upscale(data, route), **options)

    def encode_many(
        self,
        images: Iterable[Any],
        route: str = "encode",
        exact: bool = True,
        memory: str | int | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """`Codec.encode` of each picture; options: see `ManyPictures`.

        memory: a budget for each of the pictures that are encoded at a time.
        """
        _codec(self).bundle.route(route, "encode")
        budget = None if memory is None else parse_memory(memory)

        def call(own: Codec, one: Any) -> bytes:
            return own.encode(one, route, exact, memory=budget)

        return many(_codec(self), images, call, **options)


def many(
    codec: Codec,
    items: Iterable[Item],
    call: Callable[[Codec, Item], Any],
    jobs: int | None = None,
    ahead: int | None = None,
    on_error: str = "raise",
) -> Iterator[Any]:
    """Results of `call(codec, item)` in the items' order, as `ManyPictures` says.

    `call` gets a codec whose engines have the threads that go with so many jobs.
    """
    if on_error not in ON_ERROR:
        raise UsageError(
            f"on_error: found {on_error!r}, expected one of {', '.join(ON_ERROR)}; choose one"
        )
    if ahead is not None:
        check_count("ahead", ahead, least=0)
    known = length_hint(items, -1)
    worker, crew = crew_of(codec, jobs, known if known >= 0 else None)

    def work(item: Item) -> Made:
        try:
            made = call(worker, item)
        except LatentSRError as error:
            if on_error == "raise":
                raise
            return [error], CallRecord()
        return [made], worker.last_call.record

    return _hand_out(codec, ordered(work, items, crew.jobs, ahead))


def crew_of(codec: Codec, jobs: int | None, items: int | None) -> tuple[Codec, Crew]:
    """The codec whose engines suit so many jobs, and how many pictures go through it at a time.

    items: how many there are, None where that is not known. On a device that is no CPU the engine
    takes one picture after the other, and a second job prepares the next. Raises UsageError.
    """
    if codec.options.device != "cpu" or codec.options.profile:
        return codec, share_cores(2 if jobs is None else jobs, codec.options.threads, items)
    crew = share_cores(jobs, codec.options.threads, items)
    callers = crew.jobs if codec.backend.counts_callers else 1
    if (callers, crew.threads) == (1, codec.options.threads or usable_cores()):
        return codec, crew
    return codec.with_options(threads=crew.threads, callers=callers), crew


def _hand_out(codec: Codec, found: Generator[Made, None, None]) -> Iterator[Any]:
    """Each result with its record kept; nothing here holds a picture that was handed out."""
    try:
        for made, record in found:
            codec.last_call.keep(record)
            yield made.pop()
    finally:
        found.close()  # its threads end here


def _codec(given: ManyPictures) -> Codec:
    return cast("Codec", given)
