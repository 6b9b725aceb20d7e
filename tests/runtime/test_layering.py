"""Who may import whom, read from the sources, and the runtime in a world without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import latentsr

RUNTIME = Path(latentsr.__file__).parent
HEAVY = {"torch", "torchvision", "compressai", "onnx", "spandrel", "latentsr_export"}
# `latentsr.compat.install()` works on CompressAI itself: this file may name it, inside functions.
GUEST, GUEST_MAY = RUNTIME / "compat" / "patch.py", {"compressai"}
# Engine libraries, and what the names of the files in `backends` that may import them begin with.
ENGINES = {
    "onnxruntime": ("ort",),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt",),
    "pycuda": ("device_",),
    "cupy": ("device_",),
    "cuda": ("device_",),
}
SERVERS = {"ray", "triton_python_backend_utils"}
MODULES = sorted(
    ".".join(("latentsr", *path.relative_to(RUNTIME).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in RUNTIME.rglob("*.py")
)


def imports(path: Path) -> list[tuple[str, bool]]:
    """Top-level names that a file imports, and whether at its outermost level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found += [(name.split(".")[0], node in tree.body) for name in names]
    return found


def test_runtime_never_names_the_exporter_or_torch() -> None:
    wrong = [
        (path.name, name)
        for path in RUNTIME.rglob("*.py")
        for name, outermost in imports(path)
        if name in HEAVY and not (path == GUEST and name in GUEST_MAY and not outermost)
    ]
    assert not wrong


def test_engine_libraries_only_in_backends_and_lazily() -> None:
    wrong = [
        (path.name, name)
        for path in RUNTIME.rglob("*.py")
        for name, outermost in imports(path)
        if name in ENGINES
        and (path.parent.name != "backends" or outermost or not path.name.startswith(ENGINES[name]))
    ]
    assert not wrong


def test_cluster_and_server_libraries_only_in_deploy_and_lazily() -> None:
    wrong = [
        (path.name, name)
        for path in RUNTIME.rglob("*.py")
        for name, outermost in imports(path)
        if name in SERVERS and (path.parent.name != "deploy" or outermost)
    ]
    assert not wrong


def test_kernels_know_no_python(repository: Path) -> None:
    kernels = repository / "kernels"
    core = [*(kernels / "src").rglob("*.*"), *(kernels / "include").rglob("*.h")]
    assert core
    for path in core:
        text = path.read_text(encoding="utf-8")
        assert "Python.h" not in text and "nanobind" not in text, path


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_without_torch(module: str) -> None:
    # None in sys.modules makes an import fail, as if the package were not installed.
    blocked = sorted(HEAVY | set(ENGINES) | SERVERS)
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import {module}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
