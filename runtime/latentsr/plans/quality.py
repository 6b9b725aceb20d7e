"""What a lower precision costs: whole routes against the originals and against FP32."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from latentsr.backends.base import Engine
from latentsr.codec import Codec
from latentsr.plans.samples import Case, decibel, qualities


class Judge:
    """Whether the routes that use a graph lose little enough with another engine for it.

    Called with a key, by which answers are kept, and a function that loads the engine. gate_db:
    largest loss of mean PSNR against the originals that is accepted.
    """

    def __init__(
        self, codec: Codec, cases: Sequence[Case], names: Sequence[str], graph: str, gate_db: float
    ) -> None:
        routes = codec.bundle.manifest.routes
        self._names = [
            name for name in names if any(s.get("graph") == graph for s in routes[name].steps)
        ]
        self._codec, self._cases, self._graph, self._gate = codec, cases, graph, gate_db
        self._full = qualities(codec, cases, self._names, codec.engine)
        self._known: dict[Hashable, bool] = {}
        self.refused: list[str] = []

    def __call__(self, key: Hashable, load: Callable[[], Engine]) -> bool:
        """The answer for one engine."""
        if key not in self._known:
            self._known[key] = self._accepts(key, load())
        return self._known[key]

    def _accepts(self, key: Hashable, engine: Engine) -> bool:
        def chosen(name: str) -> Engine:
            return engine if name == self._graph else self._codec.engine(name)

        made = qualities(self._codec, self._cases, self._names, chosen)
        for name in self._names:
            loss = mean_db(self._full[name]) - mean_db(made[name])
            if not loss <= self._gate and not np.isnan(loss):
                self.refused.append(
                    f"{self._graph}: {key} is refused: route {name} loses {loss:.3f} dB, at most "
                    f"{self._gate:g} allowed"
                )
                return False
        return True


def mean_db(results: Sequence[tuple[float, np.ndarray]]) -> float:
    """Mean PSNR over pictures; NaN where they have no originals."""
    return float(np.mean([value for value, _ in results]))


def lines(
    codec: Codec, cases: Sequence[Case], names: Sequence[str], engines: Mapping[str, Engine]
) -> list[dict[str, Any]]:
    """One object a route: PSNR with FP32 and with these engines, the loss, and one to the other."""
    full = qualities(codec, cases, names, codec.engine)
    made = qualities(codec, cases, names, lambda name: engines.get(name) or codec.engine(name))
    found = []
    for name in names:
        between = [decibel(a[1], b[1]) for a, b in zip(full[name], made[name], strict=True)]
        before, after = mean_db(full[name]), mean_db(made[name])
        known = not np.isnan(before)
        found.append({
            "route": name, "pictures": len(cases), "psnr_fp32": before if known else None,
            "psnr_int8": after if known else None, "loss_db": before - after if known else None,
            "against_fp32_db": float(np.mean(between)),
        })  # fmt: skip
    return found
