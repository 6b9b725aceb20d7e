"""Damage of every kind, a little of what benchmarks/hostile.py does at length."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mutate_containers import KINDS, run

import latentsr
from latentsr.entropy import isa
from native_drivers import build, configure, need, need_sanitizers, report

STREAMS = 40_000
FENCED = 4_000
CONTAINERS = 8_000


def test_damaged_streams_keep_the_decoders_promises(tmp_path: Path) -> None:
    compiler = need(os.environ.get("CXX", "c++"))
    need_sanitizers(compiler, "address,undefined", tmp_path)
    configure(tmp_path, "LATENTSR_SANITIZE=ON")
    found = report([str(build(tmp_path, "mutate_streams")), str(STREAMS)])
    assert found["mutants"] >= STREAMS
    for form, groups in found["forms"].items():
        for kinds in groups.values():
            assert all(counts["mutants"] > 500 for counts in kinds.values()), form
            # One bit changes one whole stream into another now and then; lost bytes never do.
            assert kinds["truncate"]["unnoticed"] == 0, form
        flips = groups["latents"]["flip_one"]
        assert flips["unnoticed"] <= 0.02 * flips["mutants"], form


def test_no_decoder_reads_beyond_its_tables(tmp_path: Path) -> None:
    """Sanitizers do not watch gathers; forbidden pages behind every table do."""
    if os.name != "posix":
        pytest.skip("the fences are made by mmap")
    configure(tmp_path)
    found = report([str(build(tmp_path, "mutate_fenced")), str(FENCED)])
    assert found["mutants"] >= FENCED
    assert found["isas"] == isa.supported()


def test_damaged_containers_are_refused() -> None:
    with latentsr.load("demo", threads=1) as codec:
        found = run(codec, CONTAINERS, decoded=1_600, seed=1)
    for part in ("as_is", "resealed", "chunk"):
        assert list(found[part]) == list(KINDS)
        for kind, counts in found[part].items():
            assert counts["unnoticed"] == counts["equal"] == 0, (part, kind)
            refused = sum(counts["errors"].values())
            assert refused + counts["unchanged"] == counts["mutants"] > 0
