"""Networks of presets: RRDBNet in both namings, and artefact removal with its folding."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the exporter needs torch")

from latentsr.errors import CheckpointError  # noqa: E402
from latentsr_export.networks.car import ArtefactRemoval, fold_batch_norm  # noqa: E402
from latentsr_export.networks.rrdbnet import RRDBNet  # noqa: E402
from latentsr_export.presets import find_preset  # noqa: E402
from latentsr_export.presets.preset import FULL  # noqa: E402
from latentsr_export.presets.untrained import sample  # noqa: E402


def older(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Key names of the first public files."""
    pairs = (("body.", "RRDB_trunk."), (".rdb", ".RDB"), ("conv_body.", "trunk_conv."),
             ("conv_up", "upconv"), ("conv_hr.", "HRconv."))  # fmt: skip
    renamed = {}
    for key, tensor in state.items():
        name = key
        for new, old in pairs:
            name = name.replace(new, old)
        renamed[name] = tensor
    return renamed


@pytest.mark.parametrize("sizes", [(6, 2, 3), (8, 1, 5)])
def test_rrdbnet_is_found_again_under_both_names(sizes: tuple[int, int, int]) -> None:
    torch.manual_seed(2)
    network = RRDBNet(*sizes).eval()
    x = torch.rand(2, 3, 5, 7)
    for state in (network.state_dict(), older(network.state_dict())):
        assert RRDBNet.detect(state)
        again = RRDBNet.from_state_dict(state)
        assert not again.training and again.scale == 4
        with torch.no_grad():
            torch.testing.assert_close(again(x), network(x))
    assert network(x).shape == (2, 3, 20, 28)
    assert not RRDBNet.detect({})


def test_rrdbnet_is_spandrels() -> None:
    spandrel = pytest.importorskip("spandrel.architectures.ESRGAN")
    torch.manual_seed(2)
    theirs = spandrel.ESRGAN(num_filters=8, num_blocks=2).eval()
    network = RRDBNet(8, 2, 32).eval()
    with torch.no_grad():
        for own, other in zip(network.parameters(), theirs.parameters(), strict=True):
            assert own.shape == other.shape
            own.copy_(other)
        x = torch.rand(1, 3, 9, 6)
        torch.testing.assert_close(network(x), theirs(x), rtol=1e-5, atol=1e-6)


def test_rrdbnets_of_other_kinds_are_left_alone() -> None:
    state = RRDBNet(4, 1, 2).state_dict()
    state["conv_first.weight"] = torch.zeros(4, 12, 3, 3)  # pixels folded into channels
    assert not RRDBNet.detect(state)
    with pytest.raises(CheckpointError, match=r"conv_first\.weight"):
        RRDBNet.from_state_dict(state)


def lively(features: int, layers: int, first_relu: bool = True) -> ArtefactRemoval:
    torch.manual_seed(9)
    network = ArtefactRemoval(features, layers, first_relu)
    for _ in range(3):
        network(torch.rand(4, 3, 8, 8))  # running statistics of their own
    with torch.no_grad():
        for layer in network.body:
            layer.norm.weight.uniform_(0.5, 2)
            layer.norm.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("first_relu", [True, False])
def test_batch_norm_folds(first_relu: bool) -> None:
    network = lively(6, 3, first_relu)
    folded = fold_batch_norm(network)
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    x = torch.rand(2, 3, 11, 6)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
        again = ArtefactRemoval.from_state_dict(folded.state_dict(), first_relu)
        torch.testing.assert_close(again(x), folded(x))
        loaded = ArtefactRemoval.from_state_dict(network.state_dict(), first_relu)
        torch.testing.assert_close(loaded(x), folded(x))
        other = ArtefactRemoval.from_state_dict(network.state_dict(), not first_relu)
        assert not torch.allclose(other(x), folded(x))


def test_artefact_removal_has_the_papers_size() -> None:
    network = fold_batch_norm(ArtefactRemoval().eval())
    assert sum(p.numel() for p in network.parameters()) == 594_371
    assert network.scale == 1


def test_untrained_artefact_removal_sees_the_picture() -> None:
    """Behind 16 layers that let features fade, it would add a constant."""
    preset = find_preset("jin-jpeg-car-sr")
    network = preset.networks({}, preset.settings(FULL, {"features": "8", "blocks": "1"}), True)
    x = sample()
    with torch.no_grad():
        residual = network["car"](x) - x
    assert residual.std((2, 3)).min() > 0.002
    assert residual.abs().max() < 0.2


@pytest.mark.parametrize("key", ["body.1.conv.weight", "body.2.norm.running_var", "tail.bias"])
def test_wrong_shapes_are_named(key: str) -> None:
    state = lively(5, 3).state_dict()
    with pytest.raises(CheckpointError, match=key.replace(".", r"\.")):
        ArtefactRemoval.from_state_dict({**state, key: torch.zeros(2, 2)})
    assert not ArtefactRemoval.detect({})
