"""All commands with which the dashboard changes the timeline's database.

Each checks its arguments and keeps to the rules of the study. What a person asks for leaves a line
in the audit trail in the same transaction; readings of a program name it in their source, and a
running protocol and alerts have tables of their own. No command changes an expression, a rollup, a
clock, the past of the trail or a frozen preregistration, and none makes a reading that looks like a
sensor's. What an imported study brings has the number of its import.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from edge_agent.core import clock
from edge_agent.core.bounds import (
    COMMAND_LINE,
    DASHBOARD,
    PROGRAMS,
    check_length,
    fold_name,
    printable,
)
from edge_agent.core.brought_values import ValuesError, parse_json
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError, ReadingError, StudyError
from edge_agent.core.given_readings import refuse_impossible
from edge_agent.core.noted import ACTIONS
from edge_agent.core.readings import VitalFlag, VitalReading, check_error, device_time
from edge_agent.core.study import MADE_UP, MarkerKind, NewSession, Participant, Session
from edge_agent.core.texts import N_, pack_text, unpack_text
from edge_agent.core.threads import Turns
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.gate.client import command
from edge_agent.timeline.intake import sent_files
from edge_agent.timeline.intake.cells import StudyImport, StudyImportOptions
from edge_agent.timeline.intake.corrections import ReadingKey, correct_reading, remove_reading
from edge_agent.timeline.intake.imports import UndoneImport, undo_import
from edge_agent.timeline.intake.sent_files import WAITING, StudyChoices
from edge_agent.timeline.study import declarations, exclusions, marker_changes, past
from edge_agent.timeline.study import protocol_runs as runs
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.declarations import Declaration
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.study.people import agree_to_attributes
from edge_agent.timeline.study.preregistrations import Preregistration, freeze
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasing_again import note_forgotten
from edge_agent.timeline.upkeep.erasure import Erasure, erase_participant
from edge_agent.timeline.write.alert_log import ENDINGS, AlertDelivery, AlertEntry, AlertLog
from edge_agent.timeline.write.boots import BootRows
from edge_agent.timeline.write.inserts import import_each
from edge_agent.timeline.write.merged_notes import without_erased, write_note
from edge_agent.timeline.write.reading_imports import (
    FilePortion,
    ImportResult,
    ReadingTable,
    import_portion,
    portions_of,
    remove_unfinished,
    write_in_portions,
)

ALERT_KIND = "agent"
"""Kind of the one alert that the dashboard raises and ends: the agent does not answer."""
UNKNOWN = "unknown"
"""Actor of an attempt to log in with a name that no account has."""
_BY_NOBODY = {(UNKNOWN, "login_failed"), (DASHBOARD, "letter_send")}
"""Actors that are no accounts, and what is noted of them."""
_NO_ACCOUNT = PROGRAMS - {COMMAND_LINE}
_ACTOR_LENGTH = 80
_AHEAD_MS = 60_000
"""Tolerance for clocks that differ and commands that are under way."""
_SETTLED_MS = 60_000
"""Age from which on a reading of a sensor is stored."""
_OF_FILES = ("csv:", f"{MADE_UP}: csv:", "fit", "apple_health:")  # fitbit, too
"""Beginnings of sources that are files."""
_BY_HAND_MOST = 100
_HANDED_IN_MOST = 1_000
_LEVELS_MOST = 30
"""Levels of lists and objects in one another; a preregistration has four."""
_SAVED_MOST = 1_000
"""Markers and answers of a protocol between two saves; it is saved once a second."""


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="PlainCommands")


def _check_actor(actor: str) -> None:
    if (
        not 1 <= len(actor) <= _ACTOR_LENGTH
        or not actor.isprintable()
        or fold_name(actor) in _NO_ACCOUNT | {UNKNOWN}
    ):
        raise StudyError(f"Who asks: {actor[:40]!r} is neither an account nor a token's name.")


def _check_dashboard(actor: str) -> None:
    if actor != DASHBOARD:
        raise StudyError(f"Who asks: {actor[:40]!r} is not the {DASHBOARD}, which alone does this.")


def _asked(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorator: make a method a command that requires an account or a token."""
    return command(_checked(method, _check_actor))


def _by_dashboard(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorator: make a method a command of the dashboard itself, which nobody asked for."""
    return command(_checked(method, _check_dashboard))


def _checked(
    method: Callable[Concatenate[S, P], R], check: Callable[[str], None]
) -> Callable[Concatenate[S, P], R]:
    @functools.wraps(method)
    def checked(self: S, /, *args: P.args, **named: P.kwargs) -> R:
        # Where one of the study's may be left out, nobody would be named in the trail.
        check(str(named.get("actor") or ""))
        return method(self, *args, **named)

    return checked


def _of_study(method: Callable[Concatenate[Study, P], R]) -> Callable[Concatenate[Commands, P], R]:
    """Return a method of the study as a command; its rules are those of the method."""

    @functools.wraps(method)
    def run(self: Commands, /, *args: P.args, **named: P.kwargs) -> R:
        return method(self.study, *args, **named)

    return _asked(run)


def _on_database(
    function: Callable[Concatenate[Path, P], R],
) -> Callable[Concatenate[Commands, P], R]:
    """Return a function of a database as a command; its rules are those of the function."""

    @functools.wraps(function)
    def run(self: Commands, /, *args: P.args, **named: P.kwargs) -> R:
        return function(self.path, *args, **named)

    return _asked(run)


class PlainCommands:
    """Those commands that no setting changes: a line of the audit trail, a plan that is frozen.

    Args:
        path: the database of the timeline, already migrated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @command
    def note(self, actor: str, action: str, detail: str = "") -> None:
        """Write an audit line on an action on accounts, exports or pages.

        Many lines of one actor and action are counted and written as one: none is refused.
        """
        if (actor, action) not in _BY_NOBODY:
            _check_actor(actor)
        if action not in ACTIONS:
            raise StudyError(f"{action[:40]!r} is not an action that the dashboard notes.")
        with write_transaction(self.path) as connection:
            told = without_erased(connection, action, detail)
            write_note(connection, actor, action, told, clock.now())

    @_asked
    def preregister(self, document: str, *, actor: str) -> Preregistration:
        """Freeze a preregistration, which is an object of JSON."""
        _check_object("document", document)
        return freeze(self.path, document, actor)


class Commands(PlainCommands):
    """Changes the database: here, or in the process of the gate where this user may not write.

    What only asks the study or a function of the database stands as its name; a method checks more,
    or holds back an argument that the dashboard may not give.

    Every command raises ``StoreError`` when the database cannot be used, and ``StudyError`` where a
    rule forbids what is asked for; nothing is changed then.

    Args:
        path: the database of the timeline, already migrated.
        importing: options of this machine for studies that are imported, of which the purposes hold
            for every session; ``None``: the defaults.
        outbox_rows: messages kept in the outbox at the most.

    ``edge_agent.appliance.gate_commands`` builds them from the configuration.

    Example:
        >>> commands = Commands(path)
        >>> commands.create_participant("P01", actor="ada")
        >>> commands.give_consent("P01", "3", actor="ada")
        >>> commands.start_session(NewSession("P01", Purpose.RESEARCH, "films"), actor="ada")
        >>> commands.end_session(actor="ada")
    """

    def __init__(
        self, path: Path, importing: StudyImportOptions | None = None, *, outbox_rows: int = 50_000
    ) -> None:
        super().__init__(path)
        self._outbox_rows = outbox_rows
        self._turns = Turns()
        self._importing = importing or StudyImportOptions()
        self.study = Study(path, purposes=self._importing.purposes, outbox_rows=outbox_rows)
        self._runs = runs.ProtocolRuns(path, outbox_rows)
        # The dashboard may write of one kind of alert only; those of the vitals are the agent's.
        self._alerts = AlertLog(path, actor=DASHBOARD, kind=ALERT_KIND)

    # ------------------------------------------------------------ participants and their consent

    @_asked
    def create_participant(
        self, code: str | None, *, simulated: bool = False, actor: str
    ) -> Participant:
        """Add a participant under a pseudonymous code; ``None`` makes one up."""
        if simulated:
            return past.add_simulated_participant(self.path, code, actor=actor)
        return self.study.create_participant(code, actor=actor)

    @_asked
    def give_consent(
        self, code: str, text_version: str, given_ms: int | None = None, *, actor: str
    ) -> None:
        """Record that a participant agreed to a version of the text: now, or at a past time."""
        check_length("Text version", text_version, 100)
        if given_ms is None:
            self.study.give_consent(code, text_version, actor=actor)
        else:
            past.give_past_consent(self.path, code, text_version, given_ms, actor=actor)

    withdraw_consent = _of_study(Study.withdraw_consent)
    give_standing = _of_study(Study.give_standing)
    take_back_standing = _of_study(Study.take_back_standing)
    agree_to_attributes = _on_database(agree_to_attributes)

    @_asked
    def erase_participant(self, code: str, *, actor: str) -> Erasure:
        """Erase a participant from the database and its copies."""
        # Who asks is the dashboard, which alone opens its own database, and reports by the next.
        return erase_participant(
            self.path, code, actor=actor, outbox_rows=self._outbox_rows, accounts=False
        )

    @_by_dashboard
    def note_forgotten(self, since_ms: int, *, actor: str) -> None:
        """Store that the dashboard's own database names nobody who was erased until then."""
        # Not of orders to come.
        note_forgotten(self.path, min(since_ms, clock.now().wall_ms), actor=actor)

    # ------------------------------------------------------------ sessions and markers

    @_asked
    def start_session(self, new: NewSession, *, actor: str) -> Session:
        """Open a session now."""
        return self.study.start_session(new, actor=actor)

    @_asked
    def start_protocol(self, new: NewSession, run: runs.NewRun, *, actor: str) -> runs.SavedRun:
        """Open a session now with a protocol at its first screen."""
        _check_object("plan", run.plan)
        _check_not_negative(order=run.order)
        at = clock.now()
        made: list[runs.SavedRun] = []
        self.study.start_session(
            new,
            at,
            actor=actor,
            also=lambda connection, opened: made.append(
                runs.insert_run(connection, opened, run, at)
            ),
        )
        return made[0]

    @_by_dashboard
    def save_protocol(
        self, run: int, session: int, progress: runs.RunProgress, *, actor: str
    ) -> bool:
        """Save the state of a protocol; return whether it continues."""
        _check_not_negative(step=progress.step, spent_ms=progress.spent_ms)
        _check_count(progress.markers, _SAVED_MOST, "markers")
        _check_count(progress.reports, _SAVED_MOST, "answers")
        for several in (progress.trials, progress.times, progress.practice):
            _check_count(several, _SAVED_MOST, "screens")
        stamps = [progress.at, *(at for stretch in progress.practice for at in stretch)]
        for stamped in (progress.markers, progress.reports, progress.trials):
            stamps += [one.at for one in stamped]
        for at in stamps:
            self._check_not_ahead(at, run)
        return self._runs.save(run, session, progress, actor=actor)

    @_asked
    def end_session(self, *, actor: str) -> Session:
        """Close the open session now."""
        return self.study.end_session(actor=actor)

    @_asked
    def add_marker(
        self, kind: MarkerKind, label: str, at: Instant | None = None, *, actor: str
    ) -> None:
        """Add a marker to the open session, at ``at`` (now)."""
        if at is not None:
            self._check_not_ahead(at)
        self.study.add_marker(kind, label, at, actor=actor)

    add_pressed_marker = _of_study(Study.add_pressed_marker)

    @_asked
    def add_past_session(self, new: past.PastSession, *, actor: str) -> Session:
        """Add a session that has taken place."""
        return past.add_session(self.path, new, purposes=self._importing.purposes, actor=actor)

    add_past_markers = _on_database(past.add_past_markers)
    correct_marker = _on_database(marker_changes.correct_marker)
    remove_marker = _on_database(marker_changes.remove_marker)

    @_asked
    def leave_out(
        self, session: int, span: tuple[int, int] | None, *, reason: str, actor: str
    ) -> Exclusion:
        """Leave a session, or a stretch of it, out of the analysis."""
        return exclusions.leave_out(self.path, session, span, reason=reason, actor=actor)

    take_back = _on_database(exclusions.take_back)

    @_asked
    def declare_afterwards(
        self, session: int, span: tuple[int, int], *, reason: str, actor: str
    ) -> Declaration:
        """Declare that the unknown faces of a stretch are the participant's."""
        return declarations.declare(self.path, session, span, reason=reason, actor=actor)

    take_declaration_back = _on_database(declarations.take_declaration_back)

    # ------------------------------------------------------------ readings

    @_asked
    def enter_readings(self, readings: Sequence[VitalReading], *, actor: str) -> list[bool]:
        """Write readings that a person entered; return for each whether it was new."""
        _check_count(readings, _BY_HAND_MOST, "readings")
        for reading in readings:
            _check_reading(reading)
            # The dashboard may be taken over: it must not make readings that look like a sensor's.
            if reading.source != f"manual:{actor}" or VitalFlag.MANUAL not in reading.flags:
                raise StudyError(
                    f"A reading by hand has the source manual:{actor} and the flag manual, not "
                    f"{reading.source!r}."
                )
            self._check_not_ahead(reading.at)
        return import_each(self.path, readings, entered_by=actor)

    @command
    def hand_in_readings(self, readings: Sequence[VitalReading], *, token: str) -> list[bool]:
        """Write readings that a program sent; return for each whether it was new."""
        _check_count(readings, _HANDED_IN_MOST, "readings")
        own = f"http:{token}"
        for reading in readings:
            _check_reading(reading)
            if reading.source != own and not reading.source.startswith(f"{own}:"):
                raise StudyError(
                    f"A reading of the token {token} has a source that begins with {own}, not "
                    f"{reading.source!r}."
                )
        return import_each(self.path, readings)

    @_asked
    def import_portion(self, table: ReadingTable, part: FilePortion, *, actor: str) -> ImportResult:
        """Write a portion of the readings of a file, each with the number of this import."""
        if any(VitalFlag.IMPORTED not in flags for flags in table.flag_sets):
            raise StudyError("A reading of a file has the flag imported.")
        for reading in table:
            _check_reading(reading)
            _check_settled(reading)
        return import_portion(self.path, table, part, actor=actor)

    remove_unfinished = _on_database(remove_unfinished)

    # ------------------------------------------------------------ imported studies

    @_asked
    def begin_file(self, name: str, *, actor: str) -> str:
        """Make room for a file of a study; return the key under which its portions come."""
        return sent_files.begin_file(self.path, name, actor)

    @_asked
    def add_portion(self, key: str, at: int, portion: bytes, *, actor: str) -> None:
        """Write the next portion of a file of a study, at so many bytes."""
        _check_not_negative(at=at)
        sent_files.add_portion(self.path, key, at, portion, actor)

    @_asked
    def forget_file(self, key: str, *, actor: str) -> None:
        """Delete a file of a study that was sent; reading it ends, and its place in the queue."""
        self._turns.leave(actor)
        sent_files.forget_file(self.path, key, actor)

    @_asked
    def preview_study(self, key: str, choices: StudyChoices, *, actor: str) -> StudyImport:
        """Return what an import of a study that was sent would do, and what is in its way."""
        return self._import_study(key, choices, actor, dry_run=True)

    @_asked
    def import_study(self, key: str, choices: StudyChoices, *, actor: str) -> StudyImport:
        """Import a study that was sent: all of it, or nothing where it has problems."""
        report = self._import_study(key, choices, actor, dry_run=False)
        if report.imported:
            sent_files.forget_file(self.path, key, actor)
        return report

    def _import_study(
        self, key: str, choices: StudyChoices, actor: str, *, dry_run: bool
    ) -> StudyImport:
        # Most processes that have these commands import no study.
        from edge_agent.timeline.intake.study_import import import_study, opened_study

        options, zone = choices.over(self._importing), choices.local
        file = sent_files.sent_file(self.path, key, actor)
        # It takes minutes and a place of the gate, whose others must stay free.
        with self._turns.asked_by(actor) as before:
            if before:
                raise StudyError(
                    N_("Studies are read one at a time. Before this one: {count}."),
                    field=WAITING,
                    count=before,
                )
            try:
                with sent_files.reading(file) as watch:
                    source = opened_study(file, choices.first_ms, zone, sent_files.MOST_FILES)
                    report = import_study(
                        self.path, source, options, actor=actor, dry_run=dry_run, on_row=watch
                    )
                report.notes += choices.unmet(zone)
                return report.answer()
            except DataFileError as error:  # people know their file, and not where it waits
                if str(file) not in str(error):
                    raise
                raise DataFileError(str(error).replace(str(file), file.name)) from error

    @_asked
    def undo_import(self, number: int, *, actor: str) -> UndoneImport:
        """Remove what an import added, and nothing else."""
        return undo_import(self.path, number, actor=actor)

    @_asked
    def correct_reading(self, key: ReadingKey, value: float, *, actor: str) -> None:
        """Change the value of a reading that a person entered; the old value is kept."""
        _check_possible(key.kind, value)
        correct_reading(self.path, key, value, actor=actor)

    remove_reading = _on_database(remove_reading)

    # ------------------------------------------------------------ camera, alerts

    @_asked
    def switch_camera(self, *, on: bool, actor: str) -> None:
        """Turn the camera on or off, from now on and after each start."""
        CaptureSwitch(self.path).turn(on=on, by=actor)

    @_asked
    def acknowledge_alert(self, number: int, *, actor: str) -> AlertEntry:
        """Record who acknowledged an alert; only the first one is stored."""
        return self._alerts.acknowledge(number, actor)

    @_by_dashboard
    def begin_alert(
        self, rule: str, text: str, parts: str | None, at: Instant, *, quiet: bool, actor: str
    ) -> None:
        """Write that the agent does not answer."""
        del actor  # it is the dashboard
        self._check_not_ahead(at)
        if parts is not None and pack_text(unpack_text(text, parts)) is None:
            raise StudyError("parts: they do not make the text of the alert. Nothing was done.")
        alert = AlertEntry(0, rule, ALERT_KIND, text, None, None, 0, quiet=quiet)
        self._alerts.begin(alert, at, parts)

    @_by_dashboard
    def end_alert(self, rule: str, ending: str, at: Instant, *, actor: str) -> None:
        """Write that the agent answers again."""
        del actor  # it is the dashboard
        self._check_not_ahead(at)
        if ending not in ENDINGS:
            raise StudyError(f"ending: {ending[:40]!r} is not one of {', '.join(ENDINGS)}.")
        self._alerts.end(rule, ending, at)

    @_by_dashboard
    def note_delivery(self, alert: int, delivery: AlertDelivery, *, actor: str) -> bool:
        """Store the delivery of a message about an alert that the dashboard raised.

        Return whether there is such an alert.
        """
        del actor  # the row itself says what became of the message, and it is tried many times
        delivery = replace(delivery, error=printable(delivery.error))
        return self._alerts.note_delivery(alert, delivery)

    # ------------------------------------------------------------ checks that read the database

    def _check_not_ahead(self, at: Instant, run: int | None = None) -> None:
        """Refuse a future time, unless this machine had reached it before its clock was set back.

        Args:
            at: the time.
            run: number of the protocol that it is of. A machine without a clock of its own may
                start behind the time at which that was saved.
        """
        now = clock.now()
        if at.wall_ms <= now.wall_ms + _AHEAD_MS:
            return
        if 0 < at.boot_ms <= now.boot_ms:
            with read_transaction(self.path) as connection:
                if BootRows(connection).knows(at):
                    return
        saved = None if run is None else self._runs.open()
        if saved is not None and saved.id == run and at.wall_ms <= saved.saved.wall_ms:
            return
        raise StudyError(
            f"{iso_utc(at.wall_ms)} lies in the future; it is {iso_utc(now.wall_ms)} now. Give a "
            "time that has passed."
        )


def import_file(
    commands: Commands, readings: Iterable[VitalReading], *, file: str, actor: str
) -> ImportResult:
    """Write the readings of a file in portions: all of them, or none.

    The memory does not grow with their number. What the readings raise leaves none of them.

    Raises:
        StudyError: as ``Commands.import_portion``.
        StoreError: the database cannot be written, or the gate does not answer. It says what became
            of the portions that were written before.
    """
    return write_in_portions(
        portions_of(readings),
        file,
        lambda portion, part: commands.import_portion(portion, part, actor=actor),
        lambda number: commands.remove_unfinished(number, actor=actor),
    )


def _check_count(given: Sequence[object], most: int, what: str) -> None:
    if len(given) > most:
        raise StudyError(f"{len(given):,} {what} at once; at most {most:,} are taken.")


def _check_not_negative(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise StudyError(f"{name}: {number} is less than 0. Nothing was done.")


def _check_object(name: str, text: str) -> None:
    """Refuse what is not a JSON object, and one that a page could not read any more."""
    try:
        parsed = parse_json(text, parse_constant=_no_number)
        is_object = isinstance(parsed, dict)
    except ValuesError:
        is_object = False
    level = [parsed] if is_object else []
    # Read where more functions call each other, a deeper one ends with an error.
    for _ in range(_LEVELS_MOST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    if not is_object or level:
        raise StudyError(
            f"{name}: {text[:40]!r} is not a JSON object of at most {_LEVELS_MOST} levels. "
            "Nothing was done."
        )


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check_reading(reading: VitalReading) -> None:
    _check_possible(reading.kind, reading.value)
    _refuse(device_time, reading.device_time)
    _refuse(check_error, reading.error)


def _check_settled(reading: VitalReading) -> None:
    """Refuse a reading under the name of a source that may still send one of that time.

    Of one time and source only a thousand are kept: they would keep those of a sensor out.
    """
    if reading.source.startswith(_OF_FILES):
        return
    now_ms = clock.now().wall_ms
    if reading.at.wall_ms > now_ms - _SETTLED_MS:
        raise StudyError(
            f"{reading.source} at {iso_utc(reading.at.wall_ms)}: a sensor may still send a reading "
            f"of that time; it is {iso_utc(now_ms)} now. Import what is older than a minute, or "
            "correct the time."
        )


def _check_possible(kind: VitalKind, value: float) -> None:
    _refuse(refuse_impossible, kind, value)


def _refuse(check: Callable[P, object], *args: P.args, **named: P.kwargs) -> None:
    """Check as readings from outside are checked."""
    try:
        check(*args, **named)
    except ReadingError as error:
        raise StudyError(str(error)) from error
