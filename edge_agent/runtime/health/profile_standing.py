"""What the agent tells of the configuration profile that was applied on this appliance."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.core.clock import iso_utc

STATE_FILE = Path("/opt/affect-edge/profile.json")
"""Written by root alone; the services can read it."""
_LARGEST = 256_000


class ProfileStanding(BaseModel):
    """How an appliance stands to the newest profile that it knows.

    Attributes:
        name, version: of the profile.
        state: ``waiting`` for its turn, ``trying``, ``applied``, or ``taken_back``.
        since_ms: when that began, UTC.
        problem: why it was taken back; empty: it was not.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(max_length=100)
    version: str = Field(max_length=100)
    state: Literal["waiting", "trying", "applied", "taken_back"]
    since_ms: int = Field(ge=0)
    problem: str = Field("", max_length=2_000)


class _State(BaseModel):
    model_config = ConfigDict(extra="ignore")

    standing: ProfileStanding | None = None


def profile_told(file: Path | None) -> dict[str, Any] | None:
    """Return what the health tells of the profile; ``None``: there is nothing to tell.

    Args:
        file: what root remembers; it is not there where no profiles are taken.
    """
    if file is None:
        return None
    try:
        with file.open("rb") as stream:
            standing = _State.model_validate_json(stream.read(_LARGEST)).standing
    except (OSError, ValidationError):
        return None
    if standing is None:
        return None
    return {
        "name": standing.name,
        "version": standing.version,
        "state": standing.state,
        "since": iso_utc(standing.since_ms),
        "problem": standing.problem or None,
    }
