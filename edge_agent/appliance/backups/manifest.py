"""The list in an archive: what is in it, where it came from, and the SHA-256 of each file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edge_agent.appliance.backups.inventory import Inventory
from edge_agent.store.database.dashboard_file import FILE_NAME as DASHBOARD_NAME
from edge_agent.store.database.schema import DATABASE_NAME

DATABASE = f"data/{DATABASE_NAME}"
DASHBOARD = f"data/{DASHBOARD_NAME}"
CONFIG = "config/affect-edge.toml"
ROOTS = ("data", "config", "other")
"""First parts of paths: below the data folder, beside the configuration, anywhere else."""
FILE_KEYS = (
    "dashboard.certificate",
    "dashboard.key",
    "dashboard.protocols",
    "mqtt.password_file",
    "mqtt.ca_file",
    "mqtt.client_certificate",
    "mqtt.client_key",
    "vision.expression_model",
    "vision.detector_model",
    "alerts.notify_file",
)
"""Keys of the configuration that name a file or folder without which the appliance is not whole."""
_MOST_FILES = 100_000


def _plain(text: str) -> str:
    parts = PurePosixPath(text).parts
    odd = not text.isprintable() or "\\" in text or "//" in text
    if odd or len(parts) < 2 or parts[0] not in ROOTS or ".." in parts or "." in text.split("/"):
        raise ValueError("is no path below data/, config/ or other/")
    return text


ArchivePath = Annotated[str, Field(max_length=1000), AfterValidator(_plain)]


class Part(BaseModel):
    """The rules that all tables of the list have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchivedFile(Part):
    """A file of the archive."""

    path: ArchivePath = Field(description="Its path in the archive")
    bytes: int = Field(ge=0, description="Its size")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its content")
    private: bool = Field(description="Whether only its owner could read it")


class ArchivedSetting(Part):
    """A key of the configuration that names a file or folder."""

    key: Literal[FILE_KEYS] = Field(description="Section and key")  # type: ignore[valid-type]
    value: str = Field(max_length=4096, description="Its value: where it lay on the appliance")
    path: ArchivePath = Field(description="Where it is in the archive")


class Manifest(Part):
    """What is in an archive."""

    format: Literal["affect-edge-backup"] = "affect-edge-backup"
    format_version: Literal[1] = 1
    made: str = Field(max_length=40, description="When, UTC")
    device: str = Field(max_length=40, description="Name of the appliance")
    program: str = Field(max_length=40, description="Version of Affect Edge that made it")
    contents: Inventory = Field(description="What is in the database")
    files: tuple[ArchivedFile, ...] = Field(max_length=_MOST_FILES, description="Every file")
    settings: tuple[ArchivedSetting, ...] = Field(
        (), max_length=len(FILE_KEYS), description="Files that the settings name"
    )
    left_out: tuple[str, ...] = Field((), description="What the settings name and was not there")
    environment: tuple[str, ...] = Field(
        (), description="Names of environment variables that were laid over the configuration"
    )

    @model_validator(mode="after")
    def _only_what_belongs_to_an_appliance(self) -> Manifest:
        paths = [file.path for file in self.files]
        if DATABASE not in paths or len(set(paths)) < len(paths):
            raise ValueError(f"lists a path twice, or no {DATABASE}")
        allowed = {DATABASE, DASHBOARD, CONFIG}
        named = [setting.path for setting in self.settings]
        for path in paths:
            if path in allowed:
                continue
            if not any(belongs_to(path, name) for name in named) or is_our_own(path):
                raise ValueError(f"{path} belongs to no setting")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def belongs_to(path: str, setting: str) -> bool:
    """Tell whether a path is what a setting names, lies in it, or is a model beside its card."""
    place = PurePosixPath(setting)
    mine = PurePosixPath(path)
    beside = mine.suffix in {".json", ".tflite"} and mine.with_suffix("") == place.with_suffix("")
    return mine == place or place in mine.parents or beside


def is_our_own(path: str) -> bool:
    """Tell whether a path is a file that the programs themselves keep in the data folder."""
    parts = PurePosixPath(path).parts
    return parts[0] == "data" and (parts[1].startswith("affect-edge.") or parts[1] in _OWN)


_OWN = {"live.sock", "exports", "from-backup", DASHBOARD_NAME}
