"""Contenders of the benchmark, each a process: what they say when they fail, stall or are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from latentsr.bench import contender
from latentsr.bench.contender import Contender, Plan
from latentsr.bench.subject import Facts, Item, Setup, Subject
from latentsr.errors import BackendError
from latentsr.timing import Timeline


class Failing(Subject):
    """A subject that fails in the way its bundle's name says."""

    def start(self, setup: Setup) -> Facts:
        self.how = setup.bundle
        print("a library that prints to stdout must not disturb the answers")
        return Facts("failing", "nowhere", 1)

    def load(self, index: int, item: Item) -> int:
        return 0

    def run(self, index: int) -> Timeline:
        if self.how == "die":
            print("the last words", file=sys.stderr)
            os._exit(7)
        if self.how == "raise":
            raise ValueError("no such thing")
        return Timeline()

    def output(self, index: int) -> None:
        return None


@pytest.mark.parametrize(
    ("how", "words"), [("raise", "ValueError: no such thing"), ("die", "the last words.*code 7")]
)
def test_a_failing_contender_says_why(how: str, words: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    contender = Contender(Plan("it", "test_bench_contender:Failing", Setup(how)))
    try:
        assert contender.start().about == "failing"
        with pytest.raises(BackendError, match=words):
            contender.run(0)
    finally:
        contender.close()
        contender.close()


class Sleeping(Failing):
    """A subject whose calls take minutes."""

    def run(self, index: int) -> Timeline:
        time.sleep(300)
        return Timeline()


INTERRUPTED = """
import signal
from latentsr.bench.contender import Contender, Plan
from latentsr.bench.subject import Setup

contender = Contender(Plan("it", "test_bench_contender:Sleeping", Setup("demo")))
contender.start()
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    contender.run(0)
except KeyboardInterrupt:
    contender.close()
    print("closed")
"""


def test_an_interrupt_does_not_wait_for_a_contenders_work(monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    # In a process of its own: signals are for no one else here.
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout == "closed\n", done.stderr


def test_a_contender_that_does_not_answer_is_not_said_to_have_ended(monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    waiting = Contender(Plan("it", "test_bench_contender:Sleeping", Setup("demo")))
    try:
        waiting.start()
        monkeypatch.setattr(contender, "ANSWER_SECONDS", 0.2)
        with pytest.raises(BackendError, match=r"it is stuck: found no answer to run in 0\.2 s"):
            waiting.run(0)
    finally:
        waiting.close()
