"""Reading hyper-parameters from tensor shapes, with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

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
    network.load_state_dict(dict(state))
    return network
