"""What the system tells about its processor. Apart, because every start with a plan reads it."""

from __future__ import annotations

from pathlib import Path


def cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; nothing on other systems."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
