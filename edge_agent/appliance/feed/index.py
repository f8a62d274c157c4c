"""The list of releases: what one says, and which is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.appliance.feed.fetching import LARGEST_BYTES
from edge_agent.core.errors import UpdateError

INDEX_NAME = "index.json"
VERSION_PATTERN = r"^\d{1,6}\.\d{1,6}\.\d{1,6}$"


class ReleaseIndex(BaseModel):
    """What is published: the newest release.

    An archive is no JSON and a list is no archive, so neither can be taken for the other, though
    the same keys sign both.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    kind: Literal["affect-edge-releases"] = "affect-edge-releases"
    number: int = Field(ge=1, le=2**53, description="Seconds since 1970 when the list was signed")
    version: str = Field(pattern=VERSION_PATTERN, description="The newest release")
    file: str = Field(
        pattern=r"^affect-edge-[0-9.]{5,20}\.tar$", description="Its archive, beside the list"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the archive")
    size: int = Field(ge=1, le=LARGEST_BYTES, description="Bytes of the archive")


def read_index(file: Path, place: str) -> ReleaseIndex:
    """Read a list whose signature is good.

    Args:
        file: the list.
        place: where it came from, for messages.

    Raises:
        UpdateError: it is no such list.
    """
    try:
        return ReleaseIndex.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UpdateError(
            f"{place}: is signed, but no list of releases that this version understands "
            f"({where}: {first['msg']})."
        ) from error
