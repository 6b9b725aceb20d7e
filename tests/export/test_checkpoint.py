"""Loading checkpoints: wrappers, prefixes and precision taken off; anything else is refused."""

from __future__ import annotations

import collections
import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.checkpoint import load_state, source_hash, without_owner  # noqa: E402

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}


def _saved(tmp_path: Path, content: Any, **options: Any) -> Path:
    path = tmp_path / "net.pth"
    torch.save(content, path, **options)
    return path


def _same(found: dict[str, torch.Tensor]) -> bool:
    return set(found) == set(STATE) and all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize("legacy", [False, True])
def test_plain_files_of_both_torch_formats(tmp_path: Path, legacy: bool) -> None:
    path = _saved(tmp_path, STATE, _use_new_zipfile_serialization=not legacy)
    assert _same(load_state(path))
    assert _same(load_state(str(path)))


@pytest.mark.parametrize("name", ["net.safetensors", "net.bin"])
def test_safetensors_whatever_the_suffix(tmp_path: Path, name: str) -> None:
    save_file(STATE, tmp_path / name)
    assert _same(load_state(tmp_path / name))


@pytest.mark.parametrize(
    "wrapped",
    [
        {"state_dict": STATE, "epoch": 3, "loss": 0.5},
        {"network": STATE}, {"model": STATE}, {"net": STATE}, {"generator": STATE},
        {"params": {"b": torch.ones(1)}, "params_ema": STATE},
        {"model": {"state_dict": STATE}, "optimizer": {}},
        {"something": collections.OrderedDict(STATE)},
        {f"module.{k}": v for k, v in STATE.items()},
        {"state_dict": {f"module._orig_mod.{k}": v for k, v in STATE.items()}},
        {"epoch": 3, "state_dict": {"b": torch.ones(1)}, "ema_state_dict": STATE},
        {"state_dict": {"b": torch.ones(1)}, "state_dict_ema": {"model": STATE, "decay": 0.9}},
        {"params": {"lr": 1e-4, "steps": 3}, "network": {"N": 10}, "net": STATE},
        {"ema": {"decay": 0.9, "shadow": {"b": torch.ones(1)}}, "state_dict": STATE},
        {"model": {}, "state_dict": STATE},
    ],
)  # fmt: skip
def test_wrappers_and_prefixes(tmp_path: Path, wrapped: dict[str, Any]) -> None:
    assert _same(load_state(_saved(tmp_path, wrapped)))


def test_prefixes_stay_where_not_all_keys_share_them(tmp_path: Path) -> None:
    mixed = {"module.a": torch.ones(1), "b": torch.ones(1)}
    assert set(load_state(_saved(tmp_path, mixed))) == set(mixed)
    inner = {"model.0.weight": torch.ones(1), "model.1.weight": torch.ones(1)}
    path = _saved(tmp_path, inner)
    assert set(load_state(path)) == set(inner)
    assert set(load_state(path, strip=("model.",))) == {"0.weight", "1.weight"}


@pytest.mark.parametrize("owner", ["model.", "codec.net."])
def test_the_word_before_all_names_goes_where_the_network_is_then_known(owner: str) -> None:
    def known(found: Mapping[str, torch.Tensor]) -> bool:
        return "a.weight" in found

    owned = {f"{owner}{key}": value for key, value in STATE.items()}
    assert _same(without_owner(owned, known))
    assert _same(without_owner(STATE, known))
    for other in ({**owned, "loss.weight": torch.ones(1)}, {"model": torch.ones(1)}, {}):
        assert without_owner(other, known) is other


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_becomes_float32(tmp_path: Path, kind: torch.dtype) -> None:
    state = load_state(_saved(tmp_path, {k: v.to(kind) for k, v in STATE.items()}))
    assert state["a.weight"].dtype == torch.float32
    assert torch.equal(state["a.weight"], STATE["a.weight"])
    assert load_state(_saved(tmp_path, STATE))["a.count"].dtype == torch.int64


def test_parameters_become_tensors(tmp_path: Path) -> None:
    state = load_state(_saved(tmp_path, {"w": torch.nn.Parameter(torch.ones(2))}))
    assert not state["w"].requires_grad


class Payload:
    """Would run code if a loader let it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], legacy: bool
) -> None:
    path = _saved(tmp_path, {"x": Payload()}, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"refused: found pickled code .*print.*safetensors"):
        load_state(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError):
        load_state(path)
    assert "never be printed" not in capsys.readouterr().out


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="re-save it as a plain state dict"):
        load_state(_saved(tmp_path, torch.nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "empty"), ({"state_dict": {}}, "empty"), (torch.ones(3), "found Tensor"),
        ([torch.ones(3)], "found list"), ({"a": torch.ones(1), "epoch": 3}, "'epoch': int"),
        ({1: torch.ones(1), "b": torch.ones(1)}, "1: Tensor"),
        ({"w": torch.ones(1).expand(1000, 1000)}, "not dense"),
        ({"w": torch.eye(3).to_sparse()}, "not dense"),
        ({"w": torch.empty(3, device="meta")}, "not dense"),
    ],
)  # fmt: skip
def test_files_without_a_state_dict(tmp_path: Path, content: Any, message: str) -> None:
    path = _saved(tmp_path, content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_state(path)
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for call in (load_state, source_hash):
        with pytest.raises(CheckpointError, match=r"No such file .*x\.pth"):
            call(path)
        with pytest.raises(CheckpointError, match="Is a directory"):
            call(tmp_path)
    for content in (b"\x89PNG\r\n\x1a\n" + bytes(50), b"hello", b"{}"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            load_state(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="empty"):
        load_state(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated_files(tmp_path: Path, form: str) -> None:
    path = tmp_path / "net.pth"
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    data = path.read_bytes()
    for size in (20, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            load_state(path)


def test_other_zip_files_and_bombs(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no network here")
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 22))
    with pytest.raises(CheckpointError, match="refused"):
        load_state(path)


def test_source_hash(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert source_hash(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
