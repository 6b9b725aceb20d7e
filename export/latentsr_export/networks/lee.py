"""The context-adaptive codec of Lee et al. 2018 (arXiv 1809.10452), base and hybrid model.

y at stride 16, z at stride 64. An estimator sees the 4x4 window that ends at a position, of ŷ what
is decoded and of the hyperprior's c' all, and gives means and logarithms of scales. In the hybrid
model this holds for the first M1 channels; the others have mean 0 and scales from the hyperprior
alone. The latents of z are Gaussian with one σ for each channel.

Open in the paper and its code, and chosen here: the estimator's inner layers (`hidden` features,
two 1x1 layers, LeakyReLU), ReLU behind h_s, and rounding around the predicted mean, as CompressAI
does it, where the original rounds y itself. Pictures are padded to multiples of 64 at once, so that
no graph is cut between its layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from compressai.entropy_models import GaussianConditional
from compressai.layers import GDN
from compressai.models import CompressionModel
from compressai.models.utils import conv, deconv
from torch import Tensor, nn

from latentsr_export.causal import CausalConv2d, WindowConv2d, summed_layers
from latentsr_export.context_layers import ContextLayers
from latentsr_export.networks.factorized import cdf_tensors
from latentsr_export.networks.shapes import check_shape
from latentsr_export.networks.windowed import Half, WindowedCodec, rounded
from latentsr_export.parts import CodecParts

WINDOW = (4, 4)
# Logarithms of scales are compared from here on, so that those of the table are positive.
LOG_OFFSET = 3.0
_SLOPE = 0.2


class Estimator(nn.Module):
    """f of the paper: the window's latents and c' to scales and means of M1 channels."""

    def __init__(self, channels: int, features: int, hidden: int) -> None:
        super().__init__()
        self.latent = CausalConv2d(channels, hidden, WINDOW)
        self.hyper = WindowConv2d(features, hidden, WINDOW)
        self.layers = nn.Sequential(
            nn.LeakyReLU(_SLOPE), nn.Conv2d(hidden, hidden, 1),
            nn.LeakyReLU(_SLOPE), nn.Conv2d(hidden, 2 * channels, 1),
        )  # fmt: skip

    def forward(self, y_hat: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """ŷ (N, M1, h, w) and c' (N, features, h, w) to scales and means, (N, M1, h, w) each."""
        logarithms, means = self.layers(self.latent(y_hat) + self.hyper(c)).chunk(2, 1)
        return torch.exp(logarithms), means


class ContextAdaptive(CompressionModel):
    """The trainable codec. n: features of the transforms. m1, m2: latent channels with and without
    context (m2 = 0: the base model). hidden: of the estimator."""

    def __init__(self, n: int = 128, m1: int = 192, m2: int = 0, hidden: int = 384) -> None:
        super().__init__()
        self.m1, m = m1, m1 + m2
        self.g_a = nn.Sequential(
            conv(3, n), GDN(n), conv(n, n), GDN(n), conv(n, n), GDN(n), conv(n, m)
        )
        self.g_s = nn.Sequential(
            deconv(m, n), GDN(n, inverse=True), deconv(n, n), GDN(n, inverse=True),
            deconv(n, n), GDN(n, inverse=True), deconv(n, 3),
        )  # fmt: skip
        self.h_a = nn.Sequential(
            conv(m, n, stride=1, kernel_size=3), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n)
        )
        self.h_s = nn.Sequential(
            deconv(n, n), nn.ReLU(), deconv(n, n), nn.ReLU(),
            conv(n, m, stride=1, kernel_size=3), nn.ReLU(),
        )  # fmt: skip
        self.estimator = Estimator(m1, m1, hidden)
        self.z_scales = nn.Parameter(torch.ones(n))
        self.gaussian_conditional = GaussianConditional(None)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """{x_hat, likelihoods: {y, z}} of a picture (N, 3, H, W) in 0..1, sides multiples of 64."""
        y = self.g_a(x)
        z = self.h_a(rounded(y))
        gaussian = self.gaussian_conditional
        scales = self.z_scales.abs().reshape(1, -1, 1, 1).expand_as(z)
        _, z_likelihoods = gaussian(z, scales)
        side = self.h_s(rounded(z))
        first, second = y[:, : self.m1], y[:, self.m1 :]
        sigma, means = self.estimator(rounded(first), side[:, : self.m1])
        _, likelihoods = gaussian(first, sigma, means)
        _, others = gaussian(second, side[:, self.m1 :])
        y_hat = torch.cat([rounded(first - means) + means, rounded(second)], 1)
        found = {"y": torch.cat([likelihoods, others], 1), "z": z_likelihoods}
        return {"x_hat": self.g_s(y_hat), "likelihoods": found}


class Lee2018:
    """Base and hybrid model, told apart by what the estimator covers."""

    NAME = "lee2018"

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """An estimator over a window, and scales of z."""
        needed = {"estimator.latent.weight", "estimator.hyper.weight", "z_scales", "g_a.6.weight"}
        return needed <= set(state)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        n = int(check_shape(state, "g_a.0.weight", (None, 3, 5, 5)).shape[0])
        m = int(check_shape(state, "g_a.6.weight", (None, n, 5, 5)).shape[0])
        window = check_shape(state, "estimator.latent.weight", (None, None, *WINDOW))
        hidden, m1 = int(window.shape[0]), int(window.shape[1])
        network = ContextAdaptive(n, m1, m - m1, hidden)
        network.load_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """The graphs; chunks z and y, or z, y1 and y2."""
        net: Any = network
        m1, m = net.m1, net.h_s[4].out_channels
        table = cdf_tensors("y", net.gaussian_conditional)
        sigma = net.gaussian_conditional.scale_table.detach().double()
        own = {**table, "y.scale_table": (sigma.log() + LOG_OFFSET).float().numpy()}
        features = nn.Sequential(*_h_s(net, 0, m1), net.estimator.hyper)
        halves = [Half(m1, features, own, _layers(net.estimator))]
        if m > m1:
            plain = {**table, "y.scale_table": sigma.float().numpy()}
            halves.append(Half(m - m1, _h_s(net, m1, m), plain, None))
        codec = WindowedCodec(self.NAME, net, RoundedHyperAnalysis(net.h_a), tuple(halves))
        return codec.parts(_z_tensors(net))


class RoundedHyperAnalysis(nn.Module):
    """h_a(round(y)): the original feeds quantised latents to it."""

    def __init__(self, h_a: nn.Module) -> None:
        super().__init__()
        self.h_a = h_a

    def forward(self, y: Tensor) -> Tensor:
        """(N, M, h, w) → (N, N, h/4, w/4)."""
        z: Tensor = self.h_a(torch.round(y))
        return z


def _h_s(net: Any, start: int, stop: int) -> nn.Sequential:
    """h_s with some of its outputs."""
    *layers, last, activation = net.h_s
    made: Any = nn.Conv2d(last.in_channels, stop - start, last.kernel_size, padding=last.padding)
    with torch.no_grad():
        made.weight.copy_(last.weight[start:stop])
        made.bias.copy_(last.bias[start:stop])
    return nn.Sequential(*layers, made, activation)


def _layers(estimator: Estimator) -> ContextLayers:
    """The estimator's layers, with its logarithms of scales moved to where the table has them."""
    layers = summed_layers(estimator.latent, estimator.layers)
    last = layers.biases[-1]
    assert last is not None
    moved = last + np.repeat(np.array([LOG_OFFSET, 0], np.float32), len(last) // 2)
    # c' comes with the bias of its own convolution; that of the latent's stays in layer 0.
    return ContextLayers(layers.taps, layers.weights, (*layers.biases[:-1], moved), layers.slope)


def _z_tensors(net: Any) -> dict[str, np.ndarray]:
    """Tables of z: a Gaussian of mean 0 for each channel."""
    sigma = net.z_scales.detach().abs().clamp(min=0.11).double()
    order = torch.argsort(sigma)
    gaussian = GaussianConditional([float(s) for s in sigma[order]])
    gaussian.update()
    place = torch.argsort(order).numpy()
    rows = cdf_tensors("z", gaussian)
    medians = {"z.medians": np.zeros(len(sigma), np.float32)}
    return {**{name: np.ascontiguousarray(t[place]) for name, t in rows.items()}, **medians}
