"""Values between engines: arrays in host memory, or arrays that stay on their device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np


class Resident(ABC):
    """An array in device memory.

    The next engine of the same device takes it as it is; `np.asarray` brings it down, waiting for
    the work that makes it. shape and dtype as of a NumPy array; always C-ordered.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def to_host(self) -> np.ndarray:
        """The array in host memory, once all work that makes it has ended; raises BackendError."""

    @abstractmethod
    def window(self, top: int, left: int, height: int, width: int) -> Resident | np.ndarray:
        """The rectangle of an NCHW array, on the device where the library can cut it there."""

    @abstractmethod
    def empty(self, height: int, width: int) -> Resident:
        """An NCHW array on the same device with as many planes of another size, not written."""

    @abstractmethod
    def put(self, piece: Any, top: int, left: int) -> None:
        """Copy a smaller NCHW array of the same kind into this one, on the device."""

    def limited(self) -> Resident | None:
        """The array limited to 0..1, made on the device; None where it cannot be."""
        return None

    def converted(self, dtype: Any) -> Resident | None:
        """The array in another type of floats, made on the device; None where it cannot be."""
        return None

    def picture(self) -> np.ndarray | None:
        """The array as `image_steps.picture` makes it, made on the device; None where it cannot be.

        Raises BundleError for samples that are not finite.
        """
        return None

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any) -> np.ndarray:
        """A part of the array in host memory; `window` cuts without bringing all of it down."""
        return self.to_host()[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """NumPy's way of asking for `to_host`."""
        if copy is False:
            raise ValueError("an array in device memory has no view in host memory, only copies")
        found = self.to_host()
        return found if dtype is None else found.astype(dtype, copy=False)


def on_host(value: Any) -> Any:
    """The value as an array in host memory, where it was on a device; others as they are."""
    return value.to_host() if isinstance(value, Resident) else value


def for_engine(value: Any) -> Any:
    """The value as engines take it: in C order, which a crop has not, or as it lies on a device."""
    return value if isinstance(value, Resident) else np.asarray(value, order="C")


def as_it_is(value: Any) -> Any:
    """The value, for steps that know what to do with one on a device."""
    return value
