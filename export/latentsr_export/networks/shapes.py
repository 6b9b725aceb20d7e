"""Reading hyper-parameters from tensor shapes, with errors that name the key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from latentsr.errors import CheckpointError

Network = TypeVar("Network", bound=nn.Module)

# No network here is deeper; a hostile checkpoint must not make the exporter build more.
MAX_BLOCKS = 256


def check_shape(state: Mapping[str, Tensor], key: str, expected: Sequence[int | None]) -> Tensor:
    """Tensor `key` if its shape is `expected` (None stands for any size above zero).

    Raises CheckpointError that names the key, the shape found and the shape expected.
    """
    tensor = state.get(key)
    shape = None if tensor is None else tuple(tensor.shape)
    wanted = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
    if tensor is None or shape is None:
        raise CheckpointError(f"checkpoint lacks tensor {key!r}: expected shape {wanted}")
    fits = len(shape) == len(expected) and all(
        found > 0 and size in (None, found) for found, size in zip(shape, expected, strict=True)
    )
    if not fits:
        raise CheckpointError(f"tensor {key!r} has a wrong shape: found {shape}, expected {wanted}")
    return tensor


def count_blocks(state: Mapping[str, Tensor], pattern: str, first: int = 0) -> int:
    """How many of the keys pattern.format(first), pattern.format(first + 1), ... stand in a row."""
    count = 0
    while pattern.format(first + count) in state:
        count += 1
        if count > MAX_BLOCKS:
            raise CheckpointError(
                f"too many blocks {pattern!r}: found more than {MAX_BLOCKS}; not a known network"
            )
    return count


def shuffle_ratio(state: Mapping[str, Tensor], key: str, channels: int, inputs: int) -> int:
    """Ratio r of the pixel shuffle after a 3x3 convolution from `inputs` to channels·r² maps.

    key: of the convolution's weight. Raises CheckpointError unless r is 2 or more.
    """
    weight = check_shape(state, key, (None, inputs, 3, 3))
    ratio = math.isqrt(int(weight.shape[0]) // channels)
    if ratio < 2 or weight.shape[0] != channels * ratio * ratio:
        raise CheckpointError(
            f"tensor {key!r} does not fit a pixel shuffle: found {weight.shape[0]} outputs, "
            f"expected {channels} times 4, 9, 16 …"
        )
    return ratio


def build(state: Mapping[str, Tensor], kind: Callable[..., Network], *sizes: Any) -> Network:
    """Network kind(*sizes) in eval mode with the weights in `state`, every key of both.

    Raises CheckpointError as `load_strictly` does, before memory is taken for sizes that one
    tensor claims and the others do not have.
    """
    with torch.device("meta"):
        network = kind(*sizes)
    return load_strictly(network, state).eval()


def load_strictly(network: Network, state: Mapping[str, Tensor]) -> Network:
    """Copy `state` into `network`, every key of both, and return the network.

    Raises CheckpointError for the first missing, unexpected or wrongly shaped tensor.
    """
    own = network.state_dict()
    for key, tensor in own.items():
        check_shape(state, key, tuple(tensor.shape))
    unexpected = sorted(set(state) - set(own))
    if unexpected:
        raise CheckpointError(
            f"checkpoint has {len(unexpected)} tensors that {type(network).__name__} does not "
            f"know: found {unexpected[:3]}, expected {len(own)} tensors"
        )
    copies = {key: state[key].to(tensor.dtype, copy=True) for key, tensor in own.items()}
    network.load_state_dict(copies, assign=True)
    return network
