"""Commands over MQTT, for sessions, markers and the camera, and the reports of what was refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from edge_agent.core import clock
from edge_agent.core.clock import ClockOffset, Instant, SenderClocks, iso_utc
from edge_agent.core.errors import ReadingError, StoreError, StudyError
from edge_agent.core.given_sessions import GivenLabel, optional_session_fields
from edge_agent.core.study import EXAMPLE, SESSION_FIELDS, MarkerKind, NewSession
from edge_agent.mqtt.payloads import Payload, PayloadPart, Time, Topics, example, message_example

REFUSALS_SHOWN = 20
"""Refused readings named in one report: a message may hold a thousand."""
COMMAND_BYTES = 4096
"""Longest command; the longest that makes sense has about 300 bytes."""


class RefusedReading(PayloadPart):
    """A refused reading, and why."""

    index: int | None = Field(
        ge=0, description="Its position in the list, from 0; null: the whole message"
    )
    id: str | int | None = Field(
        description="The `id` its sender gave it; null: none, or none that could be used"
    )
    field: str = Field(description="The field that is wrong")
    reason: str = Field(description="Field, value, and what is allowed")


class RejectedPayload(Payload):
    """Readings received over MQTT that were refused."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        digest="9f86d081884c7d65",
        taken=1,
        refused=1,
        readings=[
            {
                "index": 1,
                "id": "a-17",
                "field": "unit",
                "reason": "unit: 'psi' is no unit of systolic. Allowed: mm[hg], "
                "mmhg, kpa, or empty for mm[Hg].",
            }
        ],
    )

    at: Time
    digest: str = Field(
        description="First 16 hexadecimal digits of the SHA-256 of the message that was refused"
    )
    taken: int = Field(ge=0, description="Readings of the same message that were accepted")
    refused: int = Field(ge=1, description="Readings of the message that were refused")
    readings: list[RefusedReading] = Field(
        max_length=REFUSALS_SHOWN, description="The first twenty refused readings"
    )


class SessionAction(PayloadPart):
    """Opens or closes a session, now."""

    model_config = example(action="start", **{k: v for k, v in asdict(EXAMPLE).items() if v})

    action: Literal["start", "end"]


SessionCommand = create_model(
    "SessionCommand",
    __base__=SessionAction,
    __doc__=SessionAction.__doc__,
    **optional_session_fields(),
)
"""A session action with the fields of a new session, which start needs."""


class MarkerCommand(PayloadPart):
    """Sets a marker in the open session: now, or when the sender's clock says."""

    model_config = example(kind="stimulus_start", label="anger")

    kind: MarkerKind
    label: GivenLabel = ""
    sent_ms: float | None = Field(
        None,
        allow_inf_nan=False,
        description="When it happened, by the sender's own clock, milliseconds since whenever it "
        "likes: the way of the message is taken off by it; null: when it arrives",
    )
    sender: str = Field(
        "",
        max_length=80,
        description="Whose clock that is; programs with clocks of their own differ",
    )


class CaptureCommand(PayloadPart):
    """Turns the camera on or off; it stays so after a restart."""

    model_config = example(action="off")

    action: Literal["on", "off"]


class CommandRejectedPayload(Payload):
    """A command that was refused."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        topic="command/marker",
        digest="9f86d081884c7d65",
        reason="No session is open. Start one first.",
    )

    at: Time
    topic: str = Field(description="command/session, command/marker or command/capture")
    digest: str = Field(description="First 16 hexadecimal digits of the SHA-256 of the message")
    reason: str = Field(description="Why, and what to do")


def rejected_payload(
    wall_ms: int,
    digest: str,
    taken: int,
    refused: Sequence[tuple[int | None, str | int | None, ReadingError]],
) -> RejectedPayload:
    """Return the report of a message with refused readings.

    Args:
        wall_ms: when it was refused, UTC milliseconds since 1970.
        digest: of the message, as in `RejectedPayload`.
        taken: how many of its readings were accepted.
        refused: position in the message, id and error of each refused reading.
    """
    return RejectedPayload(
        at=iso_utc(wall_ms),
        digest=digest,
        taken=taken,
        refused=len(refused),
        readings=[
            RefusedReading(index=index, id=name, field=error.field, reason=str(error))
            for index, name, error in refused[:REFUSALS_SHOWN]
        ],
    )


Command = TypeVar("Command", bound=BaseModel)


class IncomingCommands:
    """Carries out commands.

    A retained command is never carried out: it may be days old, and would open a session by itself.

    Args:
        start: opens a session.
        end: closes the open one.
        mark: sets a marker in it, at an instant; ``None`` is now.
        turn: turns the camera on (true) or off.
        on_clock: called with the offset of a sender's clock when it changes.
    """

    def __init__(
        self,
        start: Callable[[NewSession], object],
        end: Callable[[], object],
        mark: Callable[[MarkerKind, str, Instant | None], object],
        turn: Callable[[bool], object],
        on_clock: Callable[[str, ClockOffset], None] = lambda _sender, _offset: None,
    ) -> None:
        self._start = start
        self._end = end
        self._mark = mark
        self._turn = turn
        self._on_clock = on_clock
        self._clocks = SenderClocks()

    def session(self, payload: bytes, retained: bool) -> CommandRejectedPayload | None:
        """Open or close a session; return the report of a refusal, or ``None``."""
        return _obey(Topics.COMMAND_SESSION, SessionCommand, payload, retained, self._do_session)

    def marker(self, payload: bytes, retained: bool) -> CommandRejectedPayload | None:
        """Set a marker; return the report of a refusal, or ``None``."""
        return _obey(Topics.COMMAND_MARKER, MarkerCommand, payload, retained, self._do_marker)

    def capture(self, payload: bytes, retained: bool) -> CommandRejectedPayload | None:
        """Turn the camera on or off; return the report of a refusal, or ``None``."""

        def turn(command: CaptureCommand) -> None:
            self._turn(command.action == "on")

        return _obey(Topics.COMMAND_CAPTURE, CaptureCommand, payload, retained, turn)

    def _do_session(self, command: SessionAction) -> None:
        if command.action == "end":
            self._end()
            return
        given = command.model_dump(exclude={"action"})
        if any(one.is_needed and given[one.name] is None for one in SESSION_FIELDS):
            raise StudyError("action start: needs participant and purpose.")
        self._start(NewSession(**given))

    def _do_marker(self, command: MarkerCommand) -> None:
        if command.sent_ms is None:
            self._mark(command.kind, command.label, None)
            return
        at, offset = self._clocks.instant(command.sender, command.sent_ms, clock.now())
        self._mark(command.kind, command.label, at)
        if offset is not None:
            self._on_clock(f"mqtt:{command.sender}", offset)


def _wrong_form(model: type[BaseModel], error: ValidationError) -> str:
    """Return what is wrong with a command; one that is no object gets an example to follow."""
    faults = error.errors()
    reason = "; ".join(": ".join((*map(str, one["loc"][-1:]), one["msg"])) for one in faults)
    if any(one["loc"] for one in faults):
        return reason
    (right,) = model.model_json_schema()["examples"]
    return f"{reason}. Send an object such as {json.dumps(right)}."


def _obey(
    topic: str, model: type[Command], payload: bytes, retained: bool, do: Callable[[Command], None]
) -> CommandRejectedPayload | None:
    reason = None
    if retained:
        reason = "A retained command is refused, since it may be old. Publish it without retain."
    elif len(payload) > COMMAND_BYTES:
        reason = f"The command has {len(payload)} bytes; {COMMAND_BYTES} are allowed."
    elif not payload.strip():
        reason = "The command is empty. Send it as JSON."
    else:
        try:
            do(model.model_validate_json(payload))
        except ValidationError as error:
            reason = _wrong_form(model, error)
        except (StudyError, StoreError) as error:
            reason = str(error)
    if reason is None:
        return None
    # The digest identifies a command to its sender, without publishing its content for all readers.
    digest = hashlib.sha256(payload).hexdigest()[:16]
    return CommandRejectedPayload(
        at=iso_utc(clock.now().wall_ms), topic=topic, digest=digest, reason=reason[:500]
    )
