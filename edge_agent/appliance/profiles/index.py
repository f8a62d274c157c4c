"""What is published for a fleet: a profile, its models, and whose turn it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.core.errors import UpdateError

ALL = 1000
"""The stage in which every device takes it, per mille."""
LARGEST_MODEL = 200 * 10**6
_FILE = r"[0-9A-Za-z][0-9A-Za-z._-]{0,80}"


class PublishedFile(BaseModel):
    """A file beside the index."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=rf"^{_FILE}\.(json|tflite)$", description="Beside the index")
    size: int = Field(ge=1, le=LARGEST_MODEL, description="Bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class PublishedModel(BaseModel):
    """A model: its card and its TFLite file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    card: PublishedFile
    file: PublishedFile


class ProfileIndex(BaseModel):
    """A configuration profile as it is published and signed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["affect-edge-profile"] = "affect-edge-profile"
    number: int = Field(
        ge=1, le=2**53, strict=True, description="Seconds since 1970 when this was signed"
    )
    name: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,62}$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")
    stage: int = Field(
        ge=0, le=ALL, strict=True, description="How many of a thousand devices may take it"
    )
    settings: str = Field("", max_length=16_000, description="Keys of the configuration, as TOML")
    models: tuple[PublishedModel, ...] = Field((), max_length=2)

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    @property
    def digest(self) -> str:
        """A name of what it changes: another stage is the same profile."""
        text = self.model_dump_json(exclude={"number", "stage"})
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """All files that lie beside it."""
        return tuple(file for model in self.models for file in (model.card, model.file))

    def includes(self, device: str) -> bool:
        """Return whether it is the turn of a device.

        Args:
            device: ``device.name``.
        """
        return place_of(device, self.name, self.version) < self.stage


def profile_of(**values: object) -> ProfileIndex:
    """Return a profile of values that a person gave.

    Raises:
        UpdateError: one of them is refused.
    """
    try:
        return ProfileIndex.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UpdateError(f"{where}: {first['msg']} (given: {first['input']!r}).") from error


def place_of(device: str, name: str, version: str) -> int:
    """Return the place of a device in the stages of a profile, from 0 to 999.

    It is the same on the device and on the server, and another one for each version, so that not
    the same devices are always the first.

    >>> place_of("room-1", "summer", "1")
    870
    """
    digest = hashlib.sha256(f"{name}\n{version}\n{device}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ALL


def read_profile(file: Path, place: str) -> ProfileIndex:
    """Read an index of a profile.

    Args:
        file: the index.
        place: where it came from, for messages.

    Raises:
        UpdateError: it cannot be read, or is no such index.
    """
    try:
        return ProfileIndex.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UpdateError(f"{place}: cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UpdateError(
            f"{place}: is no configuration profile that this version understands "
            f"({where}: {first['msg']})."
        ) from error
