"""The section ``[mqtt]``: the broker and what it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from edge_agent.config.section import Section

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")]


class MqttSettings(Section):
    """The broker that messages are published to."""

    enabled: bool = Field(
        True, description="Whether anything is published; an unreachable broker is no error"
    )
    host: str = Field("127.0.0.1", min_length=1, description="Name or address of the broker")
    port: int = Field(
        1883, ge=1, le=65535, description="Port of the broker; 8883 is usual with TLS"
    )
    username: str | None = Field(None, min_length=1, description="Account at the broker")
    password: SecretStr | None = Field(
        None, description="Password of the account; password_file is safer"
    )
    password_file: Path | None = Field(None, description="File whose first line is the password")
    tls: bool = Field(
        False, description="Whether to encrypt, and to check the broker's certificate"
    )
    ca_file: Path | None = Field(
        None, description="Certificate authority of the broker (PEM); left out: the system's"
    )
    root: TopicName = Field("affect-edge", description="First part of every topic")
    protocol: Literal["3.1.1", "5"] = Field("5", description="Version of MQTT")
    keepalive: int = Field(30, ge=5, le=3600, description="Longest silence before a ping, seconds")
    outbox_rows: int = Field(
        50_000, ge=100, le=10_000_000, description="Messages kept while the broker is away"
    )
    commands: bool = Field(
        False, description="Whether command/… may start sessions and set markers; needs a username"
    )

    home_assistant: bool = Field(
        False, description="Whether Home Assistant at the same broker finds the appliance by itself"
    )
    home_assistant_prefix: TopicName = Field(
        "homeassistant", description="First part of the topics of Home Assistant's discovery"
    )

    @model_validator(mode="after")
    def _one_password(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        return self
