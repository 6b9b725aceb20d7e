"""`latentsr build` gives its engines back, also where it ends with an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentsr.bundle import Bundle
from latentsr.codec import Codec
from latentsr.plans import cpu
from latentsr.plans.builders import Wanted
from latentsr.plans.cache import FOLDER_VARIABLE
from latentsr.plans.cpu import CpuBuilder


@pytest.mark.parametrize("fails", [False, True])
def test_engines_are_given_back(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    made: list[Codec] = []

    class Noted(Codec):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cpu, "Codec", Noted)
    wanted = Wanted(routes=("lr",), pictures=[picture], seconds=0.02)
    if fails:
        monkeypatch.setattr(cpu, "tune", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            CpuBuilder().build(Bundle("demo"), wanted, print)
    else:
        CpuBuilder().build(Bundle("demo"), wanted, print)
    assert [codec._engines for codec in made] == [{}]
