"""The kernels' benchmark on small sizes: what it measures is right, and its figures are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsr.backends.device import Device


def test_small_cases_are_compared_and_timed(
    device: Device, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks" / "gpu"))
    from coder_cases import gaussian_tables, make_case
    from coder_speed import measure_coder
    from context_speed import measure_context
    from device_clock import DeviceClock
    from step_speed import measure_steps, step_calls

    clock = DeviceClock(device)
    case = make_case(gaussian_tables(), 5000, batch=3, median=0.275, parts=8)
    found = measure_coder(clock, case, parts=8, rounds=2, repeat=2)
    assert (found["batch"], found["parts"]) == (3, 8)
    for way in ("decode", "encode"):
        assert found[way]["device"]["gsym_per_s"] > 0
        assert {"1 thread", "all cores"} < found[way].keys()
    clock.free()
    wrong = make_case(gaussian_tables(), 5000, batch=1, median=0.275, parts=8)
    wrong.symbols[0][77] += 1
    with pytest.raises(SystemExit, match="symbols differ"):
        measure_coder(clock, wrong, parts=8, rounds=1, repeat=1)
    clock.free()
    steps = measure_steps(clock, step_calls(clock, 5000, 30, 40), rounds=2, repeat=2)
    assert len(steps) == 9 and all(each["us"] > 0 for each in steps.values())
    clock.free()
    context = measure_context(clock, (4, 7), rounds=2, repeat=2, channels=9, widths=(12, 20, 16))
    assert context["positions"] == 28 and context["bits_per_symbol"] > 0
    for way in ("decode", "quantise"):
        assert context[way]["device"]["ms"] > 0 and context[way]["all cores"]["ms"] > 0
