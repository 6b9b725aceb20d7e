"""The codec of Suzuki, Akutsu et al. 2021 (CVPRW, CLIC): two decoders and an SR residual module.

One latent at stride 16 holds what both decoders need: the main decoder G_m makes the picture x_m,
the selective-detail decoder G_s makes x_s and a mask m of where it is the better one. The SR
residual module S adds a residual to x_m enlarged by 2: x_m2, a ×2 picture; half its size again is
x_m3. The decoded picture is m · x_s + (1 - m) · x_m3, as in Akutsu et al. (CVPRW 2020).

Open in the paper (its figures 2 to 4 show boxes only), and chosen here: bodies are 5x5 convolutions
of stride 2 with GDN, in the hyperprior with LeakyReLU; the first half of the latent's channels goes
to G_m, the other to G_s; the context is a causal 5x5 convolution whose output is added to that of
the hyperprior; z has CompressAI's factorized prior; S has `blocks` residual blocks of `features`
channels and a sub-pixel convolution; the mask goes through a sigmoid; halving is the mean of 2x2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.layers import GDN
from compressai.models import CompressionModel
from compressai.models.utils import conv, deconv
from torch import Tensor, nn

from latentsr_export.causal import CausalConv2d, summed_layers
from latentsr_export.networks.edsr import ResBlock
from latentsr_export.networks.factorized import bottleneck_tensors, cdf_tensors
from latentsr_export.networks.gdn import fold_gdn
from latentsr_export.networks.shapes import check_shape, count_blocks
from latentsr_export.networks.windowed import Half, WindowedCodec, rounded
from latentsr_export.parts import PICTURE, CodecParts, Feed, GraphSpec, Step, graph_step

ENCODER = (32, 64, 128, 192)
MAIN, DETAIL = (192, 128, 64, 32), (192, 96, 64, 32)
LATENT, HYPER = 64, 32
WINDOW = (3, 5)  # the upper three rows of a 5x5 convolution: the others follow the position
_HYPER_SLOPE = 0.01


def body(widths: Sequence[int]) -> nn.Sequential:
    """Encoder bodies: each halves the size."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [conv(before, after), GDN(after)]
    return nn.Sequential(*layers)


def decoder(inputs: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """A 3x3 convolution and decoder bodies, each of which doubles the size."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, widths[0], 3, padding=1)]
    sizes = (*widths, outputs)
    for before, after in pairwise(sizes):
        layers += [deconv(before, after), GDN(after, inverse=True)]
    return nn.Sequential(*layers[:-1])  # the picture itself is not normalised


class SuperResolutionResidual(nn.Module):
    """S with what is around it: x_m (N, 3, H, W) to x_m2 (N, 3, 2H, 2W) and x_m3 (N, 3, H, W)."""

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.blocks = nn.Sequential(*(ResBlock(features, 1.0) for _ in range(blocks)))
        self.tail = nn.Conv2d(features, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x_m: Tensor) -> tuple[Tensor, Tensor]:
        """The ×2 picture, and the same at the size of x_m."""
        first = self.head(x_m)
        residual = self.shuffle(self.tail(first + self.blocks(first)))
        enlarged = nn.functional.interpolate(
            x_m, scale_factor=2, mode="bilinear", align_corners=False
        )
        x_m2 = enlarged + residual
        return x_m2, nn.functional.avg_pool2d(x_m2, 2)


class SelectiveDetail(CompressionModel):
    """The trainable codec. encoder, main, detail: features between the bodies. features, blocks:
    of the SR residual module."""

    def __init__(
        self,
        encoder: Sequence[int] = ENCODER,
        main: Sequence[int] = MAIN,
        detail: Sequence[int] = DETAIL,
        latent: int = LATENT,
        hyper: int = HYPER,
        features: int = 64,
        blocks: int = 8,
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *body((3, *encoder)), nn.Conv2d(encoder[-1], latent, 3, padding=1)
        )
        self.main = decoder(latent // 2, main, 3)
        self.detail = decoder(latent - latent // 2, detail, 4)
        self.residual = SuperResolutionResidual(features, blocks)
        self.h_a = nn.Sequential(
            nn.Conv2d(latent, hyper, 3, padding=1), conv(hyper, hyper), nn.LeakyReLU(_HYPER_SLOPE),
            conv(hyper, hyper),
        )  # fmt: skip
        self.h_s = nn.Sequential(
            deconv(hyper, hyper), nn.LeakyReLU(_HYPER_SLOPE),
            deconv(hyper, hyper), nn.LeakyReLU(_HYPER_SLOPE),
            nn.Conv2d(hyper, 2 * latent, 3, padding=1),
        )  # fmt: skip
        self.context = CausalConv2d(latent, 2 * latent, WINDOW)
        self.entropy_bottleneck = EntropyBottleneck(hyper)
        self.gaussian_conditional = GaussianConditional(None)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """Of a picture (N, 3, H, W) in 0..1, sides multiples of 64: {x_hat, likelihoods: {y, z}}
        and the parts of x_hat {x_m, x_m2, x_m3, x_s, mask}."""
        y = self.encoder(x)
        z_hat, z_likelihoods = self.entropy_bottleneck(self.h_a(y))
        scales, means = (self.h_s(z_hat) + self.context(rounded(y))).chunk(2, 1)
        _, likelihoods = self.gaussian_conditional(y, scales, means)
        y_hat = rounded(y - means) + means
        found = self.decode(y_hat)
        return {**found, "likelihoods": {"y": likelihoods, "z": z_likelihoods}}

    def decode(self, y_hat: Tensor) -> dict[str, Tensor]:
        """Both decoders, the SR residual module and the blend."""
        x_m = MainDecoder(self)(y_hat)
        x_s, mask = DetailDecoder(self)(y_hat)
        x_m2, x_m3 = self.residual(x_m)
        x_hat = Blend()(x_m3, x_s, mask)
        return {"x_hat": x_hat, "x_m": x_m, "x_m2": x_m2, "x_m3": x_m3, "x_s": x_s, "mask": mask}


class MainDecoder(nn.Module):
    """G_m on its half of the latent."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.layers = network.main

    def forward(self, y_hat: Tensor) -> Tensor:
        """ŷ (N, M, h, w) → x_m (N, 3, 16h, 16w)."""
        made: Tensor = self.layers(y_hat[:, : self.layers[0].in_channels])
        return made


class DetailDecoder(nn.Module):
    """G_s on the other half."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.layers, self.skipped = network.detail, network.main[0].in_channels

    def forward(self, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """ŷ (N, M, h, w) → x_s (N, 3, 16h, 16w) and the mask (N, 1, 16h, 16w) in 0..1."""
        made = self.layers(y_hat[:, self.skipped :])
        return made[:, :3], torch.sigmoid(made[:, 3:])


class Blend(nn.Module):
    """mask · x_s + (1 - mask) · x_m3."""

    def forward(self, x_m3: Tensor, x_s: Tensor, mask: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) and mask (N, 1, H, W) to a picture."""
        return x_m3 + mask * (x_s - x_m3)


class Suzuki2021:
    """Suzuki et al.'s codec as a family."""

    NAME = "suzuki2021"

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        """Two decoders, a residual module and a causal context."""
        needed = {"main.0.weight", "detail.0.weight", "residual.head.weight", "context.weight"}
        return needed <= set(state)

    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network with these weights."""
        encoder, latent = _widths(state, "encoder")
        features = int(check_shape(state, "residual.head.weight", (None, 3, 3, 3)).shape[0])
        network = SelectiveDetail(
            encoder, _decoder_widths(state, "main"), _decoder_widths(state, "detail"), latent,
            int(check_shape(state, "h_a.0.weight", (None, latent, 3, 3)).shape[0]),
            features, count_blocks(state, "residual.blocks.{}.body.0.weight"),
        )  # fmt: skip
        network.load_state_dict(dict(state))
        return network

    def parts(self, network: nn.Module) -> CodecParts:
        """The graphs of both decoders, S and the blend; chunks z and y."""
        net: Any = fold_gdn(network)
        latent = net.context.in_channels
        tables = {
            **cdf_tensors("y", net.gaussian_conditional),
            "y.scale_table": net.gaussian_conditional.scale_table.detach().float().numpy(),
        }
        half = Half(latent, net.h_s, tables, summed_layers(net.context, None))
        codec = WindowedCodec(self.NAME, net, net.h_a, (half,))
        parts = codec.parts(
            bottleneck_tensors("z", net.entropy_bottleneck), transforms_of(net, latent)
        )
        pixels = (*native_steps(), {"op": "crop", "in": "x_hat", "out": "x_hat"})
        return replace(parts, pixels=pixels, show=(*pixels, PICTURE), pixel_feed="blend")


def transforms_of(net: Any, latent: int) -> dict[str, GraphSpec]:
    """The graphs between picture and latent."""

    def of_latent(module: nn.Module, outputs: tuple[str, ...]) -> GraphSpec:
        return GraphSpec(module, ("y_hat",), outputs, latent, 16, "analysis", True)

    detail = (Feed("detail", 3, 1, 1), Feed("detail", 1, 1, 1, output=1))
    return {
        "analysis": GraphSpec(net.encoder, ("x",), ("y",), 3, 1, "picture"),
        "main": of_latent(MainDecoder(net), ("x_m",)),
        "detail": of_latent(DetailDecoder(net), ("x_s", "mask")),
        "residual": GraphSpec(net.residual, ("x_m",), ("x_m2", "x_m3"), 3, 1, "main"),
        "blend": GraphSpec(
            Blend(), ("x_m3", "x_s", "mask"), ("x_hat",), 3, 1, "residual", also=detail, output=1
        ),
    }


def _widths(state: Mapping[str, Tensor], name: str) -> tuple[tuple[int, ...], int]:
    """Features behind each encoder body, and channels of the latent."""
    found: list[int] = []
    while (weight := state.get(f"{name}.{2 * len(found)}.weight")) is not None:
        found.append(int(weight.shape[0]))
    return tuple(found[:-1]), found[-1]


def _decoder_widths(state: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    """Inputs of each decoder body."""
    found: list[int] = []
    while (weight := state.get(f"{name}.{2 * len(found) + 1}.weight")) is not None:
        found.append(int(weight.shape[0]))
    return tuple(found)


def native_steps() -> tuple[Step, ...]:
    """From ŷ to the blended picture at the source's size."""
    return (
        graph_step("main", ["y_hat"], ["x_m"]),
        graph_step("detail", ["y_hat"], ["x_s", "mask"]),
        graph_step("residual", ["x_m"], ["x_m2", "x_m3"]),
        graph_step("blend", ["x_m3", "x_s", "mask"], ["x_hat"]),
    )


def enlarged_steps() -> tuple[Step, ...]:
    """From ŷ to the ×2 picture."""
    return (
        graph_step("main", ["y_hat"], ["x_m"]),
        graph_step("residual", ["x_m"], ["hr", "x_m3"]),
    )
