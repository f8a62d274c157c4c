"""The interface of brokers, checked states of appliances, applied positions of a stream, errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError
from edge_agent.fleet.chunks import MessageError
from edge_agent.mqtt.payloads import Topics

SUFFIXES = (Topics.STATUS, Topics.HEALTH)
"""Of what a device says of itself, below its own name."""
LARGEST_BYTES = 65_536
"""Of a message; a health has some 2,000."""
_LONGEST_NAME = 200
_LARGEST_NUMBER = 2**53
GATHER_S = 0.2
"""How long is waited for more after the first message: a transaction costs as much as hundreds of
rows."""


@dataclass(frozen=True, slots=True)
class StateMessage:
    """A message as the broker delivered it.

    Attributes:
        device: the device that the message is about, from the topic.
        suffix: last part of the topic, one of ``SUFFIXES``.
        payload: bytes of the message, unchecked.
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
    """The connection of a device; ``at_ms`` is ``None`` in a last will."""

    state: Literal["online", "offline"]
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a device: time by its clock, version, and the whole report as JSON."""

    at_ms: int
    version: str
    text: str


Said = Status | Health


def _is_time(text: str) -> str:
    _ms(text)
    return text


_Time = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"), AfterValidator(_is_time)
]
_Count = Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)]


class _Part(BaseModel):
    """The fields that are read here; a newer device may send more."""

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


def read_state(message: StateMessage) -> Said:
    """Parse a state message.

    Raises:
        MessageError: it cannot be stored, or is of another device; the same fault gives the same
            text.
    """
    text = _text(message)
    try:
        if message.suffix == Topics.STATUS:
            status = _Status.model_validate_json(text)
            return Status(status.state, None if status.at is None else _ms(status.at))
        health = _Health.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        place = f"{where}: " if where else ""
        # what varies, such as the column of a mistake, is left out
        what = "Invalid JSON" if first["type"] == "json_invalid" else first["msg"]
        raise MessageError(f"is no {message.suffix}: {place}{what}") from error
    if health.device != message.device:
        raise MessageError(f"says that it is of {health.device!r:.80}")
    return Health(_ms(health.at), health.version, text)


def _text(message: StateMessage) -> str:
    """Return the text of a message, after the checks that cost little.

    Of what is not read here PostgreSQL may still refuse something.
    """
    if not 0 < len(message.device) <= _LONGEST_NAME or not message.device.isprintable():
        raise MessageError(f"is of a device with no usable name, {message.device!r:.80}")
    if len(message.payload) > LARGEST_BYTES:
        raise MessageError(f"is no {message.suffix}: it has more than {LARGEST_BYTES} bytes")
    # ``jsonb`` of PostgreSQL cannot hold a NUL.
    if rb"\u0000" in message.payload:
        raise MessageError(f"is no {message.suffix}: a text in it has a NUL")
    try:
        return message.payload.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"is no {message.suffix}: it is not UTF-8") from error


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class BrokerDelivery:
    """A message as a broker delivered it.

    Attributes:
        device: sender, by the name with which it logged in at the broker; empty: not known.
        payload: its bytes, unchecked.
        tag: what the transport needs to acknowledge it.
    """

    device: str
    payload: bytes
    tag: int


class Transport(Protocol):
    """A connection to a broker that gives each message to one of its collectors.

    A message that is unacknowledged when the connection ends may be delivered again, perhaps to
    another collector; if it is not, its device sends it again. Every method raises
    ``TransportError`` when the connection is over; ``open`` may be called again then.
    """

    def open(self) -> None:
        """Connect, and ask for messages."""

    def receive(self, most: int, timeout_s: float) -> list[BrokerDelivery]:
        """Wait for a message; return at most ``most`` messages."""

    def states(self) -> list[StateMessage]:
        """Return the messages about the state of devices that came since the last call.

        Of each device at most one message of each kind, the newest: ``receive`` gathers them. They
        are not acknowledged. A new connection begins with the newest that the broker keeps.
        """

    def check(self) -> None:
        """Ask the broker something, and wait for its answer."""

    def acknowledge(self, deliveries: Sequence[BrokerDelivery]) -> None:
        """Tell the broker that it may forget these messages."""

    def confirm(self, device: str, payload: bytes) -> None:
        """Tell a device what is committed; some brokers keep this for a device that is away."""

    def close(self) -> None:
        """Leave; may be called twice."""


class Inbox(ABC):
    """The messages of a connection that nobody has taken yet; the base of transports."""

    def __init__(self) -> None:
        self._received: deque[BrokerDelivery] = deque()
        self._states: dict[tuple[str, str], StateMessage] = {}

    def receive(self, most: int, timeout_s: float) -> list[BrokerDelivery]:
        """Return what has come, at most ``most``; wait ``timeout_s`` for the first.

        After the first, others are waited for: many messages in one transaction cost little more
        than one.
        """
        end = clock.boot_seconds() + timeout_s
        self._pump(0)
        while not self._received and clock.boot_seconds() < end:
            self._pump(max(0.0, end - clock.boot_seconds()))
        self._gather(most, clock.boot_seconds() + GATHER_S if self._received else 0.0)
        count = min(most, len(self._received))
        return [self._received.popleft() for _ in range(count)]

    def states(self) -> list[StateMessage]:
        """Return what devices have said of themselves since the last call."""
        states = list(self._states.values())
        self._states = {}
        return states

    def _gather(self, most: int, until_s: float) -> None:
        while len(self._received) < most and clock.boot_seconds() < until_s:
            self._pump(max(0.0, until_s - clock.boot_seconds()))

    @abstractmethod
    def _pump(self, timeout_s: float) -> None:
        """Read what has come; wait so long for something."""


class CollectorError(AffectEdgeError):
    """The collector cannot work; the text says what to do."""


class TransportError(AffectEdgeError):
    """The connection to the broker is over; what was not acknowledged comes again."""


Range = tuple[int, int]
"""First and last position."""


@dataclass(slots=True)
class Positions:
    """Positions that are applied.

    Attributes:
        upto: every position up to this one is applied.
        beyond: applied ranges after it, rising, with holes before and between them.

    Example:
        >>> done = Positions(4)
        >>> done.add(8, 9)
        >>> done.add(5, 7)
        >>> done
        Positions(upto=9, beyond=[])
    """

    upto: int = 0
    beyond: list[Range] = field(default_factory=list)

    def covers(self, first: int, last: int) -> bool:
        """Return whether all positions of a range are applied."""
        # A range may begin below the mark and go on beyond it.
        return last <= self.upto or any(
            start <= max(first, self.upto + 1) and last <= end for start, end in self.beyond
        )

    def has(self, position: int) -> bool:
        """Return whether a position is applied."""
        return self.covers(position, position)

    def is_overtaken(self, first: int) -> bool:
        """Return whether ``first`` or a later position is applied, with a hole before it."""
        return bool(self.beyond) and self.beyond[-1][1] >= first

    def add(self, first: int, last: int) -> None:
        """Record that a range is applied."""
        if first > self.upto + 1:
            apart: list[Range] = []
            for start, end in self.beyond:
                if end + 1 < first or start > last + 1:
                    # Neither overlapping nor touching: the others are joined with the new range.
                    apart.append((start, end))
                else:
                    first, last = min(first, start), max(last, end)
            insort(apart, (first, last))
            self.beyond = apart
            return
        self.upto = max(self.upto, last)
        while self.beyond and self.beyond[0][0] <= self.upto + 1:
            self.upto = max(self.upto, self.beyond.pop(0)[1])

    def forget_beyond(self) -> bool:
        """Count all positions beyond the mark as not applied; return whether any was."""
        was_there = bool(self.beyond)
        self.beyond = []
        return was_there

    def to_sql(self) -> str:
        """Return what is beyond the mark as an ``int8multirange``."""
        return "{" + ",".join(f"[{first},{last}]" for first, last in self.beyond) + "}"


def from_sql(upto: int, beyond: Iterable[tuple[int, int]]) -> Positions:
    """Return positions from a mark and ranges whose ends are not part of them."""
    # PostgreSQL's ranges end before their upper bound.
    return Positions(upto, [(start, end - 1) for start, end in beyond])
