"""Participants, consents and sessions of a study that comes in: staged, and their rules kept."""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import Any

from edge_agent.core import clock
from edge_agent.core.bounds import STEPS_KEPT, add_work
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import (
    LABEL_LENGTH,
    MADE_UP,
    STORED,
    AttributeUse,
    SessionField,
    SessionSetting,
    checked_attribute,
)
from edge_agent.core.texts import N_
from edge_agent.core.unmet import unmet_choice, unmet_choices
from edge_agent.timeline.database.connection import insert
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.intake import cells as read
from edge_agent.timeline.intake.cells import CellError, SourceRow, StudyImport, StudyImportOptions
from edge_agent.timeline.intake.named_people import OWN, NamedPeople
from edge_agent.timeline.intake.tidy import StudySource
from edge_agent.timeline.study.rows import check_purpose, check_time

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_MOST_SESSIONS = 10**9
_EACH_HAS = {
    "--consent": N_("each participant has a consent in the files"),
    "--purpose": N_("each session has a purpose in the files"),
    "--setting": N_("each session has a setting in the files"),
}
"""Option that states what the files lack → why it met nothing."""
_READ = frozenset(column.name for column in FILES["session"])


@dataclass(frozen=True, slots=True)
class StagedPerson:
    """A participant of the files.

    Attributes:
        id: of the staged row.
        code: as it will be here.
        consent_ms: since when their consent stands; ``None``: there is none.
        is_withdrawn: whether they withdrew.
        attributes: what they agreed to about their attributes.
    """

    id: int
    code: str
    consent_ms: int | None
    is_withdrawn: bool
    attributes: AttributeUse


@dataclass(frozen=True, slots=True)
class _Consent:
    """A consent from the files; without a time there is no consent."""

    version: str = ""
    given_ms: int | None = None
    withdrawn_ms: int | None = None
    attributes: AttributeUse = AttributeUse.NONE


@dataclass(frozen=True, slots=True)
class StagedSession:
    """A session of the files.

    Attributes:
        number: in the files.
        start_ms: its start, UTC milliseconds.
        end_ms: its end.
        code: whose it is, as in the files.
        is_left_out: whether nothing of it is taken.
        row: where it stands.
    """

    number: int
    start_ms: int
    end_ms: int
    code: str
    is_left_out: bool
    row: SourceRow


class Sessions:
    """Finds the session of a time: they do not overlap."""

    def __init__(self, sessions: list[StagedSession]) -> None:
        self.all = sorted(sessions, key=lambda one: one.start_ms)
        self._starts = [one.start_ms for one in self.all]
        self.by_number = {one.number: one for one in self.all}

    def at(self, at_ms: int) -> StagedSession | None:
        """Return the session that contains a time; the end of a session is exclusive."""
        place = bisect_right(self._starts, at_ms)
        if place and at_ms < self.all[place - 1].end_ms:
            return self.all[place - 1]
        return None

    def ending_at(self, at_ms: int) -> StagedSession | None:
        """Return the session that ends at a time."""
        place = bisect_left(self._starts, at_ms)
        if place and at_ms == self.all[place - 1].end_ms:
            return self.all[place - 1]
        return None


class StagedPeople:
    """Stages the people and sessions of a source.

    Args:
        staged: the staging database, in a transaction.
        source: the files.
        options: what was decided.
        report: gets counts, notes and problems.
    """

    def __init__(
        self,
        staged: sqlite3.Connection,
        source: StudySource,
        options: StudyImportOptions,
        report: StudyImport,
    ) -> None:
        self._staged = staged
        self._source = source
        self._options = options
        self._report = report
        self._people: dict[str, StagedPerson] = {}
        self._listed: set[str] = set()
        self._attributes_left = 0
        self._now_ms = clock.now().wall_ms
        self._left_out = {code.casefold() for code in options.leave_out}
        self._met: set[str] = set()

    def stage(self) -> Sessions:
        """Stage participants, consents and sessions; return the sessions."""
        if "participant" in self._source.tables():
            self._each("participant", self._participant)
        if "participant_attribute" in self._source.tables():
            self._each("participant_attribute", self._attribute)
            self._note_attributes()
        sessions: list[StagedSession] = []
        self._each("session", lambda row: sessions.append(self._session(row)))
        self._note_unmet(sessions)
        self._refuse_overlaps(sessions)
        self._refuse_others(sessions)
        return Sessions(sessions)

    def _each(self, table: str, take: Callable[[SourceRow], None]) -> None:
        """Call ``take`` for each row of a table, and record the errors it raises."""
        for row in self._source.rows(table):
            count = self._report.count(table, row)
            count.rows += 1
            if table in {"participant", "session"}:
                add_work(STEPS_KEPT)
            if table == "participant":
                self._listed.add(read.text_of(row.cells, "participant"))
            if self._is_left_out(row.cells.get("participant", "")):
                count.left_out += 1
                if table != "session":
                    continue
            else:
                count.taken += 1
            try:
                take(row)
            except CellError as error:
                self._report.refuse_cell(row, error)

    def _is_left_out(self, code: str) -> bool:
        return code.strip().casefold() in self._left_out

    def _participant(self, row: SourceRow) -> None:
        cells = row.cells
        given = read.needed(cells, "participant")
        if given.casefold() in self._people:
            raise CellError("participant", given, "is there twice. Remove one of them.")
        version = read.text_of(cells, "consent_version")
        given_ms = read.optional_moment(cells, "consent_given_at")
        if bool(version) != (given_ms is not None):
            column = "consent_given_at" if version else "consent_version"
            raise CellError(column, "", "is missing: a consent has a version and a time.")
        created_ms = read.optional_moment(cells, "created_at")
        is_simulated = read.boolean(cells, "simulated")
        withdrawn_ms = read.optional_moment(cells, "consent_withdrawn_at")
        use = read.member(AttributeUse, cells, "consent_attributes", AttributeUse.NONE)
        consent = _Consent(version, given_ms, withdrawn_ms, use)
        self._add(given, self._now_ms if created_ms is None else created_ms, is_simulated, consent)

    def _add(
        self, given: str, created_ms: int, is_simulated: bool, consent: _Consent
    ) -> StagedPerson:
        code = f"{self._options.prefix}{given}"
        if not _CODE.fullmatch(code):
            raise CellError(
                "participant",
                code,
                "is no code: 1 to 32 letters, digits, '.', '_' or '-', the first a letter or "
                "digit, and never a name.",
            )
        stated = self._options.consent
        if consent.given_ms is None and stated is not None:
            consent = _Consent(stated.text_version, stated.given_ms, None, stated.attributes)
            self._met.add("--consent")
        cursor = self._staged.execute(
            "INSERT INTO participant (code, created, simulated) VALUES (?, ?, ?)",
            (code, created_ms, int(is_simulated)),
        )
        number = int(cursor.lastrowid or 0)
        if consent.given_ms is not None:
            self._staged.execute(
                "INSERT INTO consent (participant, text_version, given, withdrawn, attributes) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, *astuple(consent)),
            )
        is_withdrawn = consent.withdrawn_ms is not None
        person = StagedPerson(number, code, consent.given_ms, is_withdrawn, consent.attributes)
        self._people[given.casefold()] = person
        return person

    def _attribute(self, row: SourceRow) -> None:
        """Stage an attribute of a participant who agreed to its storage."""
        code = read.needed(row.cells, "participant")
        person = self._people.get(code.casefold())
        if person is None:
            raise CellError("participant", code, "is not in the table of participants.")
        if person.attributes is AttributeUse.NONE:
            self._attributes_left = self._attributes_left + 1
            return
        name = read.needed(row.cells, "name")
        try:
            values = checked_attribute(name, read.needed(row.cells, "value"))
        except StudyError as error:
            raise CellError("name", name, f"cannot be taken: {error}") from error
        self._staged.execute(
            "INSERT INTO participant_attribute (participant, name, value) VALUES (?, ?, ?) "
            "ON CONFLICT (participant, name) DO UPDATE SET value = excluded.value",
            (person.id, *values),
        )

    def _note_attributes(self) -> None:
        count = self._report.counts.get("participant_attribute")
        if count is not None and self._attributes_left:
            count.taken -= self._attributes_left
            self._report.notes.append(
                f"{self._attributes_left} attributes of participants are not taken: no consent "
                "says that they are kept. Where they agreed to it, state it: --consent-attributes "
                "here (or shared)."
            )

    def _session(self, row: SourceRow) -> StagedSession:
        cells = row.cells
        code = read.needed(cells, "participant")
        number = read.bounded(cells, "session", 1, _MOST_SESSIONS)
        start_ms = read.moment(cells, "start_")
        if not (read.text_of(cells, "end_at") or read.text_of(cells, "end_ms")):
            raise CellError("end_at", "", "is missing: end the session first, or write its end.")
        end_ms = read.moment(cells, "end_")
        self._check_span(start_ms, end_ms)
        session = StagedSession(number, start_ms, end_ms, code, self._is_left_out(code), row)
        if not session.is_left_out:
            self._insert(session)
        return session

    def _check_span(self, start_ms: int, end_ms: int) -> None:
        try:
            check_time("A session", start_ms, self._now_ms)
            check_time("A session", end_ms, self._now_ms)
        except StudyError as error:
            raise CellError("end_at", iso_utc(end_ms), f"cannot be: {error}") from error
        if end_ms <= start_ms:
            raise CellError("end_at", iso_utc(end_ms), "does not follow the start. Correct it.")

    def _insert(self, new: StagedSession) -> None:
        row = new.row.cells
        default = "" if self._options.purpose is None else self._options.purpose.value
        if not read.text_of(row, "purpose", default):
            raise CellError("purpose", "", "is missing. Fill it in, or give --purpose.")
        chosen = {"purpose": default, "setting": self._options.setting.value}
        self._met |= {f"--{name}" for name in chosen if not read.text_of(row, name)}
        values = {one.name: _cell_of(row, one, chosen) for one in STORED}
        try:
            check_purpose(values["purpose"], values["setting"], self._options.purposes)
        except StudyError as error:
            raise CellError("purpose", values["purpose"], f"is refused: {error}") from error
        person = self._consenting(new)
        try:
            insert(
                self._staged,
                "session",
                id=new.number,
                participant=person.id,
                **values,
                started=new.start_ms,
                ended=new.end_ms,
                simulated=int(read.boolean(row, "simulated")),
                origin=self._origin(row),
            )
        except sqlite3.IntegrityError as error:
            raise CellError("session", new.number, "is there twice. Give each its own.") from error

    def _origin(self, row: read.Cells) -> str:
        """Return the origin of a session; that its times were made up is true here as well."""
        mark = f" ({MADE_UP})"
        name = self._source.name.removesuffix(mark)
        is_made_up = name != self._source.name or read.text_of(row, "origin").endswith(mark)
        return f"import: {name}{mark * is_made_up}"

    def _consenting(self, new: StagedSession) -> StagedPerson:
        """Return the participant of a session, who must have valid consent."""
        person = self._people.get(new.code.casefold())
        if person is None and "participant" in self._source.tables():
            raise CellError("participant", new.code, "is not in the table of participants.")
        if person is None:
            is_simulated = read.boolean(new.row.cells, "simulated")
            person = self._add(new.code, self._now_ms, is_simulated, _Consent())
        if person.consent_ms is None:
            raise CellError(
                "participant",
                new.code,
                "has no consent. Fill in consent_version and consent_given_at, or state it with "
                "--consent VERSION --consent-on TIME.",
            )
        if person.is_withdrawn:
            raise CellError(
                "participant",
                new.code,
                f"has withdrawn the consent. Leave them out: --leave-out {new.code}.",
            )
        if person.consent_ms > new.start_ms:
            self._late_consent(new, person.consent_ms)
        return person

    def _late_consent(self, new: StagedSession, given_ms: int) -> None:
        """Refuse a stated consent that is later than the session; note one of the files.

        An export has the last consent only: an earlier one may have stood before it.
        """
        stated = self._options.consent
        if stated is not None and given_ms == stated.given_ms:
            raise CellError(
                "start_at",
                iso_utc(new.start_ms),
                f"lies before the consent that was stated ({iso_utc(given_ms)}). State the time "
                "at which it was given.",
            )
        self._report.notes.append(
            f"Session {new.number} of {new.code} began at {iso_utc(new.start_ms)}, and the consent "
            f"in the files is of {iso_utc(given_ms)}: an earlier one is not in them."
        )

    def _note_unmet(self, sessions: list[StagedSession]) -> None:
        """Note codes to leave out that nobody has, and statements that nobody needed."""
        codes = {one.code.strip() for one in sessions} | self._listed
        given = sorted(self._options.leave_out)
        self._report.notes += unmet_choices("--leave-out", given, codes, str.casefold)
        if self._report.problems:  # whoever was refused was not asked for them
            return
        consent, purpose, setting = (
            self._options.consent,
            self._options.purpose,
            self._options.setting,
        )
        stated = {
            "--consent": "" if consent is None else consent.text_version,
            "--purpose": "" if purpose is None else purpose.value,
            "--setting": "" if setting is SessionSetting.OTHER else setting.value,
        }
        self._report.notes += (
            unmet_choice(option, value, _EACH_HAS[option])
            for option, value in stated.items()
            if value and option not in self._met
        )

    def _refuse_others(self, sessions: list[StagedSession]) -> None:
        """Refuse sessions of which another column names another participant."""
        labels = self._source.labels()
        codes = [*self._people, *(one.code for one in sessions)]
        people = NamedPeople(codes, labels, is_own=not labels)
        for one in sessions:
            contradiction = people.find(one.row.file, one.row.cells, _READ, one.code)
            if contradiction is not None:
                cure = f"is not {one.code}, whose session it is by {OWN}. Correct one of the two."
                self._report.refuse_cell(
                    one.row, CellError(contradiction.column, contradiction.value, cure)
                )

    def _refuse_overlaps(self, sessions: list[StagedSession]) -> None:
        ordered = sorted(sessions, key=lambda one: one.start_ms)
        for before, after in pairwise(ordered):
            if after.start_ms < before.end_ms:
                cure = f"lies before the end of session {before.number}. Sessions must not overlap."
                error = CellError("start_at", iso_utc(after.start_ms), cure)
                self._report.refuse_cell(after.row, error)


def _cell_of(row: read.Cells, one: SessionField, chosen: Mapping[str, str]) -> Any:
    """Return what a row says of a session; an empty cell is what was chosen, or the default."""
    if one.kind is str:
        most = one.about.most or LABEL_LENGTH
        return read.label(row, one.name, one.about.title, empty_allowed=True, most=most)
    return read.member(one.kind, row, one.name, chosen.get(one.name, str(one.default)))
