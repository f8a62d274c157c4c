"""The section ``[capture]``: when the camera is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge_agent.config.section import Section


class CaptureSettings(Section):
    """When the camera is read."""

    mode: Literal["continuous", "sessions"] = Field(
        "continuous", description="Always, or only in an open session"
    )
    preview: Literal["never", "allowed"] = Field(
        "never",
        description="Whether an administrator may see the camera's picture on the page Live, for a "
        "minute at a time and not in a session; it is never stored",
    )
