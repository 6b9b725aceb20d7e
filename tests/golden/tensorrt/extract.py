"""Write what a version of TensorRT's Python bindings holds: classes, their members, signatures.

python tests/golden/tensorrt/extract.py WHEEL [WHEEL ...]

WHEEL: `tensorrt_bindings` (8.6), `tensorrt_cu12_bindings` (10), `tensorrt_cu13_bindings` (11) or
`tensorrt_rtx_cu13_bindings` (TensorRT for RTX 1), for the Python that runs this. The bindings want
libnvinfer and its like, which need not be there: libraries that define the same symbols, all
returning null, are enough to import the module and look at it. Needs gcc and nm. Writes
VERSION.json beside this file for each wheel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARIES = (
    "nvinfer", "nvonnxparser", "nvparsers", "nvinfer_plugin", "tensorrt_rtx",
    "tensorrt_onnxparser_rtx",
)  # fmt: skip
MODULES = ("tensorrt", "tensorrt_rtx")
SYMBOL = re.compile(
    r"INTERNAL$|PluginRegistry$|^getNv|^getInfer|^initLib|nvuffparser|nvcaffeparser"
)
# Where a backend like ours could ever look.
CLASSES = (
    "Builder", "BuilderFlag", "ComputeCapability", "CudaGraphStrategy", "DataType", "Dims",
    "DynamicShapesKernelSpecializationStrategy", "EngineInspector", "IBuilderConfig",
    "ICudaEngine", "IExecutionContext", "IHostMemory", "ILayer", "ILogger", "INetworkDefinition",
    "IOptimizationProfile", "IProfiler", "IProgressMonitor", "IRuntimeCache", "IRuntimeConfig",
    "ITensor", "ITimingCache", "LayerInformationFormat", "LayerType", "Logger", "MemoryPoolType",
    "NetworkDefinitionCreationFlag", "OnnxParser", "ParserError", "PreviewFeature",
    "ProfilingVerbosity", "Runtime", "TensorIOMode", "TensorLocation",
)  # fmt: skip


def members(kind: Any) -> dict[str, list[str]]:
    """Public members of a class: signatures of methods, nothing for attributes."""
    found = {}
    for name in dir(kind):
        if name.startswith("_") and name != "__init__":
            continue
        text = getattr(getattr(kind, name), "__doc__", None) or ""
        lines = [line.strip() for line in text.splitlines()]
        found[name] = [line for line in lines if re.match(rf"(\d+\. )?{name}\(.*\) -> ", line)]
    return found


def describe(module: str, version: str) -> None:
    """Import the module in this process and print its description."""
    sys.path.insert(0, str(Path(module).parent))
    tensorrt = import_module(Path(module).stem)
    classes = {name: members(getattr(tensorrt, name)) for name in CLASSES
               if hasattr(tensorrt, name)}  # fmt: skip
    names = sorted(name for name in dir(tensorrt) if not name.startswith("_"))
    print(json.dumps({"version": version, "names": names, "classes": classes}, indent=1))


def imitate(module: Path, folder: Path) -> None:
    """Libraries that the module can be linked with."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", str(module)], check=True,
                            capture_output=True, text=True).stdout  # fmt: skip
    symbols = [line.split()[-1] for line in listed.splitlines() if line.split()[0] == "U"]
    code = "".join(f"void *{s}(void) {{ return 0; }}\n" for s in symbols if SYMBOL.search(s))
    (folder / "imitation.c").write_text(code)
    needed = subprocess.run(["readelf", "-d", str(module)], check=True, capture_output=True,
                            text=True).stdout  # fmt: skip
    wanted = rf"\[(lib(?:{'|'.join(LIBRARIES)})\.so\.\d+)\]"
    for name in re.findall(wanted, needed):
        target, source = str(folder / name), str(folder / "imitation.c")
        command = ["gcc", "-shared", "-fPIC", "-o", target, source, f"-Wl,-soname,{name}"]
        subprocess.run(command, check=True)


def extract(wheel: Path) -> None:
    """One wheel."""
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        module = next(each for name in MODULES for each in folder.rglob(f"{name}.so"))
        imitate(module, folder)
        found = subprocess.run(
            [sys.executable, __file__, "--describe", str(module), version],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    target = Path(__file__).with_name(f"{version}.json")
    target.write_text(found)
    print(target, len(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--describe"]:
        describe(*sys.argv[2:4])
    else:
        for each in sys.argv[1:]:
            extract(Path(each))
