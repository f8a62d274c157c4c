"""Where profiles are kept on an appliance, and what root remembers of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.appliance.feed.whole_file import write_whole
from edge_agent.appliance.trust import PROFILES, Trust
from edge_agent.appliance.update import Place
from edge_agent.core.errors import UpdateError
from edge_agent.runtime.health.profile_standing import STATE_FILE, ProfileStanding

SIGNERS_FOLDER = "profile-signers.d"
"""Beside the configuration: the keys whose profiles the owner takes."""
INCOMING = "profile"
"""Below the data folder: what was fetched, written by a service without rights."""
_REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class ProfilePlace:
    """Where an appliance keeps its profile.

    Attributes:
        appliance: program, data and configuration.
    """

    appliance: Place = field(default_factory=Place)

    @property
    def incoming(self) -> Path:
        """What was fetched."""
        return self.appliance.data / INCOMING

    @property
    def state(self) -> Path:
        """What root remembers; everybody may read it."""
        return self.appliance.program / STATE_FILE.name

    @property
    def trust(self) -> Trust:
        """Whose profiles are taken: nobody's, unless the owner trusted a key."""
        return Trust(None, self.appliance.config.parent / SIGNERS_FOLDER, PROFILES)


class Trial(BaseModel):
    """A profile that is being tried; found at a start, it was interrupted.

    Attributes:
        digest: of the profile.
        undo: what the configuration said before, by key; ``None``: nothing.
        attempts: how often it was begun.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    undo: dict[str, Any]
    attempts: int = 1


class ProfileState(BaseModel):
    """What root remembers.

    Attributes:
        number: of the newest index that was believed.
        digest: of the profile that is applied; empty: none is.
        values: what it wrote into the configuration, by key.
        base: what the owner's configuration says for these keys; ``None``: nothing.
        trial: what is being tried.
        refused: why a profile is not tried again, by its digest.
        interrupted: how often a profile was interrupted while it was tried, by its digest.
        standing: what the agent tells of it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    number: int = Field(0, ge=0)
    digest: str = ""
    values: dict[str, Any] = {}
    base: dict[str, Any] = {}
    trial: Trial | None = None
    refused: dict[str, str] = {}
    interrupted: dict[str, int] = {}
    standing: ProfileStanding | None = None

    def refuse(self, digest: str, why: str) -> dict[str, str]:
        """Return what is refused, with one more; the oldest are forgotten."""
        refused = {key: text for key, text in self.refused.items() if key != digest}
        refused[digest] = why
        return dict(list(refused.items())[-_REMEMBERED:])


def read_state(file: Path) -> ProfileState:
    """Return what root remembers; nothing where there is no file.

    Raises:
        UpdateError: the file cannot be read.
    """
    try:
        return ProfileState.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return ProfileState()
    except (OSError, ValidationError) as error:
        raise UpdateError(
            f"{file}: what is remembered of profiles cannot be read. Look at the configuration, "
            "then delete this file."
        ) from error


def write_state(file: Path, state: ProfileState) -> None:
    """Remember a state, whole or not at all; after a power cut, too.

    Raises:
        UpdateError: it cannot be written.
    """
    write_whole(file, state.model_dump_json(indent=2))
