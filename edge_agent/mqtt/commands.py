"""Commands over MQTT: sessions, markers, the camera; refusals are reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.control.sender_clock import ClockOffset, SenderClocks
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting
from edge_agent.mqtt.payloads.incoming import (
    CaptureCommand,
    CommandRejectedPayload,
    MarkerCommand,
    SessionCommand,
)
from edge_agent.mqtt.topics import Topics

COMMAND_BYTES = 4096
"""Longest command; the longest that makes sense has about 300 bytes."""
Command = TypeVar("Command", bound=BaseModel)


class Commands:
    """Carries out commands.

    A retained message is never obeyed: it may be days old, and sessions would open by themselves.

    Args:
        start: opens a session, given participant, purpose, name and setting.
        end: closes the open one.
        mark: sets a marker in it, at an instant; ``None`` is now.
        turn: turns the camera on (true) or off.
        on_clock: is told how a sender's clock stands, when it is news.
    """

    def __init__(
        self,
        start: Callable[[str, Purpose, str, SessionSetting], object],
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
        return _obey(Topics.COMMAND_CAPTURE, CaptureCommand, payload, retained, self._do_capture)

    def _do_capture(self, command: CaptureCommand) -> None:
        self._turn(command.action == "on")

    def _do_session(self, command: SessionCommand) -> None:
        if command.action == "end":
            self._end()
        elif command.participant is None or command.purpose is None:
            raise StudyError("action start: name participant and purpose.")
        else:
            self._start(command.participant, command.purpose, command.name, command.setting)

    def _do_marker(self, command: MarkerCommand) -> None:
        if command.sent_ms is None:
            self._mark(command.kind, command.label, None)
            return
        at, offset = self._clocks.instant(command.sender, command.sent_ms, clock.now())
        self._mark(command.kind, command.label, at)
        if offset is not None:
            self._on_clock(f"mqtt:{command.sender}", offset)


def _obey(
    topic: str, model: type[Command], payload: bytes, retained: bool, do: Callable[[Command], None]
) -> CommandRejectedPayload | None:
    reason = None
    if retained:
        reason = (
            "A retained command is not obeyed, because it may be old. Publish it without retain."
        )
    elif len(payload) > COMMAND_BYTES:
        reason = f"The command has {len(payload)} bytes; {COMMAND_BYTES} are allowed."
    else:
        try:
            do(model.model_validate_json(payload))
        except ValidationError as error:
            reason = "; ".join(
                _describe(str(one["loc"][-1]) if one["loc"] else "", one["msg"])
                for one in error.errors()
            )
        except (StudyError, StoreError) as error:
            reason = str(error)
    if reason is None:
        return None
    digest = hashlib.sha256(payload).hexdigest()[:16]
    return CommandRejectedPayload(
        at=iso_utc(clock.now().wall_ms), topic=topic, digest=digest, reason=reason[:500]
    )


def _describe(field: str, message: str) -> str:
    if field:
        return f"{field}: {message}"
    return message
