"""The known codec families and latent SR decoders: one line each, tried in this order."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from latentsr.errors import CheckpointError
from latentsr_export.networks.checkerboard import (
    Cheng2020Checkerboard,
    Elic2022Chandelier,
    Elic2022Official,
)
from latentsr_export.networks.context import (
    Cheng2020Anchor,
    Cheng2020Attention,
    JointAutoregressive,
)
from latentsr_export.networks.factorized import Factorized
from latentsr_export.networks.hyperprior import MeanScaleHyperprior, ScaleHyperprior
from latentsr_export.networks.latent_sr import LatentSR
from latentsr_export.networks.latent_sr_light import LatentSRLight
from latentsr_export.networks.lee import Lee2018
from latentsr_export.networks.suzuki import Suzuki2021
from latentsr_export.parts import CodecFamily

CODECS: tuple[CodecFamily, ...] = (
    Factorized(),
    ScaleHyperprior(),
    MeanScaleHyperprior(),
    JointAutoregressive(),
    Cheng2020Anchor(),
    Cheng2020Attention(),
    Cheng2020Checkerboard(),
    Elic2022Official(),
    Elic2022Chandelier(),
    Lee2018(),
    Suzuki2021(),
)
LATENT_SR = (LatentSR, LatentSRLight)


def find_codec(state: Mapping[str, Tensor], source: str) -> CodecFamily:
    """The family of a state dict; CheckpointError lists the known ones."""
    for family in CODECS:
        if family.detect(state):
            return family
    raise CheckpointError(
        f"checkpoint holds no known codec: found {_keys(state)} in {source}, expected one of "
        f"{', '.join(family.NAME for family in CODECS)}; export one of these families"
    )


def find_latent_sr(state: Mapping[str, Tensor], source: str) -> type[LatentSR | LatentSRLight]:
    """The latent SR decoder class of a state dict; CheckpointError lists the known ones."""
    for network in LATENT_SR:
        if network.detect(state):
            return network
    raise CheckpointError(
        f"checkpoint holds no known latent SR decoder: found {_keys(state)} in {source}, "
        f"expected one of {', '.join(n.NAME for n in LATENT_SR)}; see latentsr_export.networks"
    )


def _keys(state: Mapping[str, Tensor]) -> str:
    names = list(state)
    return f"keys {', '.join(names[:3])} … ({len(names)} tensors)" if names else "no tensors"
