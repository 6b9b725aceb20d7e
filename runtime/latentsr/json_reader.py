"""Untrusted JSON: files read with a limit, and typed access whose failures name the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentsr.errors import BundleError, UsageError


def read_json(path: Path, what: str, command: str, largest: int) -> Any:
    """What a JSON file of at most `largest` bytes holds; UsageError where it is none.

    what, command: for the message, what was expected and who writes it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
        if len(data) > largest:
            raise ValueError(f"over {largest} bytes")
        value = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{what} cannot be read: found {error} in {path}, expected a file that "
            f"`{command}` wrote; check the name"
        ) from None
    return value


class Reader:
    """Untrusted JSON: files read with a limit, and typed access whose failures name the place."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise BundleError(f"manifest is malformed at {where}: found {value!r}, expected object")
        self.value, self.where = value, where

    def get(self, key: str, kind: type, default: object = None) -> Any:
        """A value of this type; BundleError where it is another."""
        value = self.value.get(key, default)
        wrong_bool = isinstance(value, bool) and kind is not bool
        if not isinstance(value, kind) or wrong_bool:
            raise self.fault(key, kind.__name__)
        return value

    def fault(self, key: str, expected: str) -> BundleError:
        """The error for a key's value, to be raised."""
        found = repr(self.value.get(key))[:60]
        return BundleError(
            f"manifest is malformed at {self.where}.{key}: found {found}, expected {expected}; "
            "export the bundle again"
        )

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.get(key, int)
        if not low <= value <= high:
            raise self.fault(key, f"{low}..{high}")
        return int(value)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names."""
        value = self.get(key, list)
        if not all(isinstance(item, str) and item for item in value):
            raise self.fault(key, "list of names")
        return tuple(value)

    def children(self, key: str, default: object = None) -> dict[str, Reader]:
        """The objects that an object holds, by their keys."""
        items = self.get(key, dict, default).items()
        return {name: Reader(item, f"{self.where}.{key}.{name}") for name, item in items}
