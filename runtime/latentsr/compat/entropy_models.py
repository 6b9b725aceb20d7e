"""Methods that stand in for CompressAI's: arrays where it makes lists, else its own code.

They work on tensors through the tensors' own methods and through the torch module that
CompressAI imported, so this file needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentsr import _kernels
from latentsr.compat.ans import TABLES, decode_into, encode
from latentsr.entropy import scale_indexes
from latentsr.errors import LatentSRError

PRECISION = 16
"""Bits of a probability in CompressAI's coder, whatever a model says."""


def replacements(module: Any) -> dict[str, Callable[..., Any]]:
    """Functions for the methods of `compressai.entropy_models.entropy_models`, by their paths.

    Each has the signature and the results of what it replaces, and hands over to it whenever an
    argument is not as it should be, so that errors are CompressAI's as well.
    """
    return {
        "EntropyModel.compress": _compress(module.EntropyModel.compress),
        "EntropyModel.decompress": _decompress(module.EntropyModel.decompress, module.torch),
        "GaussianConditional.build_indexes": _build_indexes(
            module.GaussianConditional.build_indexes, module.torch
        ),
    }


def _compress(original: Callable[..., Any]) -> Callable[..., Any]:
    def compress(self: Any, inputs: Any, indexes: Any, means: Any = None) -> Any:
        """As CompressAI's method, on latentsr's coder."""
        if not _prepared(self) or inputs.dim() < 2 or inputs.size() != indexes.size():
            return original(self, inputs, indexes, means)
        symbols = _array(self.quantize(inputs, "symbols", means))
        tables = _tables(self)
        return [
            encode(tables, values.reshape(-1), rows.reshape(-1))
            for values, rows in zip(symbols, _array(indexes), strict=True)
        ]

    return compress


def _decompress(original: Callable[..., Any], torch: Any) -> Callable[..., Any]:
    def decompress(
        self: Any, strings: Any, indexes: Any, dtype: Any = torch.float, means: Any = None
    ) -> Any:
        """As CompressAI's method, on latentsr's coder."""
        if not _prepared(self) or not _fit(strings, indexes, means):
            return original(self, strings, indexes, dtype, means)
        rows = _array(indexes)
        symbols = np.empty(rows.shape, np.int32)
        tables = _tables(self)
        for data, at, out in zip(strings, rows, symbols, strict=True):
            decode_into(tables, data, at.reshape(-1), out.reshape(-1))
        outputs = torch.from_numpy(symbols).to(self._quantized_cdf.device)
        return self.dequantize(outputs, means, dtype)

    return decompress


def _build_indexes(original: Callable[..., Any], torch: Any) -> Callable[..., Any]:
    def build_indexes(self: Any, scales: Any) -> Any:
        """As CompressAI's method, one pass in place of one for each entry of the table."""
        if scales.device.type != "cpu" or scales.dtype != torch.float32:
            return original(self, scales)
        bounded = self.lower_bound_scale(scales).detach().numpy()
        try:
            rows = scale_indexes(bounded, self.scale_table.cpu().numpy())
        except LatentSRError:  # scales that are no numbers, tables that do not rise
            return original(self, scales)
        return torch.from_numpy(rows.astype(np.int32))

    return build_indexes


def _prepared(model: Any) -> bool:
    """Whether the model codes with CompressAI's rANS and its tables are there."""
    cdf, length, offset = model._quantized_cdf, model._cdf_length, model._offset
    return (
        model.entropy_coder.name == "ans"
        and model.entropy_coder_precision == PRECISION
        and cdf.numel() > 0
        and (cdf.dim(), length.dim(), offset.dim()) == (2, 1, 1)
        and len(cdf) == len(length) == len(offset)
        and not cdf.is_floating_point()
    )


def _fit(strings: Any, indexes: Any, means: Any) -> bool:
    """Whether CompressAI would take these arguments."""
    if not isinstance(strings, tuple | list) or len(strings) != indexes.size(0):
        return False
    if indexes.dim() < 2:
        return False
    if means is None or means.size() == indexes.size():
        return True
    return (
        means.dim() == indexes.dim()
        and means.size()[:2] == indexes.size()[:2]
        and all(size == 1 for size in means.size()[2:])
    )


def _tables(model: Any) -> _kernels.CdfTables:
    return TABLES.find(
        _array(model._quantized_cdf), _array(model._cdf_length), _array(model._offset)
    )


def _array(tensor: Any) -> NDArray[np.int32]:
    """An integer tensor on the host, in C order; shares its memory where it can."""
    return np.ascontiguousarray(tensor.detach().int().cpu().numpy())
