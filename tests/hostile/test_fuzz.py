"""libFuzzer on the decoders of both forms, for a few seconds: no sanitizer has anything to say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from native_drivers import build, configure, need, need_sanitizers

RUNS = os.environ.get("LATENTSR_FUZZ_RUNS", "30000")


def test_fuzzed_decoders_keep_their_promises(tmp_path: Path) -> None:
    compiler = need("clang++", "clang++-14", "clang++-16", "clang++-18")
    need_sanitizers(compiler, "fuzzer,address,undefined", tmp_path)
    options = ("LATENTSR_FUZZ=ON", "LATENTSR_SANITIZE=ON", f"CMAKE_CXX_COMPILER={compiler}")
    configure(tmp_path, *options)
    fuzzer = build(tmp_path, "fuzz_rans")
    # The peak of resident memory begins with that of the process that starts it, which may be large
    # after other tests: single allocations are limited in its place.
    limits = ["-max_len=2048", "-timeout=10", "-rss_limit_mb=0", "-malloc_limit_mb=1024"]
    command = [str(fuzzer), "-seed=1", f"-runs={RUNS}", *limits]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    # The inputs got through to the coders: one that is refused at its first byte covers little.
    covered = re.findall(r"cov: (\d+)", done.stderr)
    assert int(covered[-1]) > 800, done.stderr[-2000:]
