"""`install` puts latentsr's coder under an installed CompressAI, `uninstall` takes it away.

This is the one file of the runtime that knows torch and CompressAI. Both are imported when
`install` is called, never before.
"""

from __future__ import annotations

import inspect
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from latentsr.compat import ans
from latentsr.compat.entropy_models import replacements
from latentsr.errors import UsageError

VERSIONS = ("1.2.8",)
"""Versions of CompressAI whose sources were compared with what is replaced here."""

PARAMETERS = {
    "EntropyModel.compress": ["self", "inputs", "indexes", "means"],
    "EntropyModel.decompress": ["self", "strings", "indexes", "dtype", "means"],
    "GaussianConditional.build_indexes": ["self", "scales"],
    "_EntropyCoder.encode_with_indexes": ["self", "args", "kwargs"],
    "_EntropyCoder.decode_with_indexes": ["self", "args", "kwargs"],
}
"""Parameters that the replaced methods must have."""

CODERS = ("RansEncoder", "BufferedRansEncoder", "RansDecoder")

_lock = threading.RLock()
_undo: list[tuple[Any, str, Any]] = []
_ABSENT = object()


def install() -> None:
    """Let CompressAI code with latentsr: same strings, same tensors, no lists, no crashes.

    Models made before and after code through latentsr from now on, in this process: the coders
    of `compressai.ans` (in all modules imported so far that hold them by their names),
    `EntropyModel.compress` and `decompress`, `GaussianConditional.build_indexes`. Where latentsr's
    way does not apply (another entropy coder, tensors of other types, wrong arguments)
    CompressAI's own code runs and raises its own errors. Calling it again picks up modules that
    were imported in between.

    Raises:
        UsageError: CompressAI is missing, or of a version that was not compared; nothing is
            changed then.
    """
    with _lock:
        module, coders = _supported()
        if not _undo:
            _replace_methods(module, coders)
        for name in CODERS:
            _replace_everywhere(name, coders[name])


def uninstall() -> None:
    """Put back everything that `install` replaced; without an `install` nothing happens."""
    with _lock:
        while _undo:
            owner, name, value = _undo.pop()
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def _supported() -> tuple[Any, dict[str, Any]]:
    """CompressAI's entropy model module and its coders, or UsageError."""
    try:
        found = version("compressai")
        import compressai.ans
        from compressai.entropy_models import entropy_models
    except (ImportError, PackageNotFoundError) as error:
        raise UsageError(
            f"CompressAI: found none ({error}), expected {' or '.join(VERSIONS)}; "
            "install latentsr[export]"
        ) from error
    if found not in VERSIONS:
        raise UsageError(
            f"CompressAI: found {found}, expected {' or '.join(VERSIONS)}, whose methods latentsr "
            "replaces; install that version, or use latentsr.compat.ans by itself"
        )
    for path, expected in PARAMETERS.items():
        owner, method = path.split(".")
        function = getattr(getattr(entropy_models, owner, None), method, None)
        names = list(inspect.signature(function).parameters) if callable(function) else None
        if names != expected:
            raise UsageError(
                f"CompressAI, {path}: found parameters {names}, expected {expected}; reinstall "
                "CompressAI, or undo what else replaced this method"
            )
    coders = {name: _original(compressai.ans, name) for name in CODERS}
    return entropy_models, coders


def _original(module: Any, name: str) -> Any:
    """CompressAI's class, also when it is replaced already."""
    for owner, replaced, value in _undo:
        if owner is module and replaced == name:
            return value
    return getattr(module, name)


def _replace_methods(module: Any, coders: dict[str, Any]) -> None:
    for path, function in replacements(module).items():
        owner, name = path.split(".")
        _replace(getattr(module, owner), name, function)
    # Models keep a coder object each, made in the past or in the future.
    ours = {"_encoder": ans.RansEncoder, "_decoder": ans.RansDecoder}
    for attribute, ours_class in ours.items():
        held = _held_coder(attribute, coders[ours_class.__name__], ours_class)
        _replace(module._EntropyCoder, attribute, held)


def _held_coder(attribute: str, original: Any, ours: Any) -> property:
    """A property that shows our coder in place of the original, which stays in the instance.

    So objects made before `install` use ours, and those made before `uninstall` the original.
    """

    def read(self: Any) -> Any:
        held = self.__dict__[attribute]
        return ours() if isinstance(held, original) else held

    def write(self: Any, value: Any) -> None:
        self.__dict__[attribute] = original() if isinstance(value, ours) else value

    return property(read, write)


def _replace_everywhere(name: str, original: Any) -> None:
    """Replace a coder in the modules that have it under its own name, users' modules as well."""
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(name) is original:
            _replace(module, name, getattr(ans, name))


def _replace(owner: Any, name: str, value: Any) -> None:
    _undo.append((owner, name, vars(owner).get(name, _ABSENT)))
    setattr(owner, name, value)
