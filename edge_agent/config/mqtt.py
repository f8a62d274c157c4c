"""The sections ``[mqtt]``, the broker and what it is sent, and ``[fleet]``, what is streamed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from edge_agent.config.section import Editable, Section
from edge_agent.core.addresses import Address

OptionalTopic = Literal["summary", "emotion", "vitals", "health", "state", "alerts", "session"]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")]

ClientId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _path(text: str) -> str:
    """Refuse what cannot stand in the first line of an HTTP request."""
    if not text.startswith("/") or "#" in text or not all("!" <= sign <= "~" for sign in text):
        raise ValueError(
            f"{Address(text).shown!r} is no path: it begins with / and holds neither blanks nor "
            '# nor signs beyond ASCII, such as "/mqtt"'
        )
    return text


WebSocketPath = Annotated[str, Field(max_length=1000), AfterValidator(_path)]


class MqttSettings(Section):
    """The broker that messages are published to."""

    enabled: Editable[bool] = Field(
        True,
        title="Send messages",
        description="Whether anything is published; an unreachable broker is no error",
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
    client_certificate: Path | None = Field(
        None, description="Certificate shown to a broker that wants one (PEM); needs tls"
    )
    client_key: Path | None = Field(
        None, description="Key of client_certificate (PEM, without a passphrase)"
    )
    root: TopicName = Field("affect-edge", description="First part of every topic")
    transport: Literal["tcp", "websockets"] = Field(
        "tcp", description="How the broker is reached; websockets where only HTTP gets through"
    )
    websocket_path: WebSocketPath = Field(
        "/mqtt", description="What is asked for with transport = websockets"
    )
    protocol: Literal["3.1.1", "5"] = Field("5", description="Version of MQTT")
    keepalive: Editable[int] = Field(
        30,
        ge=5,
        le=3600,
        title="Longest silence, seconds",
        description="Longest silence before a ping, seconds",
    )
    outbox_rows: int = Field(
        50_000, ge=100, le=10_000_000, description="Messages kept while the broker is away"
    )
    commands: bool = Field(
        False, description="Whether command/… may start sessions and set markers; needs a username"
    )

    topics_off: list[OptionalTopic] = Field(
        default_factory=list, description="Topics on which nothing is published"
    )
    movements: Editable[bool] = Field(
        False,
        title="Send movements of the face",
        description="Publish movements of the face, pose of the head and look",
    )
    durable_subscribers: list[ClientId] = Field(
        default_factory=list,
        max_length=20,
        description="Client ids of subscribers that the broker keeps messages for while they are "
        "away; erasing a participant clears these queues",
    )
    home_assistant: Editable[bool] = Field(
        False,
        title="Announce to Home Assistant",
        description="Whether Home Assistant at the same broker finds the appliance by itself",
    )
    home_assistant_prefix: TopicName = Field(
        "homeassistant", description="First part of the topics of Home Assistant's discovery"
    )

    @field_validator("host")
    @classmethod
    def _is_no_url(cls, value: str) -> str:
        if "://" in value:
            raise ValueError(
                f"host = {Address(value).shown!r:.80} is a URL. Write the name or address alone, "
                "such as 192.168.1.10; port, tls and transport are keys of their own"
            )
        return value

    @property
    def where(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}"

    @property
    def password_text(self) -> str | None:
        """The password itself, which stands in no log; the one of ``password_file`` is not read."""
        return None if self.password is None else self.password.get_secret_value()

    @model_validator(mode="after")
    def _fits_together(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        if self.home_assistant and "state" in self.topics_off:
            raise ValueError(
                "Home Assistant reads the topic state: take it out of topics_off, or set "
                "home_assistant = false"
            )
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("give client_certificate and client_key, or neither")
        if self.client_certificate is not None and not self.tls:
            raise ValueError("client_certificate is shown over TLS only: set tls = true")
        return self


class FleetSettings(Section):
    """The stream to ``affect-edge collect``, through the broker of ``[mqtt]``."""

    enabled: bool = Field(
        False,
        description="Whether every change of the timeline and the study is sent to a collector",
    )
    backlog_mb: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Disk for the list of changes that the collector has not confirmed, megabytes",
    )
