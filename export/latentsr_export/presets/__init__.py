"""Published systems as presets: one file each and one line in `PRESETS`.

`latentsr presets` lists them, `latentsr export --preset NAME` writes their bundles.
"""

from __future__ import annotations

from latentsr.errors import UsageError
from latentsr_export.presets import cdsr_decoded, cdsr_latent, jin, suzuki, tun
from latentsr_export.presets.preset import Preset

PRESETS: tuple[Preset, ...] = (
    cdsr_latent.PRESET,
    cdsr_decoded.PRESET,
    jin.PRESET,
    suzuki.PRESET,
    tun.PRESET,
)


def find_preset(name: str) -> Preset:
    """The preset of that name; UsageError lists the known ones."""
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise UsageError(
        f"no such preset: found {name!r}, expected one of "
        f"{', '.join(preset.name for preset in PRESETS)}; see `latentsr presets`"
    )
