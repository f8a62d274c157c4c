"""A table of the configuration file, and the types of values that several tables share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticKnownError

from edge_agent.core.addresses import Address
from edge_agent.core.errors import ConfigError

STARTING = "starting"
"""In the context of a validation: what only ``config check`` refuses passes, see
``load_settings``."""
T = TypeVar("T")
Editable = Annotated[T, Field(json_schema_extra={"editable": True})]
"""Marks a key that a browser may change; its ``title`` is what the form calls it. No path, address
or secret is among them, and no key that gives access, records people outside sessions, or deletes
old rows.
"""


def at_home(path: Path) -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the home folder.

    Raises:
        ConfigError: the user or the home folder does not exist.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: there is no such home folder. Write the whole path.") from error


def _has_home(value: str | Path) -> str | Path:
    try:
        at_home(Path(value))
    except ConfigError as error:
        raise ValueError(str(error).removesuffix(".")) from error
    return value


Days = Annotated[int, Field(ge=1, le=36_500)]
HomePath = Annotated[Path, AfterValidator(_has_home)]
HomeText = Annotated[str, Field(min_length=1), AfterValidator(_has_home)]


def _is_given(value: Address) -> Address:
    if not value.reveal():
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return value


def _is_place(value: Address) -> Address:
    if not value.scheme:
        _has_home(value.reveal())
    return value


GivenAddress = Annotated[
    Address, AfterValidator(_is_given), Field(json_schema_extra={"minLength": 1})
]
HomeAddress = Annotated[GivenAddress, AfterValidator(_is_place)]


class Section(BaseModel):
    """Base class of a table of the file: unknown keys are refused, values do not change."""

    # An error of pydantic repeats the value, which may be a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_zero_byte(cls, value: Any) -> Any:
        # the system ends a path or a host name at a zero byte: it would mean another file
        if isinstance(value, str) and "\0" in value:
            raise ValueError("a text may not hold a zero byte")
        return value
