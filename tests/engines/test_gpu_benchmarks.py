"""The GPU benchmarks: what they compare with computes the same, and a dry run passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentsr.backends import get_backend
from latentsr.backends.base import EngineOptions
from latentsr.bundle import Bundle
from latentsr.report.verify_file import read

torch = pytest.importorskip("torch")


@pytest.fixture
def benchmarks(repository: Path) -> Iterator[Path]:
    folder = repository / "benchmarks" / "gpu"
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.mark.parametrize("graph", ["analysis", "synthesis", "latent_sr", "pixel_sr"])
def test_graphs_in_torch_compute_the_same(benchmarks: Path, graph: str) -> None:
    from torch_graph import TorchGraph

    bundle = Bundle("demo")
    shape = (1, 96, 4, 6) if "y_hat" in bundle.manifest.graphs[graph].inputs else (1, 3, 64, 96)
    given = np.random.default_rng(3).uniform(0, 1, shape).astype(np.float32)
    name = bundle.manifest.graphs[graph].inputs[0]
    engine = get_backend("ort").load(bundle.graph(graph), graph, EngineOptions(threads=1))
    (expected,) = engine.run({name: given}).values()
    with torch.inference_mode():
        (found,) = TorchGraph(bundle.graph(graph))(torch.from_numpy(given))
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5 * np.abs(expected).max())


def test_exact_graph_in_torch_gives_the_same_integers(benchmarks: Path) -> None:
    from torch_graph import TorchGraph

    data = Bundle("demo").graph("entropy_parameters_exact")
    given = np.random.default_rng(3).integers(-9, 9, (1, 64, 3, 4)).astype(np.float32)
    engine = get_backend("ort").load(data, "exact", EngineOptions(threads=1))
    with torch.inference_mode():
        (found,) = TorchGraph(data)(torch.from_numpy(given))
    np.testing.assert_array_equal(found.numpy(), engine.run({"z_hat": given})["scales"])


def test_torchs_values_are_cut_and_put_together(benchmarks: Path) -> None:
    from contenders import TorchResident

    whole = np.random.default_rng(1).normal(size=(1, 3, 7, 9)).astype(np.float32)
    given = TorchResident(torch.from_numpy(whole))
    made = given.empty(7, 9)
    for left in (0, 5):
        made.put(given.window(0, left, 7, 5 - left // 5), 0, left)
    np.testing.assert_array_equal(made.to_host(), whole)
    made.put(np.zeros((1, 3, 1, 1), np.float32), 6, 8)
    assert made[0, 0, 6, 8] == 0


def test_unknown_operators_are_named(benchmarks: Path) -> None:
    import onnx
    from onnx import TensorProto, helper
    from torch_graph import TorchGraph

    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "g", ports[:1], ports[1:])
    with pytest.raises(ValueError, match="operator Erf"):
        TorchGraph(onnx.ModelProto.SerializeToString(helper.make_model(graph)))


PIP = """#!/bin/sh
[ "$1" = -m ] || exec "{python}" "$@"
echo "$*" >> "{log}"
case "$*" in *LATENTSR_CUDA=ON*) exit 1 ;; esac
"""


def test_kernels_that_do_not_build_leave_the_rest_to_run(benchmarks: Path, tmp_path: Path) -> None:
    log, python, nvcc = tmp_path / "pip.txt", tmp_path / "python", tmp_path / "nvcc"
    python.write_text(PIP.format(python=sys.executable, log=log))
    nvcc.write_text("#!/bin/sh\n")
    for each in (python, nvcc):
        each.chmod(0o755)
    command = ["bash", benchmarks / "run.sh", "--only", "install", "--out", tmp_path / "out"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHON": str(python), "PATH": path},
    )  # fmt: skip
    first, second = log.read_text().splitlines()
    assert "LATENTSR_CUDA=ON" in first and "LATENTSR_CUDA" not in second
    assert done.returncode == 1, done.stdout + done.stderr
    (part,) = json.loads((tmp_path / "out" / "parts.json").read_text())
    assert (part["name"], part["status"]) == ("install", 1)


def test_dry_run_runs_every_part(benchmarks: Path, tmp_path: Path) -> None:
    command = ["bash", benchmarks / "run.sh", "--dry-run", "--out", tmp_path, "--only",
               "machine,half,exactness,placement,speed,encode"]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "parts.json").read_text())
    assert {part["name"]: part["status"] for part in parts} == {
        "machine": 0, "half": 0, "exactness": 0, "placement": 0, "speed": 0, "encode": 0,
    }  # fmt: skip
    exactness = json.loads((tmp_path / "exactness.json").read_text())
    assert exactness["differing_indexes"] == exactness["differing_symbols"] == 0
    assert list(read(tmp_path / "encoded.lsv")) == exactness["combinations"]
    placement = json.loads((tmp_path / "placement.json").read_text())
    (graphs,) = placement["graphs"].values()
    assert {"synthesis", "synthesis fp16", "latent_sr#0", "entropy_parameters_exact"} <= set(graphs)
    assert all(row["nodes"] > 0 for row in graphs.values())
    speed = json.loads((tmp_path / "speed.json").read_text())
    assert {row["contender"] for row in speed["rows"]} >= {"ort cpu fp32", "torch eager cpu fp32"}
    assert all(row["psnr_to_first"] > 40 for row in speed["rows"])
    encode = json.loads((tmp_path / "encode.json").read_text())
    assert [row["coder"] for row in encode["rows"]] == ["cpu", "auto"]
    for row in encode["rows"]:
        assert {"pad", "analysis", "entropy_encode y"} < row["stages_ms"].keys()
        assert row["ms"]["p50"] > 0 and row["times_cuda"] > 0
