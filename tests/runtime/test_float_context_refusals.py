"""Context models in float32: arrays, inputs and tensors that do not fit are refused."""

from __future__ import annotations

import numpy as np
import pytest

from float_context_case import SCALES, TAPS, Case
from latentsr.entropy.float_context import FloatContext
from latentsr.errors import BundleError, CorruptStream, ImageError, StreamError

SMALL = Case(5, (7, 9, 6), 4, 6, TAPS)


def test_wrong_arrays_are_refused() -> None:
    case = SMALL
    w0, w1, w2, w3 = case.weights
    nan = w2.copy()
    nan[0, 0] = np.nan
    for changes in (
        {"weights": [w0, w1, w2]},
        {"weights": [w0, w1, nan, w3]},
        {"weights": [w0, w1[:, :-1], w2, w3]},
        {"weights": [w0]},
        {"weights": []},
        {"biases": case.biases[:2]},
        {"biases": [case.biases[0], case.biases[2], case.biases[1]]},
        {"taps": TAPS[:-1]},
        {"taps": TAPS * -1},
        {"taps": TAPS * 1000},
        {"taps": TAPS.astype(np.int64)},
        {"scale_table": SCALES[:-1]},
        {"scale_table": SCALES[::-1]},
        {"slope": 1.0},
        {"slope": float("nan")},
        {"bound": float("nan")},
    ):
        with pytest.raises(BundleError):
            case.model(**changes)


def test_wrong_inputs_are_refused() -> None:
    case = SMALL
    model = case.model()
    data, _ = model.encode(case.features, case.y)
    for features in (case.features[1:], case.features.astype(np.float64), case.features[0]):
        with pytest.raises(BundleError):
            model.decode(data, features)
    with pytest.raises(BundleError):
        model.encode(case.features, case.y[:, 1:])
    with pytest.raises(ImageError):
        model.encode(case.features, np.full_like(case.y, np.nan))
    with pytest.raises(ImageError):
        model.encode(case.features, np.full_like(case.y, 3e9))
    broken = case.features.copy()
    broken[0, 2, 2] = np.inf
    with pytest.raises(StreamError):
        model.encode(broken, case.y)
    with pytest.raises(CorruptStream, match="finite"):
        model.decode(data, broken)
    for stream in (b"", b"123", bytes(8), data + b"1"):
        with pytest.raises(CorruptStream):
            model.decode(stream, case.features)


def test_kernel_refuses_what_does_not_fit() -> None:
    case = SMALL
    model = case.model()
    native, tables = model._native, case.coder.native
    stream = np.frombuffer(model.encode(case.features, case.y)[0], np.uint8)
    features = np.ascontiguousarray(case.features.transpose(1, 2, 0))
    symbols, latent = np.zeros(case.y.size, np.int32), np.zeros(case.y.size, np.float32)
    rows = np.zeros(case.y.size, np.uint8)
    good = (2**40, 8, 0)
    for begin, changes, out in (
        ((0, 8, 0), [], symbols),
        ((2**40, 4, 0), [], symbols),
        ((2**40, stream.size + 4, 0), [], symbols),
        ((2**40, 8, 1), [], symbols),
        ((2**40, 8, symbols.size + case.channels), [], symbols),
        (good, [(3, 1), (3, 2)], symbols),
        (good, [(3, 64)], symbols),
        ((2**40, 8, case.channels), [(0, 1)], symbols),
        (good, [], symbols[1:].copy()),
    ):
        with pytest.raises(ValueError):
            native.decode(
                tables, stream, features, out, rows, latent, begin, changes, 0.0, 9, model._isa
            )


def test_tensors_that_are_missing_are_named() -> None:
    case = SMALL
    tensors = {"y.context.taps": case.taps, "y.scale_table": SCALES}
    for k, weight in enumerate(case.weights):
        tensors[f"y.context.float.{k}.weight"] = weight
    for k, bias in zip((0, 2, 3), case.biases, strict=True):
        tensors[f"y.context.float.{k}.bias"] = bias
    FloatContext.from_tensors(case.coder, tensors)
    for name in tensors:
        with pytest.raises(BundleError, match="float context model"):
            FloatContext.from_tensors(case.coder, {k: v for k, v in tensors.items() if k != name})
