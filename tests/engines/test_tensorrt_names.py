"""Every TensorRT name that the backend uses exists in 8.6, 10, 11 and RTX, with the same signature.

`tests/golden/tensorrt` has what the four versions' own bindings hold. Names of the module are read
from the backend's sources; members of objects are those that the stand-in has, for on it the
backend runs whole, and a member that it lacks is an error there.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import latentsr
from engines.host_device import HostDevice
from engines.tensorrt_stand_in import make
from engines.tensorrt_versions import ENUMERATIONS, RTX, VERSIONS, golden
from engines.trt_stubs import stub_sources

BACKENDS = Path(latentsr.__file__).parent / "backends"
SOURCES = sorted(BACKENDS.glob("tensorrt*.py"))
# Defined in Python beside the bindings, in all versions.
PYTHON = {"nptype", "__version__"}
OLD = {
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH", "BuilderFlag.FP16",
    "BuilderFlag.OBEY_PRECISION_CONSTRAINTS", "PreviewFeature.PROFILE_SHARING_0806",
}  # fmt: skip
LATE = {
    "ComputeCapability", "ComputeCapability.__members__", "CudaGraphStrategy",
    "CudaGraphStrategy.DISABLED", "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE",
    "DynamicShapesKernelSpecializationStrategy", "DynamicShapesKernelSpecializationStrategy.EAGER",
}  # fmt: skip
# The branches of `Dialect` that a version never takes.
NOT_IN = {
    "8.6.1": {
        "IProgressMonitor", "IProgressMonitor.__init__",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED", *LATE,
    },
    "10.13.0.35": LATE,
    "11.4.0.106": {*OLD, *LATE},
    RTX: OLD,
}  # fmt: skip
# What the stand-in has for tests, and members of weakly typed networks.
OWN = {
    "INetworkDefinition": {"creation_flags", "model"}, "IOptimizationProfile": {"shapes"},
    "ITimingCache": {"data"}, "ICudaEngine": {"profile", "session", "ports", "contexts"},
    "IBuilderConfig": {"flags_set", "profiles", "preview", "pools", "targets"},
    "IRuntimeConfig": {"cache"}, "IRuntimeCache": {"kernels"}, "ILayer": {"output_types"},
}  # fmt: skip
WEAK = {"ILayer": {"get_output_type", "precision", "set_output_type"}}


def used_names() -> set[str]:
    """`trt.X` and `trt.X.Y` in the backend's sources, as X and X.Y; `flags.Y` is `trt.X` there."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if match := re.fullmatch(r"trt((?:\.\w+){1,2})", text):
                found.add(match[1][1:])
            elif match := re.fullmatch(r"flags\.(\w+)", text):
                found.add(f"NetworkDefinitionCreationFlag.{match[1]}")
    return found


def exists(name: str, version: str) -> bool:
    kind, _, member = name.partition(".")
    held = golden(version)
    if not member:
        return kind in held["names"] or kind in PYTHON
    return member in held["classes"].get(kind, ()) or (
        member == "__members__" and kind in held["classes"]
    )


def test_sources_use_tensorrt() -> None:
    assert {"Builder", "BuilderFlag.TF32", "OnnxParser", "Runtime", "IProfiler"} <= used_names()


@pytest.mark.parametrize("version", VERSIONS)
def test_names_of_the_module(version: str) -> None:
    missing = {name for name in used_names() if not exists(name, version)}
    assert missing == NOT_IN[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_members_of_the_stand_in_are_tensorrts(version: str) -> None:
    for name, kind in classes_of(make(version, HostDevice())).items():
        allowed = set(golden(version)["classes"][name]) | OWN.get(name, set())
        if version.startswith("11") or version == RTX:
            allowed |= WEAK.get(name, set())
        assert members_of(kind) <= allowed, name


@pytest.mark.parametrize("version", VERSIONS)
def test_parameters_of_the_stand_in_are_the_bindings(version: str) -> None:
    checked = 0
    for name, kind in classes_of(make(version, HostDevice())).items():
        for member, function in vars(kind).items():
            signatures = golden(version)["classes"][name].get(member)
            if not signatures or not inspect.isfunction(function):
                continue
            ours = parameters(inspect.signature(function))
            theirs = [names_in(text) for text in signatures]
            assert any(ours == t[: len(ours)] for t in theirs), (name, member, ours, theirs)
            checked += 1
    assert checked > 25


def test_parameters_of_the_stand_in_are_the_stubs() -> None:
    text = next((t for n, t in stub_sources().items() if n.endswith("tensorrt.pyi")), None)
    if text is None:
        pytest.skip("no type stubs; run: pip install tensorrt-stubs")
    stubs = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    checked = 0
    for name, kind in classes_of(make("10.13.0.35", HostDevice())).items():
        functions = [n for n in stubs[name].body if isinstance(n, ast.FunctionDef)]
        for member, function in vars(kind).items():
            theirs = [[a.arg for a in f.args.args[1:]] for f in functions if f.name == member]
            if theirs and inspect.isfunction(function):
                ours = parameters(inspect.signature(function))
                # `(self, *args, **kwargs)` is a signature that cannot be parsed as it comes.
                assert any(ours == t[: len(ours)] for t in theirs), (name, member)
                checked += 1
    assert checked > 25


def classes_of(trt: Any) -> dict[str, type]:
    found = {n: k for n, k in vars(trt).items() if isinstance(k, type) and n != "Dims"}
    return {n: k for n, k in found.items() if n not in ENUMERATIONS}


def members_of(kind: type) -> set[str]:
    """Methods, and attributes that `__init__` sets."""
    found = set(vars(kind))
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return {name for name in found if not name.startswith("_")} - {"known"}


def parameters(signature: inspect.Signature) -> list[str]:
    return [name for name in signature.parameters if name != "self"]


def names_in(text: str) -> list[str]:
    """Parameter names of a pybind11 signature, without self."""
    inner = text[text.index("(") + 1 : text.rindex(") -> ")]
    return re.findall(r"(?:^|, )(\w+): ", inner)[1:]
