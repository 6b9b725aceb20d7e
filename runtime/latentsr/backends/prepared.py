"""Compiled graphs kept between processes, for libraries that take long to compile.

What a library exports is its own format, so an entry counts only with the same version of it, the
same processor and the same settings. Where the cache cannot be used the graph is compiled, as
without one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from latentsr.errors import UsageError
from latentsr.plans.cache import Cache
from latentsr.plans.facts import library_version, processor


def prepared(
    cache: Cache,
    library: str,
    graph: bytes,
    settings: Mapping[str, Any],
    compile_graph: Callable[[], Any],
    to_bytes: Callable[[Any], bytes],
    from_bytes: Callable[[bytes], Any],
) -> Any:
    """The compiled graph, from the cache or else compiled and put there.

    settings: all that the result depends on besides graph, library and processor. Raises what
    `compile_graph` raises.
    """
    facts = {"library": library, "version": library_version(library), **processor(),
             "graph": hashlib.sha256(graph).hexdigest(), "settings": dict(settings)}  # fmt: skip
    slot = hashlib.sha256(json.dumps([facts["graph"], settings], sort_keys=True).encode())
    name = f"{library}-{slot.hexdigest()[:24]}"
    found, _ = cache.find(name, facts)
    if found is not None:
        # The bytes are those that were written; the library may refuse them all the same.
        with contextlib.suppress(Exception):
            return from_bytes(found.data)
    compiled = compile_graph()
    # A full or read-only disk, or a library that cannot export, costs time and nothing else.
    with contextlib.suppress(UsageError, OSError, RuntimeError):
        cache.store(name, facts, to_bytes(compiled), {})
    return compiled
