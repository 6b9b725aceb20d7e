"""Loading a trained network's tensors from a file without running anything the file says.

`load_state` reads what `torch.save` writes (with ``weights_only=True``, so that pickled code is
refused) and safetensors, told apart by their first bytes. Wrappers that training scripts put
around a state dict are taken off.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from latentsr.errors import CheckpointError

# Keys under which training scripts keep the state dict; an averaged copy is the better network.
WRAPPERS = (
    "params_ema", "params-ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema",
    "state_dict", "model_state_dict", "network", "params", "model", "net", "generator", "netG",
    "net_g",
)  # fmt: skip
# What DataParallel and torch.compile put in front of every key.
PREFIXES = ("module.", "_orig_mod.")
_MAX_DEPTH = 4
# torch.save stores without compression; a repacked file shrinks a little, a zip bomb a lot.
_MAX_INFLATION = 20
_RESAVE = "re-save it as a plain state dict (torch.save(model.state_dict(), ...)) or safetensors"


def load_state(path: str | Path, strip: Sequence[str] = ()) -> dict[str, Tensor]:
    """State dict of a checkpoint file: dense CPU tensors, floating-point ones as float32.

    Prefixes ``module.`` and ``_orig_mod.``, and those named in `strip`, are removed where all
    keys begin with them. Raises CheckpointError for a file that is missing, damaged, of another
    kind, empty, or that holds code or values other than tensors.
    """
    path = Path(path)
    kind = _kind(path)
    content = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, kind)
    state = _unwrap(content, path)
    checked = {key: _checked(key, value, path) for key, value in state.items()}
    return _strip(checked, (*PREFIXES, *strip))


def without_owner(
    state: dict[str, Tensor], known: Callable[[Mapping[str, Tensor]], bool]
) -> dict[str, Tensor]:
    """The state dict without the word that stands before all its names, where `known` needs it so.

    PyTorch Lightning puts there the name of the attribute that holds the network: ``model.``,
    ``net.``, or any. What `known` accepts at no depth comes back as it is.
    """
    found = state
    while not known(found):
        words = {key.partition(".")[0] for key in found}
        if len(words) != 1 or not all("." in key for key in found):
            return state
        found = {key.partition(".")[2]: value for key, value in found.items()}
    return found


def source_hash(path: str | Path) -> str:
    """SHA-256 of the file's bytes, in hex; CheckpointError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _cannot_open(Path(path), error) from None


def _kind(path: Path) -> str:
    """``safetensors``, ``zip`` or ``pickle``, from the first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise _cannot_open(path, error) from None
    if not head:
        raise CheckpointError(f"checkpoint is empty: found 0 bytes in {path}; save it again")
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[8:9] == b"{":  # after the 8-byte length of safetensors' JSON header
        return "safetensors"
    if head.startswith(b"\x80"):
        return "pickle"
    raise CheckpointError(
        f"not a checkpoint: found first bytes {head[:8]!r} in {path}, expected a file that "
        "torch.save or safetensors wrote"
    )


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(str(path), device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise _damaged(path, error) from None


def _read_torch(path: Path, kind: str) -> Any:
    if kind == "zip":
        _check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from None
    except Exception as error:  # torch's readers raise nearly anything on damaged bytes
        raise _damaged(path, error) from None


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from None
    unpacked, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > _MAX_INFLATION * size:
        raise CheckpointError(
            f"checkpoint is refused: found {unpacked} bytes packed into {size} in {path}, "
            f"expected at most {_MAX_INFLATION} times the file; {_RESAVE}"
        )


def _unwrap(content: Any, path: Path) -> Mapping[str, Any]:
    """The innermost mapping that holds tensors."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(content, Mapping):
            break
        inner = _inside(content)
        # Under such names some scripts keep settings too, which must not hide the network.
        inner = [value for value in inner if _holds_state(value)] or inner
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"checkpoint holds no state dict: found {type(content).__name__} in {path}, expected "
            f"a dict of tensors; {_RESAVE}"
        )
    if not content:
        raise CheckpointError(f"checkpoint is empty: found no tensors in {path}; save it again")
    return content


def _inside(content: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    """The mappings in which the state dict may be, the likeliest first."""
    named = [content[key] for key in WRAPPERS if key in content]
    if len(content) == 1 and not named:
        named = list(content.values())
    return [value for value in named if isinstance(value, Mapping)]


def _holds_state(content: Mapping[Any, Any], depth: int = _MAX_DEPTH) -> bool:
    """Whether this is a state dict, or wrappers lead from it to one."""
    if content and all(isinstance(value, Tensor) for value in content.values()):
        return True
    return depth > 0 and any(_holds_state(value, depth - 1) for value in _inside(content))


def _checked(key: object, value: object, path: Path) -> Tensor:
    """A dense tensor; refused where its shape claims more than the file holds."""
    if not isinstance(key, str) or not isinstance(value, Tensor):
        found = f"{key!r}: {type(value).__name__}"
        raise CheckpointError(
            f"checkpoint holds other things than tensors: found {found} in {path}, expected names "
            f"and tensors only; {_RESAVE}"
        )
    tensor = value.detach()
    dense = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    claimed = tensor.numel() * tensor.element_size()
    if not dense or claimed > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"tensor {key!r} is not dense: found {tensor.layout}, {tensor.dtype}, shape "
            f"{tuple(tensor.shape)} in {path}, expected plain stored values; {_RESAVE}"
        )
    return tensor.float() if tensor.is_floating_point() else tensor


def _strip(state: dict[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    shared = [p for p in prefixes if p and all(k.startswith(p) and k != p for k in state)]
    if not shared:
        return state
    return _strip({key.removeprefix(shared[0]): value for key, value in state.items()}, prefixes)


def _cannot_open(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"checkpoint cannot be read: found {error.strerror} for {path}, expected a file; check "
        "the name"
    )


def _refused(path: Path, error: Exception) -> CheckpointError:
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    what = f"pickled code {named[1]!r}" if named else "pickled objects"
    return CheckpointError(
        f"checkpoint is refused: found {what} in {path}, expected tensors only, because loading "
        f"such a file runs what it says; {_RESAVE}"
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return CheckpointError(
        f"checkpoint is damaged: found {first} in {path}, expected a complete file that "
        "torch.save or safetensors wrote; copy or save it again"
    )
