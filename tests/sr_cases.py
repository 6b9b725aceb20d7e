"""Every pixel SR network in every public key layout: random weights and an unfolded reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

import sr_light as light
import sr_residual as residual
import sr_rrdb as rrdb
import sr_srgan as srgan
from sr_reference import State


@dataclass(frozen=True)
class SRCase:
    """name: of the network class; scale: to ask for; reference: RGB of 0..1 to enlarged RGB."""

    name: str
    scale: int
    state: State
    reference: Callable[[State, Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """The public network's output."""
        return self.reference(self.state, x)


def _edsr(value_range: float, features: int, blocks: int, scale: int) -> SRCase:
    run = partial(residual.run_edsr, blocks=blocks, scale=scale, value_range=value_range)
    return SRCase("edsr", scale, residual.edsr(features, blocks, scale, value_range), run)


def _wdsr(kind: str, scale: int, new: bool) -> SRCase:
    run = partial(residual.run_wdsr, kind=kind, blocks=2, scale=scale)
    return SRCase("wdsr", scale, residual.wdsr(kind, 10, 2, scale, new), run)


def _plain(name: str, state: State, run: Callable[..., Tensor], blocks: int, scale: int) -> SRCase:
    return SRCase(name, scale, state, partial(run, blocks=blocks, scale=scale))


def _leftthomas(norm: bool, scale: int) -> SRCase:
    run = partial(srgan.run_leftthomas, blocks=2, scale=scale, norm=norm)
    return SRCase("srresnet", scale, srgan.leftthomas(8, 2, scale, norm), run)


def _carn(groups: int | None, scales: tuple[int, ...], scale: int) -> SRCase:
    run = partial(light.run_carn, groups=groups, scale=scale)
    return SRCase("carn", scale, light.carn(8, groups, scales), run)


CASES: dict[str, SRCase] = {
    "edsr-x2": _edsr(255.0, 8, 2, 2),
    "edsr-x3-range-1": _edsr(1.0, 6, 1, 3),
    "edsr-x4": _edsr(255.0, 8, 3, 4),
    "edsr-wide-x2": _edsr(255.0, 256, 1, 2),
    "edsr-basicsr-x2": _plain(
        "edsr", residual.basicsr_edsr(8, 2, 2), residual.run_basicsr_edsr, 2, 2),
    "edsr-basicsr-x4": _plain(
        "edsr", residual.basicsr_edsr(8, 1, 4), residual.run_basicsr_edsr, 1, 4),
    "wdsr-a-x2": _wdsr("a", 2, new=False),
    "wdsr-a-x4-new-norm": _wdsr("a", 4, new=True),
    "wdsr-b-x3": _wdsr("b", 3, new=False),
    "wdsr-b-x4-new-norm": _wdsr("b", 4, new=True),
    "wdsr-b-named-x2": _plain(
        "wdsr", residual.named_wdsr_b(10, 2, 2), residual.run_named_wdsr_b, 2, 2),
    "wdsr-a-grey-x2": _plain("wdsr", residual.grey_wdsr(8, 3, 2), residual.run_grey_wdsr, 3, 2),
    "msrresnet-x2": _plain("msrresnet", residual.msrresnet(8, 2, 2), residual.run_msrresnet, 2, 2),
    "msrresnet-x3": _plain("msrresnet", residual.msrresnet(6, 1, 3), residual.run_msrresnet, 1, 3),
    "msrresnet-x4": _plain("msrresnet", residual.msrresnet(8, 3, 4), residual.run_msrresnet, 3, 4),
    "srgan-leftthomas-x2": _leftthomas(norm=False, scale=2),
    "srgan-leftthomas-norm-x4": _leftthomas(norm=True, scale=4),
    "srresnet-lornatang-x4": _plain(
        "srresnet", srgan.lornatang(8, 2, 4), srgan.run_lornatang, 2, 4),
    "srgan-sgrvinod-x2": _plain(
        "srresnet", srgan.sgrvinod(8, 2, 2), srgan.run_sgrvinod, 2, 2),
    "carn-x2": _carn(None, (2,), 2),
    "carn-three-scales-x4": _carn(None, (2, 3, 4), 4),
    "carn-m-x3": _carn(4, (3,), 3),
    "carn-m-three-scales-x2": _carn(4, (2, 3, 4), 2),
    "carn-m-three-scales-x3": _carn(4, (2, 3, 4), 3),
    "rfdn-x4": _plain("rfdn", light.rfdn(12, 2, 4), light.run_rfdn, 2, 4),
    "imdn-x2": _plain("imdn", light.imdn(16, 2, 2), light.run_imdn, 2, 2),
    "imdn-kair-x4": _plain("imdn", light.kair_imdn(16, 3, 4), light.run_kair_imdn, 3, 4),
    "rrdbnet-x4": _plain("rrdbnet", rrdb.rrdbnet(8, 2, 5), rrdb.run_rrdbnet, 2, 4),
    "rlfn-x4": _plain("rlfn", light.rlfn(8, 10, 2, 4), light.run_rlfn, 2, 4),
}  # fmt: skip


def _renamed(of: str, rename: Callable[[State], State]) -> SRCase:
    """A case under other names; its reference runs on the first ones."""
    case = CASES[of]
    return SRCase(case.name, case.scale, rename(case.state), lambda _, x: case(x))


CASES["msrresnet-kair-x4"] = _renamed("msrresnet-x4", residual.older_msrresnet)
CASES["rrdbnet-middle-names-x4"] = _renamed("rrdbnet-x4", rrdb.middle_names)
CASES["rlfn-authors-x4"] = _renamed("rlfn-x4", light.authors_rlfn)
