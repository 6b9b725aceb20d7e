"""Sessions of ONNX Runtime on NVIDIA GPUs: made there or not at all, and what is said where not.

A session that was asked for a GPU and runs on the CPU is an error here: ONNX Runtime itself goes on
without a word. Of a session that runs on the CPU in part, a warning names the operators; those that
compute shapes alone are meant to be there. TF32 is off unless asked for; the TensorRT provider has
no such switch, which exact graphs bear, as their integers fit TF32's mantissa. What they do not
bear is Winograd with tiles of 6x6: its sums are off by more than the rounding behind them forgives.
cuDNN takes it where it is fastest. Exact graphs have no kernels for it; float ones that decide
scales, and exact ones of older bundles, get the algorithms that it falls back to, which are
products of matrices.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from typing import Any

from latentsr.backends.base import EngineOptions
from latentsr.backends.device import parse_index
from latentsr.errors import BackendError

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
ON_SHAPES = frozenset(
    ("Cast", "Concat", "Gather", "Reshape", "Shape", "Slice", "Squeeze", "Unsqueeze")
)
"""Operators that ONNX Runtime puts on the CPU where they compute shapes, without any copy."""
_log = logging.getLogger("latentsr")


def load_on_gpu(
    ort: Any, graph: bytes, label: str, options: EngineOptions, settings: Any, tensorrt: bool
) -> tuple[Any, int]:
    """A session on the GPU, and the GPU's number. Raises BackendError where it would not be one.

    settings: session options; tensorrt: the TensorRT provider before the CUDA one.
    """
    index = parse_index(options.device, "ort")
    wanted = TENSORRT if tensorrt else CUDA
    preload(ort)
    check_provider(ort, wanted)
    providers = providers_for(options, index, tensorrt)
    try:
        session = _session(ort, graph, label, settings, providers)
    except Exception as error:
        raise BackendError(
            f"graph {label} is refused by ONNX Runtime {ort.__version__} on {options.device}: "
            f"found {first_line(error)}, expected a graph that it loads; update "
            "onnxruntime-gpu or export the bundle again"
        ) from error
    running = session.get_providers()
    if wanted not in running:
        raise BackendError(
            f"engine {label} would run elsewhere: found {', '.join(running)}, expected {wanted}; "
            "install the CUDA and cuDNN versions that this onnxruntime-gpu wants, and look at "
            "nvidia-smi"
        )
    return session, index


def preload(ort: Any) -> None:
    """Load CUDA and cuDNN from their own packages.

    Comes before anything else: a CUDA provider that is a plug-in is registered by it where it could
    not be at the import. It prints what it does not find, and results alone go to stdout.
    """
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            ort.preload_dlls()


def check_provider(ort: Any, wanted: str) -> None:
    """Raise BackendError where this build of ONNX Runtime lacks a provider."""
    if wanted not in ort.get_available_providers():
        raise BackendError(
            f"device is not available on backend ort: found providers "
            f"{', '.join(ort.get_available_providers())}, expected {wanted}; run: pip uninstall "
            "onnxruntime, then pip install 'latentsr[cuda]'"
        )


def _session(ort: Any, graph: bytes, label: str, settings: Any, providers: Any) -> Any:
    """A session all on the GPU, or where ONNX Runtime refuses that, one that says what is not."""

    def made() -> Any:
        # Its own fallback would print what is wrong to stdout and make a session on the CPU.
        return ort.InferenceSession(graph, settings, providers=providers, enable_fallback=0)

    strict = "session.disable_cpu_ep_fallback"
    settings.add_session_config_entry(strict, "1")
    try:
        return made()
    except Exception as error:
        reason = first_line(error)
    settings.add_session_config_entry(strict, "0")
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = made()
    left = left_to_cpu(session)
    if left is None:
        _log.warning("engine %s may run in part on the CPU: %s", label, reason)
    elif not left.keys() <= ON_SHAPES:
        named = ", ".join(f"{kind} ({count})" for kind, count in sorted(left.items()))
        _log.warning("engine %s runs in part on the CPU: found %s there", label, named)
    return session


def left_to_cpu(session: Any) -> Counter[str] | None:
    """How many nodes of which operator run on the CPU; None where ONNX Runtime does not tell.

    session: made with ``session.record_ep_graph_assignment_info``, known since ONNX Runtime 1.24.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    parts = session.get_provider_graph_assignment_info()
    return Counter(
        node.op_type for part in parts if part.ep_name == CPU for node in part.get_nodes()
    )


def providers_for(options: EngineOptions, index: int, tensorrt: bool) -> list[tuple[str, Any]]:
    """Providers with their options, in order of preference."""
    cuda = {"device_id": str(index), "use_tf32": "1" if options.tf32 else "0",
            "enable_cuda_graph": "1" if captures(options) and not tensorrt else "0"}  # fmt: skip
    if options.decides:
        cuda["cudnn_conv_algo_search"] = "DEFAULT"  # others may choose Winograd
    found: list[tuple[str, Any]] = [(CUDA, cuda)]
    if tensorrt:
        from latentsr.plans.cache import Cache

        folder = str((options.cache or Cache()).folder / "onnxruntime-tensorrt")
        found.insert(0, (TENSORRT, {
            "device_id": str(index),
            "trt_fp16_enable": "1" if options.precision == "fp16" else "0",
            "trt_engine_cache_enable": "1", "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1", "trt_timing_cache_path": folder,
        }))  # fmt: skip
    return found


def captures(options: EngineOptions) -> bool:
    """Whether sessions capture CUDA graphs: only where that was asked for.

    It keeps outputs from staying on the device, and runs of one session from overlapping.
    """
    return options.graphs is True and not options.profile


def first_line(error: Exception) -> str:
    """What ONNX Runtime says, cut to a line."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    # In front may be the place in ONNX Runtime's sources, longer than what is said.
    return lines[0] if len(lines[0]) <= 300 else f"...{lines[0][-300:]}"
