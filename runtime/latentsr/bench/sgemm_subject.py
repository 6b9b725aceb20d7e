"""The yardstick: single-precision matrix products, what the machine could do at best."""

from __future__ import annotations

import numpy as np

from latentsr.bench.subject import Facts, Item, Setup, Subject
from latentsr.timing import Timeline

SIDE = 1024
MACS = SIDE**3


class SgemmSubject(Subject):
    """NumPy's product of two 1024x1024 matrices, 1.07 GMAC, on the threads asked for."""

    def start(self, setup: Setup) -> Facts:
        """Fill the matrices; the library has read its thread count from the environment."""
        random = np.random.default_rng(0)
        self._left = random.standard_normal((SIDE, SIDE), np.float32)
        self._right = random.standard_normal((SIDE, SIDE), np.float32)
        self._out = np.empty((SIDE, SIDE), np.float32)
        threads = setup.threads or "all"
        return Facts(f"sgemm {SIDE}³", f"NumPy {np.__version__}, {threads} threads", 1)

    def load(self, index: int, item: Item) -> int:
        """Nothing to take in."""
        del index, item
        return 0

    def run(self, index: int) -> Timeline:
        """One product."""
        del index
        timeline = Timeline()
        with timeline.stage("sgemm", "engine", MACS):
            np.matmul(self._left, self._right, out=self._out)
        return timeline

    def output(self, index: int) -> None:
        """No picture."""
        del index
