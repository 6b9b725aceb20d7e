"""Folding of weight norm, batch norm, mean shifts and value ranges, and the rules for names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.networks.folding import (  # noqa: E402
    divide_range,
    fold_batch_norm,
    fold_mean_shift,
    fold_weight_norm,
    plain_keys,
)
from latentsr_export.networks.imdn import IMDN  # noqa: E402
from latentsr_export.networks.layouts import rename  # noqa: E402
from latentsr_export.networks.rfdn import RFDN  # noqa: E402
from latentsr_export.networks.rlfn import RLFN  # noqa: E402
from latentsr_export.networks.shapes import build  # noqa: E402
from latentsr_export.networks.value_range import find_range  # noqa: E402

NETWORKS = {
    "rfdn": (RFDN, (8, 4, 4, 2, 2), (".esa.conv4",)),
    "rlfn": (RLFN, (8, 10, 4, 2, 2), (".esa.conv4",)),
    "imdn": (IMDN, (16, 4, 2, 2, 4, True), (".cca.conv_du.2",)),
    "imdn-kair": (IMDN, (16, 4, 2, 2, 0, False), (".cca.conv_du.2",)),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("new", [True, False])
def test_weight_norm(new: bool) -> None:
    torch.manual_seed(1)
    wrap = nn.utils.parametrizations.weight_norm if new else nn.utils.weight_norm
    network = nn.Sequential(wrap(nn.Conv2d(4, 6, 3)), nn.ReLU(), nn.Conv2d(6, 2, 1))
    state = network.state_dict()
    with torch.no_grad():
        for key in state:
            if key.endswith(("weight_g", "original0")):
                state[key].mul_(torch.rand(6, 1, 1, 1) + 0.5)
    folded = fold_weight_norm(state)
    assert set(folded) == plain_keys(state) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    plain = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1))
    plain.load_state_dict(folded)
    x = torch.rand(1, 4, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (5, 1, 1, 1), (1, 1, 1, 1)])
def test_weight_norm_of_another_kind(shape: tuple[int, ...]) -> None:
    state = {"0.weight_g": torch.ones(shape), "0.weight_v": torch.ones(6, 4, 3, 3)}
    with pytest.raises(CheckpointError, match=r"'0\.weight_g' has a wrong shape"):
        fold_weight_norm(state)
    with pytest.raises(CheckpointError, match=r"lacks tensor '0\.weight_v'"):
        fold_weight_norm({"0.weight_g": torch.ones(6, 1, 1, 1)})


@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm(bias: bool) -> None:
    torch.manual_seed(2)
    layer, norm = nn.Conv2d(3, 5, 3, padding=1, bias=bias), nn.BatchNorm2d(5)
    for _ in range(3):  # lively statistics
        norm(torch.randn(4, 5, 6, 6) * torch.rand(5, 1, 1) * 3 + torch.randn(5, 1, 1))
    norm.weight.data.uniform_(0.5, 2)
    norm.bias.data.normal_()
    network = nn.ModuleDict({"conv": layer, "norm": norm}).eval()
    folded = fold_batch_norm(network.state_dict(), "conv", "norm")
    assert set(folded) == {"conv.weight", "conv.bias"}
    x = torch.rand(2, 3, 9, 7)
    with torch.no_grad():
        found = F.conv2d(x, folded["conv.weight"], folded["conv.bias"], padding=1)
        torch.testing.assert_close(found, norm(layer(x)), rtol=1e-5, atol=1e-5)


def test_batch_norm_that_does_not_fit() -> None:
    state = {f"norm.{name}": torch.ones(4) for name in ("weight", "bias", "running_mean")}
    state["conv.weight"] = torch.ones(4, 2, 3, 3)
    with pytest.raises(CheckpointError, match=r"lacks tensor 'norm\.running_var'"):
        fold_batch_norm(state, "conv", "norm")
    with pytest.raises(CheckpointError, match=r"'norm\.running_var' has a wrong shape"):
        fold_batch_norm({**state, "norm.running_var": torch.ones(5)}, "conv", "norm")


def test_mean_shift_that_scales_is_refused() -> None:
    state = {"last.bias": torch.zeros(3)}
    for name in ("sub_mean", "add_mean"):
        state[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1) * 2
        state[f"{name}.bias"] = torch.ones(3)
    with pytest.raises(CheckpointError, match="does more than shift"):
        fold_mean_shift(state, "last")


def _keeping(kind: type[nn.Module], sizes: tuple[object, ...]) -> dict[str, Tensor]:
    """Weights of a network that keeps a picture on 0..255, but not on 0..1: for a bias of 2.5."""
    torch.manual_seed(3)
    state = dict(kind(*sizes).state_dict())
    for key in ("fea_conv", "LR_conv", "upsampler.0"):
        state[f"{key}.weight"] = torch.zeros_like(state[f"{key}.weight"])
        state[f"{key}.bias"] = torch.zeros_like(state[f"{key}.bias"])
    for channel in range(3):
        state["fea_conv.weight"][channel, channel, 1, 1] = 1
        state["upsampler.0.weight"][4 * channel : 4 * channel + 4, channel, 1, 1] = 1
    state["LR_conv.bias"] += 2.5
    return state


@pytest.mark.parametrize(("kind", "sizes", "gates"), NETWORKS.values(), ids=NETWORKS)
def test_range_is_found_and_taken_off(
    kind: type[nn.Module], sizes: tuple[object, ...], gates: tuple[str, ...]
) -> None:
    state = _keeping(kind, sizes)
    made = build(state, kind, *sizes)
    assert find_range(made, 2) == 255.0
    loaded = kind.from_state_dict(state)
    x = torch.rand(1, 3, 24, 20)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), made(x * 255) / 255, rtol=1e-5, atol=1e-5)
        assert float((loaded(x) - made(x)).abs().min()) > 1


@pytest.mark.parametrize(("kind", "sizes", "gates"), NETWORKS.values(), ids=NETWORKS)
def test_range_of_random_weights(
    kind: type[nn.Module], sizes: tuple[object, ...], gates: tuple[str, ...]
) -> None:
    torch.manual_seed(4)
    network = kind(*sizes).eval()
    assert find_range(network, 2) == 1.0
    divided = build(divide_range(network.state_dict(), 255.0, gates), kind, *sizes)
    x = torch.rand(1, 3, 24, 20)
    with torch.no_grad():
        torch.testing.assert_close(divided(x), network(x * 255) / 255, rtol=1e-5, atol=1e-6)


def test_names_that_are_taken_stay() -> None:
    state = {"old.0": torch.ones(1), "old.1": torch.ones(2), "other": torch.ones(3)}
    renamed = rename(state, [(r"old\.\d", "new"), ("other", "never")][:1])
    assert list(renamed) == ["new", "old.1", "other"]
