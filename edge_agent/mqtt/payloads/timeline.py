"""The stream of the timeline to a collector, and what the collector answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EPOCH = "5f2c9a0d1e3b4c67"


class TimelinePayload(BaseModel):
    """Changes of the timeline and the study: this map as CBOR (RFC 8949), compressed with zlib."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "device": "lab",
                    "epoch": EPOCH,
                    "first": 48_210,
                    "last": 48_211,
                    "sent": 1_790_000_412_000,
                    "synchronised": True,
                    "boot": "0f6c1b9e",
                    "boot_ms": 86_412_000,
                    "absent": 0,
                    "changes": [
                        [48_210, "participant", "row", [3, "P03", 1_790_000_400_000, 0, 7]],
                        [48_211, "marker", "gone", [12, None]],
                    ],
                }
            ]
        },
    )

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this message")
    device: str = Field(min_length=1, max_length=200, description="Who sends; as in the topic")
    epoch: str = Field(
        min_length=16,
        max_length=16,
        description="Which stream: another one after the database was restored or replaced",
    )
    first: int = Field(ge=1, description="The first position that the message covers")
    last: int = Field(ge=1, description="The last one; the next message begins after it")
    sent: int = Field(description="When it was sent, ms since 1970, by the device's clock")
    synchronised: bool = Field(description="Whether that clock was set by a server of time")
    boot: str = Field(
        "",
        max_length=8,
        description="Start of the machine: how the kernel's name of it begins; empty: not known",
    )
    boot_ms: int = Field(0, ge=0, description="When it was sent, ms since that start")
    absent: int = Field(ge=0, description="Rows that were gone before they could be sent")
    changes: list[list[Any]] = Field(
        description="Each [position, table, what, values], in order: row with the columns and gone "
        "with the key that docs/fleet.md names; with an empty table begin, copied, erase and gap"
    )


class Erased(BaseModel):
    """An erasure that the collector has carried out."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    position: int = Field(ge=1, description="Position of the erasure in the stream")
    rows: int = Field(ge=0, description="Rows that were deleted at the collector")


class Confirmation(BaseModel):
    """Up to where a collector has committed a stream, and what it has erased."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "epoch": EPOCH,
                    "position": 48_211,
                    "closed": False,
                    "again": False,
                    "erased": [{"position": 47_003, "rows": 3_629}],
                }
            ]
        },
    )

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this message")
    epoch: str = Field(min_length=16, max_length=16, description="Which stream is confirmed")
    position: int = Field(ge=0, description="Everything up to here is committed")
    closed: bool = Field(
        False, description="Whether a newer stream of this device has begun: this one is not taken"
    )
    again: bool = Field(
        False, description="Whether everything after this position is wanted again, at once"
    )
    erased: tuple[Erased, ...] = Field((), max_length=100, description="The newest erasures")
