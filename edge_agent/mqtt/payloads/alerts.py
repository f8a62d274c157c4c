"""The payload of the alerts that stand. None of them is a medical alarm."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from edge_agent.mqtt.payloads.base import Part, Payload, Time


class OpenAlert(Part):
    """An alert that stands."""

    rule: str = Field(description="Name of its rule in the configuration")
    kind: Literal["vital", "face", "sensor", "camera", "broker", "disk", "backup"] = Field(
        description="What the rule watches"
    )
    text: str = Field(description="What is so, for people; no measured value stands in it")
    since: Time = Field(description="When it began")
    acknowledged: bool = Field(description="Whether somebody has seen it, on the page Alerts")


class AlertsPayload(Payload):
    """The alerts that stand; not a medical alarm: it may come late or not at all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:40.250Z",
                    "open": [
                        {
                            "rule": "camera",
                            "kind": "camera",
                            "text": "The camera gives no picture for 30 s. Look at its cable.",
                            "since": "2026-11-20T08:12:40.250Z",
                            "acknowledged": False,
                        }
                    ],
                }
            ]
        }
    )

    at: Time
    open: list[OpenAlert] = Field(description="Those that stand, the oldest first; empty: none")
