"""What a collector answers: up to where it has a device's stream, and what it has erased."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.fleet.message import MessageError


class Erased(BaseModel):
    """An erasure that the collector has carried out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    position: int = Field(ge=1, description="Position of the erasure in the stream")
    rows: int = Field(ge=0, description="Rows that were deleted at the collector")


class Confirmation(BaseModel):
    """Published by the collector after its database has committed, QoS 1 and retained."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "epoch": "5f2c9a0d1e3b4c67",
                    "position": 48_211,
                    "erased": [{"position": 47_003, "rows": 3_629}],
                }
            ]
        },
    )

    schema_version: int = Field(1, alias="schema", description="Version of this message")
    epoch: str = Field(min_length=16, max_length=16, description="Which stream is confirmed")
    position: int = Field(ge=0, description="Everything up to here is committed")
    closed: bool = Field(
        False, description="Whether a newer stream of this device has begun: this one is not taken"
    )
    erased: tuple[Erased, ...] = Field((), max_length=100, description="The newest erasures")


def read_confirmation(payload: bytes) -> Confirmation:
    """Return what a collector confirms; raises ``MessageError`` where it cannot be read."""
    try:
        return Confirmation.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(f"is no confirmation: {error.errors()[0]['msg']}") from error
