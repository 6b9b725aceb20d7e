"""The public type stubs of TensorRT, repaired: as they come, no tool can parse them."""

from __future__ import annotations

import ast
import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

_LOOSE = "(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:"


def stub_sources() -> dict[str, str]:
    """Path and text of each stub file; empty where `tensorrt-stubs` is not installed."""
    try:
        listed = files("tensorrt-stubs") or []
    except PackageNotFoundError:
        return {}
    found = [f for f in listed if f.suffix == ".pyi"]
    return {str(f): _repaired(Path(str(f.locate())).read_text(encoding="utf-8")) for f in found}


def write_stubs(folder: Path) -> bool:
    """Write the repaired stubs into a folder for mypy's path; False where there are none."""
    sources = stub_sources()
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return bool(sources)


def _repaired(text: str) -> str:
    """Methods with a parameter called `in`, or without defaults after ones that have some."""
    return "".join(f"{_repaired_line(line)}\n" for line in text.splitlines())


def _repaired_line(line: str) -> str:
    match = re.match(r"( *def \w+)\(.*:$", line)
    broken = match is not None and not _parses(line.strip() + " ...")
    return match[1] + _LOOSE if match and broken else line


def _parses(line: str) -> bool:
    try:
        ast.parse(line)
    except SyntaxError:
        return False
    return True
