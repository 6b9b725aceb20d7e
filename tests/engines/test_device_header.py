"""Functions, structs and numbers of the ctypes device are those of NVIDIA's cuda.h."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
from ctypes import c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import pytest

from latentsr.backends import device_ctypes
from latentsr.backends.device_ctypes import FUNCTIONS, Copy2D, Out

# Symbols that the driver keeps beside newer ones; the newer one has the same parameters.
KEPT = {"cuEventElapsedTime"}
SCALARS = {
    "int": c_int, "CUdevice": c_int, "unsigned int": c_uint, "size_t": c_size_t,
    "unsigned long long": c_uint64, "CUdeviceptr": c_uint64, "cuuint64_t": c_uint64,
    "float": c_float,
    # Enumerations are as wide as int.
    "CUdevice_attribute": c_int, "CUstreamCaptureMode": c_int, "CUmemorytype": c_uint,
}  # fmt: skip
HANDLES = {"CUcontext", "CUstream", "CUevent", "CUgraph", "CUgraphExec", "CUarray"}


def places() -> list[Path]:
    """Folders where toolkits and packages keep their headers."""
    found = [Path(value) / "include" for name in ("CUDA_HOME", "CUDA_PATH")
             if (value := os.environ.get(name))]  # fmt: skip
    if nvcc := shutil.which("nvcc"):
        found.append(Path(nvcc).resolve().parent.parent / "include")
    found += [*Path("/usr/local").glob("cuda*/include")]
    for package in ("nvidia", "triton"):
        spec = importlib.util.find_spec(package)
        for root in spec.submodule_search_locations or () if spec else ():
            found += [path.parent for path in Path(root).glob("**/include/cuda.h")]
    return found


@pytest.fixture(scope="module")
def header() -> str:
    for place in places():
        path = place / "cuda.h"
        text = path.read_text(errors="replace") if path.is_file() else ""
        # The names in our table are those of CUDA 12 and later.
        if (found := re.search(r"#define CUDA_VERSION (\d+)", text)) and int(found[1]) >= 12000:
            return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    pytest.skip("no cuda.h; install CUDA's toolkit, or pip install nvidia-cuda-runtime")


def parameters_of(header: str, name: str) -> list[str]:
    """The parameters' types, by the header's own name of a function."""
    match = re.search(rf"\bCUresult\s+CUDAAPI\s+{name}\s*\(([^)]*)\)\s*;", header)
    assert match, f"{name} is not in cuda.h"
    parts = [" ".join(part.split()) for part in match[1].split(",")]
    return [re.sub(r"\s*\b\w+$", "", part).replace(" *", "*") for part in parts]


def symbol_of(header: str, name: str) -> str:
    """What the header makes of a function's name."""
    match = re.search(rf"#\s*define\s+{name}\s+(?:__CUDA_API_\w+\()?(\w+)", header)
    return match[1] if match else name


def as_ctypes(kind: str) -> Any:
    """What our table has to have for a type of the header."""
    if kind == "const CUDA_MEMCPY2D*":
        return ctypes.POINTER(Copy2D)
    if kind in SCALARS:
        return SCALARS[kind]
    if kind in HANDLES or kind in ("void*", "const void*"):
        return c_void_p
    if kind == "void**" or (kind.endswith("*") and kind[:-1] in HANDLES):
        return ("out", c_void_p)
    assert kind.endswith("*") and kind[:-1] in SCALARS, kind
    return ("out", SCALARS[kind[:-1]])


@pytest.mark.parametrize("ours, symbol, parameters", FUNCTIONS, ids=[f[1] for f in FUNCTIONS])
def test_prototypes(header: str, ours: str, symbol: str, parameters: tuple[Any, ...]) -> None:
    assert symbol == symbol_of(header, ours) or symbol in KEPT
    expected = [as_ctypes(kind) for kind in parameters_of(header, ours)]
    found = [("out", p.kind) if isinstance(p, Out) else p for p in parameters]
    assert found == expected


def test_functions_that_have_a_text(header: str) -> None:
    assert parameters_of(header, "cuDeviceGetName") == ["char*", "int", "CUdevice"]
    assert parameters_of(header, "cuGetErrorName") == ["CUresult", "const char**"]


def test_the_struct_of_copies_in_two_dimensions(header: str) -> None:
    match = re.search(r"struct CUDA_MEMCPY2D_st \{(.*?)\}", header, re.DOTALL)
    assert match
    theirs = []
    for line in match[1].split(";"):
        if words := line.split():
            name, kind = words[-1].lstrip("*"), " ".join(words)
            kind = re.sub(r"\s*\b\w+$", "", kind).replace(" *", "*")
            theirs.append((name, as_ctypes(kind)))
    assert list(Copy2D._fields_) == theirs


def test_numbers(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __getattr__(self, name: str) -> Any:
            return lambda *given: 0

    monkeypatch.setattr(device_ctypes.ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(device_ctypes, "_function", lambda *given: None)
    driver = device_ctypes.load_driver()
    kinds, flags = driver.CUdevice_attribute, driver.CUstream_flags
    for name, ours in {
        **vars(kinds), **vars(driver.CUmemorytype), **vars(driver.CUstreamCaptureMode),
        "CU_STREAM_NON_BLOCKING": flags.CU_STREAM_NON_BLOCKING.value,
    }.items():  # fmt: skip
        match = re.search(rf"\b{name}\s*=\s*(\w+)", header)
        assert match and int(match[1], 0) == ours, name
