"""Short lists of documents, from the registers that hold their members."""

from __future__ import annotations

from dashboard.protocols.experiments import FORBIDDEN


def frame_forbids() -> str:
    """Return what the frame of an experiment forbids it, in docs/protocols.md."""
    return "\n".join(f"- {one}" for one in FORBIDDEN.values())
