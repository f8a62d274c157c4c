"""What all payloads share: version, encoding, and the types of times, shares and labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        description="UTC, ISO 8601 with milliseconds",
        json_schema_extra={"format": "date-time"},
    ),
]
Epoch = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{16}$",
        description="Which counting seq belongs to: in a new epoch, after a restore, seq begins "
        "anew",
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Label = Literal[
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "uncertain",
    "no_face",
]


class Payload(BaseModel):
    """Base class of all payloads: a version number; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    schema_version: Literal[1] = Field(
        1, alias="schema", description="Version of the payload's schema"
    )

    def encode(self) -> bytes:
        """Return the payload as compact JSON in UTF-8."""
        return self.model_dump_json(by_alias=True).encode()


class Part(BaseModel):
    """Base class of an object inside a payload."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
