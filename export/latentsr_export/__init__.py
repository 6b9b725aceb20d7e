"""The exporter: trained checkpoints → a bundle that `latentsr` runs. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentsr_export.exporter import export
    from latentsr_export.fp16.variants import add_fp16
    from latentsr_export.presets.export import export_preset

__all__ = ["add_fp16", "export", "export_preset"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only when something is exported.
    if name == "export":
        from latentsr_export.exporter import export

        return export
    if name == "add_fp16":
        from latentsr_export.fp16.variants import add_fp16

        return add_fp16
    if name == "export_preset":
        from latentsr_export.presets.export import export_preset

        return export_preset
    raise AttributeError(f"module 'latentsr_export' has no attribute {name!r}")
