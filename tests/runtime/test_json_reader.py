"""JSON files from outside: read up to a limit, and refused in one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsr.errors import UsageError
from latentsr.json_reader import read_json


def test_a_file_as_large_as_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_text('{"a": [1]}')
    assert read_json(path, "result", "latentsr bench", path.stat().st_size) == {"a": [1]}


def test_a_larger_one_is_refused_though_its_beginning_would_do(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text('{"a": [1]}   ')
    for limit in (10, path.stat().st_size - 1):
        with pytest.raises(UsageError, match=rf"found over {limit} bytes in .*long\.json"):
            read_json(path, "result", "latentsr bench", limit)


@pytest.mark.parametrize("data", [b"", b'{"a": ', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "torn.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"result cannot be read: found .*torn\.json"):
        read_json(path, "result", "latentsr bench", 1 << 20)
