"""The tree of errors that latentsr raises for anything a user can cause.

Message form: what is wrong: found X, expected Y; do Z. The command line prints the message
without a traceback and ends with exit code 2.
"""

from __future__ import annotations


class LatentSRError(Exception):
    """Root of every error that latentsr raises on purpose."""


class BundleError(LatentSRError):
    """A bundle is missing, damaged, of a newer format, or lacks what was asked of it."""


class StreamError(LatentSRError):
    """A stream cannot be read: not a stream, damaged, or written by another bundle."""


class CorruptStream(StreamError):  # noqa: N818 - the name is part of the public interface
    """The bytes of a stream contradict themselves: truncated, flipped or trailing bytes."""


class DesyncError(CorruptStream):
    """The coder ran out of step: encoder and decoder did not use the same scale indexes."""


class ImageError(LatentSRError):
    """A picture cannot be read or has a size or kind that cannot be coded."""


class BackendError(LatentSRError):
    """An engine library is missing, or refuses a graph."""


class EngineMemoryError(BackendError):
    """An engine did not get the memory that a run takes."""


class CheckpointError(LatentSRError):
    """A checkpoint cannot be read, or holds no network that the exporter knows."""


class ExportError(LatentSRError):
    """A network was recognised but its graphs cannot be written or fail their checks."""


class UsageError(LatentSRError):
    """An argument is out of its range or names something that does not exist."""


class BudgetError(UsageError):
    """A memory budget does not hold what was asked for."""
