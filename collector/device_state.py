"""Checked state messages of appliances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.fleet.message import MessageError
from edge_agent.mqtt.topics import Topics

SUFFIXES = (Topics.STATUS, Topics.HEALTH)
"""Of what a device says of itself, below its own name."""
LARGEST_BYTES = 65_536
"""Of a message; a health has some 2,000."""
_LONGEST_NAME = 200
_LARGEST_NUMBER = 2**53


@dataclass(frozen=True, slots=True)
class StateMessage:
    """A message as the broker delivered it.

    Attributes:
        device: whose it is, from the topic.
        suffix: last part of the topic, one of ``SUFFIXES``.
        payload: its bytes, unchecked.
        kept: whether the broker had kept it (a retained message): it may be old.
        received_s: when it came, by the boot clock of this machine.
    """

    device: str
    suffix: str
    payload: bytes
    kept: bool
    received_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a device is connected; ``at_ms`` is ``None`` in a last will."""

    state: Literal["online", "offline"]
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a device: when by its clock, of which version, and the whole as JSON."""

    at_ms: int
    version: str
    text: str


Said = Status | Health


def _is_time(text: str) -> str:
    _ms(text)
    return text


_Time = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    AfterValidator(_is_time),
]
_Count = Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)]


class _Part(BaseModel):
    """What is read here; a newer device may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False, strict=True)


class _Status(_Part):
    schema_version: Literal[1] = Field(alias="schema")
    state: Literal["online", "offline"]
    at: _Time | None


class _Disk(_Part):
    free_bytes: _Count
    free_percent: float = Field(ge=0, le=100)


class _Camera(_Part):
    fps: float | None = Field(None, ge=0, le=1e6)


class _Mqtt(_Part):
    outbox: _Count


class _Fleet(_Part):
    waiting: _Count
    given_up: _Count


class _Sensor(_Part):
    source: str = Field(max_length=500)
    connected: bool


class _Alarm(_Part):
    name: str = Field(max_length=100)
    text: str = Field(max_length=2000)


class _Health(_Part):
    schema_version: Literal[1] = Field(alias="schema")
    at: _Time
    device: str
    version: str = Field(max_length=100)
    disk: _Disk | None = None
    camera: _Camera | None = None
    mqtt: _Mqtt | None = None
    fleet: _Fleet | None = None
    sensors: list[_Sensor] = Field([], max_length=1000)
    clock_synchronised: bool | None = None
    alarms: list[_Alarm] = Field([], max_length=1000)


def read_status(message: StateMessage) -> Status:
    """Return what a status says.

    Raises:
        MessageError: it is none; the text is the same for the same mistake.
    """
    status = _Status.model_validate_json(_text(message))
    return Status(status.state, None if status.at is None else _ms(status.at))


def read_health(message: StateMessage) -> Health:
    """Return what a health says.

    Raises:
        MessageError: it is none, or of another device; the text is the same for the same mistake.
    """
    text = _text(message)
    health = _Health.model_validate_json(text)
    if health.device != message.device:
        raise MessageError(f"says that it is of {health.device!r:.80}")
    return Health(_ms(health.at), health.version, text)


_READERS: dict[str, Callable[[StateMessage], Said]] = {
    Topics.STATUS: read_status,
    Topics.HEALTH: read_health,
}


def read_state(message: StateMessage) -> Said:
    """Return what a message says of its device.

    Raises:
        MessageError: nothing that can be written; the text is the same for the same mistake.
    """
    try:
        return _READERS[message.suffix](message)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        place = f"{where}: " if where else ""
        # what varies, such as the column of a mistake, is left out
        what = "Invalid JSON" if first["type"] == "json_invalid" else first["msg"]
        raise MessageError(f"is no {message.suffix}: {place}{what}") from error


def _text(message: StateMessage) -> str:
    """Return the text of a message, after the checks that cost little.

    Of what is not read here PostgreSQL may still refuse something.
    """
    if not 0 < len(message.device) <= _LONGEST_NAME or not message.device.isprintable():
        raise MessageError(f"is of a device with no usable name, {message.device!r:.80}")
    if len(message.payload) > LARGEST_BYTES:
        raise MessageError(f"is no {message.suffix}: it has more than {LARGEST_BYTES} bytes")
    if rb"\u0000" in message.payload:
        raise MessageError(f"is no {message.suffix}: a text in it has a NUL")
    try:
        return message.payload.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"is no {message.suffix}: it is not UTF-8") from error


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
