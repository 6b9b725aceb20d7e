"""Many pictures through one codec, several at a time: `upscale_many` and its like."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypeVar, cast

from latentsr.errors import LatentSRError, UsageError
from latentsr.image import Picture, to_rgb8
from latentsr.last_call import CallRecord
from latentsr.pipeline.schedule import Crew, check_count, ordered, share_cores, usable_cores
from latentsr.tiling.shared import Allowance, SharedBudget, jobs_within, unlimited

if TYPE_CHECKING:
    from latentsr.codec import Codec

ON_ERROR = ("raise", "yield")

Item = TypeVar("Item")
Made = tuple[list[Any], CallRecord]


class ManyPictures:
    """The methods of a `Codec` that take many pictures.

    They return an iterator over the results, in the order of what they are given. Options:

    - memory: a budget such as ``"1GiB"``, with the meaning that it has for a single call, for all
      pictures in work together. Each of the jobs gets an equal part, in which the coder's own
      arrays count as well; a picture that needs more waits until it is the only one in work, and
      gets all. Not in it: results, and what waits for its turn.
    - jobs: pictures at a time, by default so many that jobs times the engines' threads (1 where
      `load` was given no number) is the number of cores; within a budget 1, as larger tiles are
      less work. Memory grows with them where there is no budget.
    - ahead: results that may wait for an earlier one or for the caller, by default three
      for each job, and none within a budget. The iterable is read in the caller's thread, at most
      jobs + ahead items further than results were asked for.
    - on_error: ``raise`` ends the iteration with a picture's LatentSRError in its place;
      ``yield`` gives the error in place of the result and goes on.

    After each result the asking thread's `timeline` and `repairs` are those of that picture.
    Closing the iterator early drops what was not begun and ends all threads. Errors of the
    arguments are raised by the call itself.
    """

    def decode_many(
        self,
        streams: Iterable[bytes],
        route: str = "lr",
        memory: str | int | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """`Codec.decode` of each stream; memory, options: see `ManyPictures`."""
        _codec(self).bundle.route(route, "decode")

        def call(own: Codec, data: bytes, allowance: Allowance | None) -> Any:
            return own.decode(data, route, stream_budget(own, data, allowance))

        return many(_codec(self), streams, call, memory, **options)

    def upscale_many(
        self,
        streams: Iterable[bytes],
        route: str | None = None,
        memory: str | int | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """`Codec.upscale` of each stream; memory, options: see `ManyPictures`."""
        _codec(self).enlarging_route(route)

        def call(own: Codec, data: bytes, allowance: Allowance | None) -> Any:
            return own.upscale(data, route, stream_budget(own, data, allowance))

        return many(_codec(self), streams, call, memory, **options)

    def encode_many(
        self,
        images: Iterable[Any],
        route: str = "encode",
        exact: bool = True,
        memory: str | int | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """`Codec.encode` of each picture; memory, options: see `ManyPictures`."""
        _codec(self).bundle.route(route, "encode")

        def call(own: Codec, one: Any, allowance: Allowance | None) -> bytes:
            picture = to_rgb8(one)
            return own.encode(picture, route, exact, memory=picture_budget(own, picture, allowance))

        return many(_codec(self), images, call, memory, **options)


def stream_budget(codec: Codec, data: bytes, allowance: Allowance | None) -> int | None:
    """The budget for a decode within an allowance; BudgetError, and errors as `open_stream`."""
    if allowance is None:
        return None
    stream = codec.open_stream(data)
    return allowance.beside_coder(codec.bundle.manifest, stream.width, stream.height)


def picture_budget(codec: Codec, picture: Picture, allowance: Allowance | None) -> int | None:
    """The budget for an encode within an allowance; BudgetError."""
    if allowance is None:
        return None
    height, width = picture.shape[:2]
    return allowance.beside_coder(codec.bundle.manifest, width, height)


def many(
    codec: Codec,
    items: Iterable[Item],
    call: Callable[[Codec, Item, Allowance | None], Any],
    memory: str | int | None = None,
    jobs: int | None = None,
    ahead: int | None = None,
    on_error: str = "raise",
) -> Iterator[Any]:
    """Results of `call(codec, item, allowance)` in the items' order, as `ManyPictures` says.

    `call` gets a codec whose engines have the threads that go with so many jobs, and its part of
    the memory, None where there is no budget.
    """
    if on_error not in ON_ERROR:
        raise UsageError(
            f"on_error: found {on_error!r}, expected one of {', '.join(ON_ERROR)}; choose one"
        )
    if ahead is not None:
        check_count("ahead", ahead, least=0)
    known = length_hint(items, -1)
    worker, crew = crew_of(codec, jobs_within(memory, jobs), known if known >= 0 else None)
    spend = unlimited
    if memory is not None:
        at_a_time = min(crew.jobs, known) if known > 0 else crew.jobs
        spend, ahead = SharedBudget(memory, at_a_time).spend, ahead or 0

    def work(item: Item) -> Made:
        try:
            made = spend(lambda allowance: call(worker, item, allowance))
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
