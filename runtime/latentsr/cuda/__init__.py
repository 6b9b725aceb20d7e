"""Entropy coding and picture steps on CUDA devices; kernels/include/latentsr/cuda is the reference.

The kernels are in a module of their own, built where the option LATENTSR_CUDA is on
(`pip install . -C cmake.define.LATENTSR_CUDA=ON`, which takes nvcc), so that other builds know
nothing of CUDA. Everything here takes device pointers as integers and a stream last, runs in the
context that is current and returns at once: memory is the caller's, from PyCUDA, CuPy,
cuda-python or whatever else shares the context.
"""

from __future__ import annotations

from latentsr.cuda.batch import DecodeArrays, DecodePlan, EncodeArrays, EncodePlan
from latentsr.cuda.coder import DeviceCoder
from latentsr.cuda.context import ContextArrays, DeviceContext
from latentsr.cuda.module import available, why_not

__all__ = [
    "ContextArrays", "DecodeArrays", "DecodePlan", "DeviceCoder", "DeviceContext",
    "EncodeArrays", "EncodePlan", "available", "why_not",
]  # fmt: skip
