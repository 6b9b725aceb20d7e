"""CompressAI's models with latentsr underneath: the same strings, the same tensors, and back."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="CompressAI runs on it")
pytest.importorskip("compressai", reason="its models are what is tested")

import compressai.ans  # noqa: E402
from compressai import models  # noqa: E402
from compressai.entropy_models import (  # noqa: E402
    EntropyBottleneck,
    EntropyBottleneckVbr,
    EntropyModel,
    GaussianConditional,
    GaussianMixtureConditional,
    entropy_models,
)
from compressai.models import google  # noqa: E402

import latentsr.compat  # noqa: E402
from latentsr.compat import patch  # noqa: E402
from latentsr.compat.ans import RansDecoder  # noqa: E402
from latentsr.errors import CorruptStream, UsageError  # noqa: E402

BUILD: dict[str, Callable[[], Any]] = {
    "bmshj2018-factorized": lambda: models.FactorizedPrior(16, 24),
    "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(16, 24),
    "mbt2018-mean": lambda: models.MeanScaleHyperprior(16, 24),
    "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(16, 24),
    "cheng2020-anchor": lambda: models.Cheng2020Anchor(16),
}
AUTOREGRESSIVE = {"mbt2018", "cheng2020-anchor"}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Each test begins and ends with CompressAI as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)
    latentsr.compat.uninstall()


def spread(network: Any, run: Callable[[], Any], deviation: float) -> None:
    """Scale the last convolution of a network so that what it makes has this deviation."""
    last = [m for m in network.modules() if hasattr(m, "weight") and hasattr(m, "kernel_size")][-1]
    factor = deviation / float(run().std())
    last.weight.mul_(factor)
    last.bias.mul_(factor)


def build(name: str) -> tuple[Any, Any]:
    """A model whose latents are neither all zero nor all escapes, and pictures for it."""
    torch.manual_seed(3)
    model = BUILD[name]().eval()
    x = torch.rand(1 if name in AUTOREGRESSIVE else 2, 3, 64, 128)
    spread(model.g_a, lambda: model.g_a(x), 4.0)
    if hasattr(model, "h_s"):
        z = torch.randn(1, model.h_s[0].in_channels, 2, 2)
        spread(model.h_s, lambda: model.h_s(z), 5.0)
    model.update(force=True)
    return model, x


def coded(model: Any, x: Any) -> tuple[list[list[bytes]], Any]:
    out = model.compress(x)
    return out["strings"], model.decompress(out["strings"], out["shape"])["x_hat"]


@pytest.mark.parametrize("name", BUILD)
def test_models_code_the_same(name: str):
    model, x = build(name)
    strings, picture = coded(model, x)
    assert all(len(string) > 16 for string in strings[0])
    latentsr.compat.install()
    ours, our_picture = coded(model, x)
    assert ours == strings
    assert torch.equal(our_picture, picture)
    assert our_picture.dtype == picture.dtype
    later, _ = build(name)
    assert coded(later, x)[0] == strings
    latentsr.compat.uninstall()
    for each in (model, later):
        again, their_picture = coded(each, x)
        assert again == strings
        assert torch.equal(their_picture, picture)


def test_entropy_model_calls_of_all_kinds():
    model = GaussianConditional(np.exp(np.linspace(np.log(0.11), np.log(64), 20)).tolist())
    model.update()
    rng = torch.Generator().manual_seed(1)
    y = torch.randn(3, 4, 6, 5, generator=rng) * 9
    scales = torch.rand(3, 4, 6, 5, generator=rng) * 20
    means = torch.randn(3, 4, 6, 5, generator=rng)
    wide = means[:, :, :1, :1]

    def calls() -> list[Any]:
        rows = model.build_indexes(scales)
        turned = model.build_indexes(scales.permute(0, 1, 3, 2)).permute(0, 1, 3, 2)
        made: list[Any] = [rows, turned, model.build_indexes(scales * torch.nan)]
        made.append(model.build_indexes(scales.double()))
        for inputs, indexes, mean in (
            (y, rows, means), (y, turned.long(), None), (y[:, :, 0, 0], rows[:, :, 0, 0], None),
            (y.transpose(2, 3), rows.transpose(2, 3), None), (y[:0], rows[:0], None),
        ):  # fmt: skip
            strings = model.compress(inputs, indexes, mean)
            made.append(strings)
            made.append(model.decompress(strings, indexes, means=mean))
        made.append(model.decompress(strings := model.compress(y, rows, wide), rows, means=wide))
        made.append(model.decompress(tuple(strings), rows, torch.float64))
        return made

    expected = calls()
    latentsr.compat.install()
    for found, original in zip(calls(), expected, strict=True):
        assert type(found) is type(original)
        if isinstance(found, list):
            assert found == original
        else:
            assert torch.equal(found, original)
            assert found.dtype == original.dtype
            assert found.is_contiguous() == original.is_contiguous()


def test_wrong_calls_get_the_same_errors():
    model = GaussianConditional([0.11, 1.0, 4.0])
    fresh = GaussianConditional([0.11, 1.0])
    model.update()
    y = torch.zeros(2, 3, 4, 4)
    rows = y.int()
    strings = model.compress(y, rows)
    wrong = [
        lambda: model.compress(y[0, 0, 0], rows[0, 0, 0]),
        lambda: model.compress(y, rows[:1]),
        lambda: fresh.compress(y, rows),
        lambda: fresh.decompress(strings, rows),
        lambda: model.decompress("ab", rows),
        lambda: model.decompress(strings[:1], rows),
        lambda: model.decompress(strings, rows[:, 0, 0, 0]),
        lambda: model.decompress(strings, rows, means=y[:1]),
        lambda: model.decompress(strings, rows, means=y[..., :2]),
    ]

    def errors() -> list[tuple[type, str]]:
        found = []
        for call in wrong:
            with pytest.raises(ValueError) as caught:
                call()
            found.append((caught.type, str(caught.value)))
        return found

    expected = errors()
    latentsr.compat.install()
    assert errors() == expected


def test_what_ends_the_process_there_is_an_error_here():
    model = GaussianConditional([0.11, 1.0, 4.0])
    model.update()
    rows = torch.zeros(1, 3, 4, 4, dtype=torch.int32)
    latentsr.compat.install()
    for data in (b"", b"\0", bytes(8)):
        with pytest.raises(CorruptStream):
            model.decompress([data], rows)
    with pytest.raises(UsageError, match="found 3, expected 0 to 2"):
        model.compress(rows.float(), rows + 3)
    one = rows[:, :1, :1, :1]
    assert torch.equal(model.decompress(model.compress(one.float(), one), one), one.float())


def test_entropy_models_with_lists_of_their_own():
    """Mixtures and variable-rate bottlenecks reach the coder through the objects they hold."""
    torch.manual_seed(0)
    mixture = GaussianMixtureConditional(K=2)
    y = torch.randn(1, 4, 5, 5) * 3
    scales, means = torch.rand(1, 8, 5, 5) * 3 + 0.2, torch.randn(1, 8, 5, 5)
    weights = torch.full((1, 8, 5, 5), 0.5)
    variable = EntropyBottleneckVbr(6)
    variable.update(force=True)
    z = torch.randn(2, 6, 4, 4) * 3

    def calls() -> list[Any]:
        given = scales.clone(), means.clone(), weights.clone()
        (string, largest, bitmap), _ = mixture.compress(y, *given)
        given = scales.clone(), means.clone(), weights.clone()
        decoded = mixture.decompress(string, largest, bitmap, *given)
        strings = variable.compress(z)
        return [string, decoded.tolist(), strings, variable.decompress(strings, (4, 4)).tolist()]

    expected = calls()
    latentsr.compat.install()
    assert mixture.entropy_coder._decoder.__class__ is RansDecoder
    assert calls() == expected


def test_copies_of_models_work_on_both_sides():
    model = EntropyBottleneck(4)
    model.update(force=True)
    x = torch.randn(1, 4, 8, 8) * 4
    strings = model.compress(x)
    latentsr.compat.install()
    copied = copy.deepcopy(model)
    assert copied.compress(x) == strings
    latentsr.compat.uninstall()
    assert copied.compress(x) == strings
    assert isinstance(copied.entropy_coder._encoder, compressai.ans.RansEncoder)


def test_everything_is_put_back():
    holders = [EntropyModel, GaussianConditional, entropy_models._EntropyCoder]
    before = [dict(vars(x)) for x in (*holders, compressai.ans, google)]
    latentsr.compat.uninstall()
    latentsr.compat.install()
    latentsr.compat.install()
    assert compressai.ans.RansDecoder is RansDecoder
    assert google.RansDecoder is RansDecoder
    assert "_encoder" in vars(entropy_models._EntropyCoder)
    latentsr.compat.uninstall()
    after = [dict(vars(x)) for x in (*holders, compressai.ans, google)]
    assert after == before


def test_a_compressai_that_looks_different_is_refused(monkeypatch: pytest.MonkeyPatch):
    before = dict(vars(EntropyModel)), dict(vars(compressai.ans))
    with monkeypatch.context() as change:
        change.setattr(patch, "VERSIONS", ("9.9.9",))
        with pytest.raises(UsageError, match=r"CompressAI: found .*, expected 9\.9\.9"):
            latentsr.compat.install()
    with monkeypatch.context() as change:
        change.setattr(EntropyModel, "compress", lambda self, inputs: None)
        with pytest.raises(UsageError, match=r"EntropyModel\.compress: found parameters \['self'"):
            latentsr.compat.install()
    assert (dict(vars(EntropyModel)), dict(vars(compressai.ans))) == before


def test_without_compressai_the_error_says_so():
    code = (
        "import sys; sys.modules.update(compressai=None)\n"
        "import latentsr.compat\n"
        "from latentsr.errors import UsageError\n"
        "try: latentsr.compat.install()\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("CompressAI: found none")
