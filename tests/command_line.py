"""The command `latentsr` as a user runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = Path(sys.executable).with_name("latentsr")


def latentsr(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; the exit code must be as said, and no traceback may show."""
    done = subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


class Running:
    """The command at work: its process, and its lines as they come."""

    def __init__(self, process: subprocess.Popen[str], stderr: Path) -> None:
        self.process, self._stderr = process, stderr

    def line(self) -> str:
        """The next line of stdout; waits for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def finish(self) -> tuple[list[str], str]:
        """Wait for the end: the rest of stdout, line by line, and all of stderr."""
        assert self.process.stdout is not None
        # Not communicate(): it passes over what `line` has read ahead.
        rest = self.process.stdout.read().splitlines()
        self.process.wait(timeout=60)
        return rest, self._stderr.read_text()


@contextmanager
def interruptible() -> Iterator[None]:
    """Programs begun here get SIGINT, also where the tests run in the background.

    A shell without job control lets what it puts there ignore SIGINT, and programs hand that on.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def started(*arguments: object, cwd: Path) -> Iterator[Running]:
    """The command, begun; it is ended where the block leaves it at work."""
    words = cwd / "stderr.txt"
    with (
        words.open("w") as file,
        interruptible(),
        subprocess.Popen(
            [str(COMMAND), *map(str, arguments)],
            cwd=cwd, stdout=subprocess.PIPE, stderr=file, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            yield Running(process, words)
        finally:
            process.kill()
