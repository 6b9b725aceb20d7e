"""Every codec family the exporter knows, of its usual size: seeded weights, likely statistics.

Deviations of latents' channels reach from 0.1 to 20, their scales fit them, and the synthesis makes
pictures of mean 0.5 and deviation 0.2. Layers before the last ones keep the weights that torch
starts with. Features are those of the published models of qualities 1 to 4; ELIC's and the
checkerboard's those of the papers; the hybrid of Lee et al. has 64 channels without context.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import context_models
import passes
import torch
from compressai import models
from context_models import likely_scales, stretch

from latentsr_export.networks.lee import ContextAdaptive
from latentsr_export.presets import find_preset
from latentsr_export.presets.preset import FULL
from latentsr_export.presets.untrained import settle

N, M, WIDE = 128, 192, 192
Picture = torch.Tensor


def likely(family: str, x: Picture) -> Any:
    """A family's network whose statistics on the picture (1, 3, H, W) are likely ones."""
    with torch.no_grad():
        network = FAMILIES[family](x)
        if hasattr(network, "g_s"):
            latent = torch.round(network.g_a(x))
            convolutions = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
            last = [each for each in network.g_s.modules() if isinstance(each, convolutions)][-1]
            settle(network.g_s, last, latent, 0.2, 0.5)
    return network


def _factorized(kind: Any, x: Picture) -> Any:
    torch.manual_seed(0)
    network = kind(N, M).eval()
    stretch(network.g_a[-1], network.g_a(x), likely_scales(M))
    network.update(force=True)
    return network


def _hyperprior(x: Picture) -> Any:
    torch.manual_seed(0)
    network = models.ScaleHyperprior(N, M).eval()
    scales = likely_scales(M)
    z_hat = _hyper_latent(network, x, scales, absolute=True)
    *layers, last, _ = network.h_s
    made = torch.nn.Sequential(*layers, last)(z_hat)
    stretch(last, made, 0.2 * scales, scales)
    network.update(force=True)
    return network


def _mean_hyperprior(x: Picture) -> Any:
    torch.manual_seed(0)
    network = models.MeanScaleHyperprior(N, M).eval()
    scales = likely_scales(M)
    z_hat = _hyper_latent(network, x, scales, absolute=False)
    wanted = torch.cat([scales, torch.zeros(M)])
    stretch(network.h_s[-1], network.h_s(z_hat), torch.cat([0.2 * scales, 0.3 * scales]), wanted)
    network.update(force=True)
    return network


def _hyper_latent(network: Any, x: Picture, scales: torch.Tensor, absolute: bool) -> torch.Tensor:
    """Stretches y and z; z rounded."""
    stretch(network.g_a[-1], network.g_a(x), scales)
    y = network.g_a(x)
    given = torch.abs(y) if absolute else y
    stretch(network.h_a[-1], network.h_a(given), torch.full((N,), 2.0))
    return torch.round(network.h_a(given))


def _lee(without: int, x: Picture) -> Any:
    torch.manual_seed(0)
    network: Any = ContextAdaptive(N, M, without).eval()
    scales = likely_scales(M + without)
    stretch(network.g_a[-1], network.g_a(x), scales)
    y = torch.round(network.g_a(x))
    network.z_scales.copy_(torch.linspace(0.3, 3, N)[torch.randperm(N)])
    stretch(network.h_a[-1], network.h_a(y), network.z_scales.clone())
    *layers, last, _ = network.h_s
    made = torch.nn.Sequential(*layers, last)(torch.round(network.h_a(y)))
    wanted = torch.cat([torch.ones(M), scales[M:]])  # features, then scales without context
    stretch(last, made, 0.2 * wanted, wanted)
    seen = []
    hook = network.estimator.layers.register_forward_hook(lambda *call: seen.append(call[2]))
    network(x)
    hook.remove()
    own = scales[:M]
    deviations = torch.cat([torch.full((M,), 0.2), 0.3 * own])
    wanted = torch.cat([own.log(), torch.zeros(M)])
    stretch(network.estimator.layers[-1], seen[0], deviations, wanted)
    network.update(force=True)
    return network


def _passes(make: Callable[[], Any], x: Picture) -> Any:
    torch.manual_seed(0)
    return passes.spread_passes(make().eval(), x, attention=True)


def _suzuki(x: Picture) -> Any:
    del x  # settled on the shipped picture
    preset = find_preset("suzuki-selective-detail")
    return preset.networks({}, preset.settings(FULL, {}), True)["codec"]


FAMILIES: dict[str, Callable[[Picture], Any]] = {
    "bmshj2018-factorized": lambda x: _factorized(models.FactorizedPrior, x),
    "bmshj2018-factorized-relu": lambda x: _factorized(models.FactorizedPriorReLU, x),
    "bmshj2018-hyperprior": _hyperprior,
    "mbt2018-mean": _mean_hyperprior,
    "mbt2018": lambda x: context_models.spread("mbt2018", WIDE, x),
    "cheng2020-anchor": lambda x: context_models.spread("cheng2020-anchor", N, x),
    "cheng2020-attn": lambda x: context_models.spread("cheng2020-attn", N, x),
    "cheng2020-anchor-checkerboard": lambda x: _passes(
        lambda: models.Cheng2020AnchorCheckerboard(WIDE), x
    ),
    "elic2022-official": lambda x: _passes(lambda: models.Elic2022Official(192, 320), x),
    "elic2022-chandelier": lambda x: _passes(lambda: models.Elic2022Chandelier(192, 320), x),
    "lee2018-base": lambda x: _lee(0, x),
    "lee2018-hybrid": lambda x: _lee(64, x),
    "suzuki2021": _suzuki,
}
