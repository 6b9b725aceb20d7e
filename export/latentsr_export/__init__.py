"""The exporter: trained checkpoints → a bundle that `latentsr` runs. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentsr_export.exporter import export
    from latentsr_export.presets.export import export_preset

__all__ = ["export", "export_preset"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only when something is exported.
    if name == "export":
        from latentsr_export.exporter import export

        return export
    if name == "export_preset":
        from latentsr_export.presets.export import export_preset

        return export_preset
    raise AttributeError(f"module 'latentsr_export' has no attribute {name!r}")
