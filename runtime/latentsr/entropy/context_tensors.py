"""The integer tensors of a context model, as `tables.safetensors` holds them, by name and shape.

The network: taps over the latent decoded so far → layer 0 (context prediction) → layers 1 .. L of
1x1 convolutions, of which layer 1 also adds the hyperprior's *features*. M is the number of
channels of the latent, C_k that of layer k's outputs, C_L = 2 M (scales, then means)::

    taps       int32 (T, 2)           (dy, dx) of each tap, before the position in raster order
    0.weight   int16 (C0, T, M)       0.bias int32 (C0,)    0.shift uint8 (C0,)
    1.weight   int16 (C1, C0)         1.lift uint8 (C1,)    1.shift uint8 (C1,)
    k.weight   int16 (Ck, Ck-1)       k.bias int32 (Ck,)    k.shift uint8 (Ck,)    k = 2 .. L
    settings   int32 (4 + L,)         mean bits, slope, input top, feature top, tops of 0 .. L-1

`latentsr.entropy.reference_context` says what is computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentsr.bundle import Bundle
from latentsr.errors import BundleError

MAX_LAYERS = 8
_FIRST_TOP = 4


@dataclass(frozen=True)
class ContextTensors:
    """The tensors of one context model; lists go by layer, and layer 1 has no bias (None)."""

    taps: NDArray[np.int32]
    settings: NDArray[np.int32]
    weights: tuple[NDArray[np.int16], ...]
    biases: tuple[NDArray[np.int32] | None, ...]
    shifts: tuple[NDArray[np.uint8], ...]
    lift: NDArray[np.uint8]

    @property
    def last(self) -> int:
        """Number L of the last layer."""
        return len(self.weights) - 1

    @property
    def channels(self) -> int:
        """Channels M of the latent."""
        return self.weights[0].shape[2]

    @property
    def mean_bits(self) -> int:
        """Means and the latent that the network sees are integers in units of 2^-mean_bits."""
        return int(self.settings[0])

    @property
    def slope(self) -> int:
        """Slope of the LeakyReLU in units of 2^-16."""
        return int(self.settings[1])

    @property
    def input_top(self) -> int:
        """Largest magnitude of what layer 0 sees."""
        return int(self.settings[2])

    @property
    def feature_top(self) -> int:
        """Largest magnitude of the features, before they are lifted."""
        return int(self.settings[3])

    @property
    def tops(self) -> tuple[int, ...]:
        """Largest magnitudes of the outputs of layers 0 .. L-1."""
        return tuple(int(top) for top in self.settings[_FIRST_TOP:])

    def named(self, prefix: str) -> dict[str, np.ndarray]:
        """The tensors by the names that `load_context` looks for."""
        found: dict[str, np.ndarray] = {"taps": self.taps, "settings": self.settings}
        for k, (weight, bias, shift) in enumerate(
            zip(self.weights, self.biases, self.shifts, strict=True)
        ):
            found |= {f"{k}.weight": weight, f"{k}.shift": shift}
            found |= {"1.lift": self.lift} if bias is None else {f"{k}.bias": bias}
        return {f"{prefix}.{name}": tensor for name, tensor in found.items()}


def load_context(bundle: Bundle, prefix: str, channels: int) -> ContextTensors:
    """Tensors of a context model over `channels` channels, checked for types and shapes only.

    Raises BundleError for a tensor that is missing, of another type, or does not fit the others.
    Values (ranges, causality of the taps, the bound on sums) are checked by who computes.
    """
    taps = bundle.tensor(f"{prefix}.taps", "int32", (-1, 2))
    settings = bundle.tensor(f"{prefix}.settings", "int32", (-1,))
    last = len(settings) - _FIRST_TOP
    if not 2 <= last <= MAX_LAYERS:
        raise BundleError(
            f"entropy tensor {prefix}.settings is wrong: found {len(settings)} values, expected "
            f"{_FIRST_TOP} and one for each of 2..{MAX_LAYERS} layers; export the bundle again"
        )
    weights = [bundle.tensor(f"{prefix}.0.weight", "int16", (-1, len(taps), channels))]
    for k in range(1, last + 1):
        outputs = 2 * channels if k == last else -1
        weights.append(bundle.tensor(f"{prefix}.{k}.weight", "int16", (outputs, len(weights[-1]))))
    sizes = [(len(weight),) for weight in weights]
    return ContextTensors(
        taps,
        settings,
        tuple(weights),
        tuple(
            None if k == 1 else bundle.tensor(f"{prefix}.{k}.bias", "int32", size)
            for k, size in enumerate(sizes)
        ),
        tuple(bundle.tensor(f"{prefix}.{k}.shift", "uint8", size) for k, size in enumerate(sizes)),
        bundle.tensor(f"{prefix}.1.lift", "uint8", sizes[1]),
    )
