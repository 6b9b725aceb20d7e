"""Graphs given to NVIDIA's own builder, which TensorRT for RTX lets run without a GPU."""

from __future__ import annotations

import onnx

from latentsr.backends.profiles import Profile
from latentsr.backends.tensorrt_api import RTX, library
from latentsr.backends.tensorrt_build import BuildOptions, Built, build_plan

SIDES = (16, 24, 64)


def built(data: bytes, label: str = "graph", fp16: bool = False) -> Built:
    """A plan for sides from 16 to 64 wherever the graph leaves them open."""
    inputs = onnx.load_model_from_string(data).graph.input
    parts = [
        {port.name: tuple(d.dim_value or side for d in port.type.tensor_type.shape.dim)
         for port in inputs} for side in SIDES
    ]  # fmt: skip
    return build_plan(data, label, Profile(*parts), BuildOptions(fp16=fp16), library(RTX))


def computed_in(made: Built, sample_type: str) -> set[str]:
    """Names of layers that compute samples of that type; HALF or FLOAT."""
    aside = ("CAST", "CONSTANT")
    return {each["Name"] for each in made.parsed
            if each["Precision"] == sample_type and each["LayerType"] not in aside}  # fmt: skip
