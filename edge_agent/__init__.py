"""Affect Edge: the agent that watches, classifies, records and reports.

Example:
    Read a picture from a program::

        from edge_agent import read

        faces = read("group.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.face_reading import FaceRow, VideoRow, read, read_video

__all__ = ["FaceRow", "VideoRow", "__version__", "read", "read_video"]
__version__ = "0.2.0.dev0"


def __getattr__(name: str) -> Any:
    """Load what reads pictures at its first use: most of the appliance starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_agent import face_reading

    return getattr(face_reading, name)
