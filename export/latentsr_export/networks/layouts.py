"""Public key layouts brought to a network's own names by rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

# A pattern that must match a whole key, and what it becomes (as in re.sub).
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def rename(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """`state` with each key changed by the first rule that matches all of it, or left alone.

    A key whose new name is taken also stays as it is, to be found unexpected on loading.
    """
    compiled = [(re.compile(pattern), made) for pattern, made in rules]
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _renamed(key, compiled)
        renamed[key if name in renamed else name] = tensor
    return renamed


def _renamed(
    key: str, rules: Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]
) -> str:
    for pattern, made in rules:
        match = pattern.fullmatch(key)
        if match:
            return made(match) if callable(made) else match.expand(made)
    return key


def has_all(state: Mapping[str, Tensor] | set[str], *keys: str) -> bool:
    """Whether all of `keys` are there."""
    return all(key in state for key in keys)
