"""All commands with which the dashboard changes the timeline's database.

Each checks its arguments and keeps to the rules of the study. What a person asks for leaves a line
in the audit trail in the same transaction; readings of a program name it in their source, and a
running protocol and alerts have tables of their own. No command changes an expression, a rollup, a
clock, the past of the trail or a frozen preregistration, and none makes a reading that looks like a
sensor's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import (
    AttributeUse,
    Marker,
    MarkerKind,
    Participant,
    Purpose,
    Session,
    SessionSetting,
)
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.gate.client import command
from edge_agent.store.intake.corrections import ReadingKey, correct_reading, remove_reading
from edge_agent.store.study import exclusions, marker_changes, past
from edge_agent.store.study import protocol_runs as runs
from edge_agent.store.study.capture_switch import CaptureSwitch
from edge_agent.store.study.exclusions import Exclusion
from edge_agent.store.study.people import agree_to_attributes
from edge_agent.store.study.rows import insert_audit
from edge_agent.store.study.study import Preregistration, Study, freeze
from edge_agent.store.upkeep.erasure import Erasure, erase_participant
from edge_agent.store.write.alert_log import AlertEntry, AlertLog, Delivery
from edge_agent.store.write.timeline import ImportResult, ReadingTable, import_each, import_readings

ALERT_KIND = "agent"
"""Kind of the one alert that the dashboard raises and ends: the agent does not answer."""
NOTED = (
    "account_",
    "audit_download",
    "broker_test",
    "camera_",
    "export",
    "login",
    "logout",
    "participant_view",
    "password_",
    "preview_",
    "second_factor",
    "session_end",
    "sender_clock",
    "session_view",
    "settings_change",
    "setup",
    "token_",
)
"""Beginnings of the actions that the dashboard notes in the trail and does elsewhere."""
_NOT_DASHBOARD = frozenset({"agent", "appliance", "mqtt"})
_ACTOR_LENGTH = 80
_TEXT_LENGTH = 2_000
_DOCUMENT_LENGTH = 1_000_000
_AHEAD_MS = 60_000
"""Tolerance for clocks that differ and commands that are under way."""
_BY_HAND_MOST = 100
_HANDED_IN_MOST = 1_000


P = ParamSpec("P")
R = TypeVar("R")


def _asked(method: Callable[Concatenate[Commands, P], R]) -> Callable[Concatenate[Commands, P], R]:
    """Decorator: make a method a command that requires an account or a token."""

    @functools.wraps(method)
    def checked(self: Commands, /, *args: P.args, **named: P.kwargs) -> R:
        _check_actor(str(named["actor"]))
        return method(self, *args, **named)

    return command(checked)


class Commands:
    """Changes the database: here, or in the process of the gate where this user may not write.

    Every command raises ``StoreError`` when the database cannot be used, and ``StudyError`` where a
    rule forbids what is asked for; nothing is changed then.

    Args:
        path: the database of the timeline, already migrated.
        purposes: which purposes a session may have here.
        outbox_rows: messages kept in the outbox at the most.

    Example:
        >>> commands = Commands(path)
        >>> commands.create_participant("P01", actor="ada")
        >>> commands.give_consent("P01", "3", actor="ada")
        >>> commands.start_session("P01", Purpose.RESEARCH, "films", actor="ada")
        >>> commands.end_session(actor="ada")
    """

    def __init__(
        self, path: Path, *, purposes: Iterable[Purpose] = tuple(Purpose), outbox_rows: int = 50_000
    ) -> None:
        self.path = path
        self._purposes = tuple(purposes)
        self._outbox_rows = outbox_rows
        self._study = Study(path, purposes=self._purposes, outbox_rows=outbox_rows)
        self._runs = runs.ProtocolRuns(path, outbox_rows)
        self._alerts = AlertLog(path)

    # ------------------------------------------------------------ participants and their consent

    @_asked
    def create_participant(
        self, code: str | None, *, simulated: bool = False, actor: str
    ) -> Participant:
        """Add a participant under a pseudonymous code; ``None`` makes one up."""
        if simulated:
            return past.add_simulated_participant(self.path, code, actor=actor)
        return self._study.create_participant(code, actor=actor)

    @_asked
    def give_consent(
        self, code: str, text_version: str, given_ms: int | None = None, *, actor: str
    ) -> None:
        """Record that a participant agreed to a version of the text: now, or at a past time."""
        _check_length("Text version", text_version, 100)
        if given_ms is None:
            self._study.give_consent(code, text_version, actor=actor)
        else:
            past.give_past_consent(self.path, code, text_version, given_ms, actor=actor)

    @_asked
    def withdraw_consent(self, code: str, *, actor: str) -> None:
        """Record that a participant withdraws, which ends their open session."""
        self._study.withdraw_consent(code, actor=actor)

    @_asked
    def agree_to_attributes(
        self, code: str, use: AttributeUse, values: Mapping[str, str] | None, *, actor: str
    ) -> None:
        """Record the consent of a participant to attributes, and set them."""
        agree_to_attributes(self.path, code, use, actor=actor, values=values)

    @_asked
    def erase_participant(self, code: str, *, actor: str) -> Erasure:
        """Erase a participant from the database and its copies."""
        return erase_participant(self.path, code, actor=actor, outbox_rows=self._outbox_rows)

    # ------------------------------------------------------------ sessions and markers

    @_asked
    def start_session(
        self,
        participant: str,
        purpose: Purpose,
        name: str,
        *,
        setting: SessionSetting = SessionSetting.OTHER,
        actor: str,
    ) -> Session:
        """Open a session now."""
        return self._study.start_session(participant, purpose, name, setting=setting, actor=actor)

    @_asked
    def start_protocol(
        self,
        participant: str,
        purpose: Purpose,
        name: str,
        run: runs.NewRun,
        *,
        setting: SessionSetting,
        actor: str,
    ) -> runs.SavedRun:
        """Open a session now with a protocol at its first screen."""
        _check_length("Protocol", run.plan, _DOCUMENT_LENGTH)
        at = clock.now()
        made: list[runs.SavedRun] = []
        self._study.start_session(
            participant,
            purpose,
            name,
            at,
            setting=setting,
            actor=actor,
            also=lambda connection, opened: made.append(
                runs.insert_run(connection, opened, run, at)
            ),
        )
        return made[0]

    @command
    def save_protocol(self, run: int, session: int, progress: runs.Progress) -> bool:
        """Save the state of a protocol; return whether it continues."""
        markers = (marker.at for marker in progress.markers)
        for at in (progress.at, *markers, *(report.at for report in progress.reports)):
            _check_not_ahead(at)
        _check_length("Reason", progress.reason, _TEXT_LENGTH)
        return self._runs.save(run, session, progress)

    @_asked
    def end_session(self, *, actor: str) -> Session:
        """Close the open session now."""
        return self._study.end_session(actor=actor)

    @_asked
    def add_marker(
        self, kind: MarkerKind, label: str, at: Instant | None = None, *, actor: str
    ) -> None:
        """Add a marker to the open session, at ``at`` (now)."""
        if at is not None:
            _check_not_ahead(at)
        self._study.add_marker(kind, label, at, actor=actor)

    @_asked
    def add_pressed_marker(self, pressed: past.PastMarker, *, actor: str) -> None:
        """Add a marker at the time at which it was pressed; a repeated request adds it once."""
        self._study.add_pressed_marker(pressed, actor=actor)

    @_asked
    def add_past_session(self, new: past.PastSession, *, actor: str) -> Session:
        """Add a session that has taken place."""
        return past.add_session(self.path, new, purposes=self._purposes, actor=actor)

    @_asked
    def add_past_markers(
        self, markers: Sequence[past.PastMarker], *, actor: str
    ) -> tuple[int, int]:
        """Add markers to sessions that have taken place; return how many were new, and were not."""
        return past.add_markers(self.path, markers, actor=actor)

    @_asked
    def correct_marker(
        self, marker: int, new: past.PastMarker, *, reason: str, actor: str
    ) -> Marker:
        """Change a marker and return it; its old values are kept."""
        return marker_changes.correct_marker(self.path, marker, new, reason=reason, actor=actor)

    @_asked
    def remove_marker(self, session: int, marker: int, *, reason: str, actor: str) -> None:
        """Leave a marker out; its values are kept."""
        marker_changes.remove_marker(self.path, session, marker, reason=reason, actor=actor)

    @_asked
    def leave_out(
        self, session: int, span: tuple[int, int] | None, *, reason: str, actor: str
    ) -> Exclusion:
        """Leave a session, or a stretch of it, out of the analysis."""
        return exclusions.leave_out(self.path, session, span, reason=reason, actor=actor)

    @_asked
    def take_back(self, session: int, exclusion: int, *, actor: str) -> None:
        """Use again in the analysis what was left out."""
        exclusions.take_back(self.path, session, exclusion, actor=actor)

    # ------------------------------------------------------------ readings

    @_asked
    def enter_readings(self, readings: Sequence[VitalReading], *, actor: str) -> list[bool]:
        """Write readings that a person entered; return for each whether it was new."""
        _check_count(readings, _BY_HAND_MOST)
        for reading in readings:
            # The dashboard may be taken over: it must not make readings that look like a sensor's.
            if reading.source != f"manual:{actor}" or VitalFlag.MANUAL not in reading.flags:
                raise StudyError(
                    f"A reading by hand has the source manual:{actor} and the flag manual, not "
                    f"{reading.source!r}."
                )
            _check_not_ahead(reading.at)
        return import_each(self.path, readings, entered_by=actor)

    @command
    def hand_in_readings(self, readings: Sequence[VitalReading], *, token: str) -> list[bool]:
        """Write readings that a program sent; return for each whether it was new."""
        _check_count(readings, _HANDED_IN_MOST)
        own = f"http:{token}"
        for reading in readings:
            if reading.source != own and not reading.source.startswith(f"{own}:"):
                raise StudyError(
                    f"A reading of the token {token} has a source that begins with {own}, not "
                    f"{reading.source!r}."
                )
        return import_each(self.path, readings)

    @_asked
    def import_readings(self, table: ReadingTable, *, file: str, actor: str) -> ImportResult:
        """Write the readings of a file, each with the number of this import."""
        _check_length("File", file, _TEXT_LENGTH)
        if any(VitalFlag.IMPORTED not in flags for flags in table.flag_sets):
            raise StudyError("A reading of a file has the flag imported.")
        return import_readings(self.path, table, file=file, actor=actor)

    @_asked
    def correct_reading(self, key: ReadingKey, value: float, *, actor: str) -> None:
        """Change the value of a reading that a person entered; the old value is kept."""
        correct_reading(self.path, key, value, actor=actor)

    @_asked
    def remove_reading(self, key: ReadingKey, *, actor: str) -> None:
        """Remove a reading that a person entered; the old value is kept."""
        remove_reading(self.path, key, actor=actor)

    # ------------------------------------------------------------ camera, plan, alerts, trail

    @_asked
    def switch_camera(self, *, on: bool, actor: str) -> None:
        """Turn the camera on or off, from now on and after each start."""
        CaptureSwitch(self.path).turn(on=on, by=actor)

    @_asked
    def preregister(self, document: str, *, actor: str) -> Preregistration:
        """Freeze a preregistration."""
        _check_length("Preregistration", document, _DOCUMENT_LENGTH)
        return freeze(self.path, document, actor)

    @_asked
    def acknowledge_alert(self, number: int, *, actor: str) -> AlertEntry:
        """Record who acknowledged an alert; only the first one is stored."""
        return self._alerts.acknowledge(number, actor)

    @command
    def begin_alert(
        self, rule: str, text: str, parts: str | None, at: Instant, *, quiet: bool
    ) -> None:
        """Write that the agent does not answer."""
        _check_length("Alert", f"{rule}{text}{parts}", _TEXT_LENGTH)
        _check_not_ahead(at)
        # The dashboard may write of one kind of alert only; those of the vitals are the agent's.
        alert = AlertEntry(0, rule, ALERT_KIND, text, None, None, 0, quiet=quiet)
        self._alerts.begin(alert, at, parts)

    @command
    def end_alert(self, rule: str, ending: str, at: Instant) -> None:
        """Write that the agent answers again."""
        _check_length("Alert", f"{rule}{ending}", _TEXT_LENGTH)
        _check_not_ahead(at)
        self._alerts.end(rule, ending, at, kind=ALERT_KIND)

    @command
    def note_delivery(self, alert: int, delivery: Delivery) -> None:
        """Store the delivery of a message about an alert that the dashboard raised."""
        _check_length("Message", f"{delivery.target}{delivery.error}", _TEXT_LENGTH)
        self._alerts.note_delivery(alert, delivery, kind=ALERT_KIND)

    @command
    def note(self, actor: str, action: str, detail: str = "") -> None:
        """Write an audit line on an action on accounts, exports or pages."""
        _check_actor(actor)
        _check_length("Detail", detail, _TEXT_LENGTH)
        if not action.startswith(NOTED) or len(action) > _ACTOR_LENGTH:
            raise StudyError(f"{action[:40]!r} is not an action that the dashboard notes.")
        with write_transaction(self.path) as connection:
            insert_audit(connection, actor, action, detail, clock.now())


def _check_actor(actor: str) -> None:
    if not 1 <= len(actor) <= _ACTOR_LENGTH or not actor.isprintable() or actor in _NOT_DASHBOARD:
        raise StudyError(f"Who asks: {actor[:40]!r} is neither an account nor a token's name.")


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise StudyError(f"{what}: {len(text):,} characters; at most {most:,} are kept.")


def _check_count(readings: Sequence[VitalReading], most: int) -> None:
    if len(readings) > most:
        raise StudyError(f"{len(readings):,} readings at once; at most {most:,} are taken.")


def _check_not_ahead(at: Instant) -> None:
    now_ms = clock.now().wall_ms
    if at.wall_ms > now_ms + _AHEAD_MS:
        raise StudyError(
            f"{iso_utc(at.wall_ms)} lies in the future; it is {iso_utc(now_ms)} now. Give a time "
            "that has passed."
        )
