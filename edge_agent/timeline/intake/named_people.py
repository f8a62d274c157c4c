"""The people that the columns of a table name, compared with those in whose sessions its rows lie.

Rows find their session by time. A column that says whose a row is must say the same: else the row
would become somebody else's. A column whose name says so is judged row by row. Any other one that
is not read is judged at the end, by its values: most of them are codes of participants, with a
letter in it, and each person's rows have one of them. Codes of digits alone are judged by the
column's name only: a number of a trial looks like them. The name of a file says whose it is, too,
and so do the rows above the names of its columns.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.study.rows import select_sessions

OWN = "participant"
"""The column of our own tables."""
_BY_NAME = re.compile(
    r"(participant|subject|proband(in)?|versuchsperson|vpn?|teilnehmer(in)?|sujet|sujeto|"
    r"participante|soggetto|partecipante|deelnemer|proefpersoon|deltager|fors(ø|oe)gsperson)"
    r"(?P<many>s)?(?P<one>[ _.-]*(id|code|label|no|nr|num|number|nummer|#)\.?)?|"
    r"被験者|参加者|被试|受试者|被試|受試者"
)
"""Names of a column of people, in the languages in which columns of readings are known."""
_BY_SESSION = re.compile(
    r"(ses|session|sitzung|sesi[óo]n|s[ée]ance)[ _.-]*(id|no|nr|num|number)?\.?"
)
_LABEL = "sub-"
_FORM = re.compile(r"([^\W\d_]*)(\d+)")
_SEPARATORS = re.compile(r"[\s._-]+")
_STRAYS = 20
"""So many cells that are no code, and more than those that are, tell that a column names nobody."""
_SHOWN = 20
_SESSION = "session"
OF_READINGS = ("at", "kind", "value")
"""The columns by which a table of readings is in our own form."""
_SAID_BY_TIME = {"at_ms", "condition", "observed", "simulated", _SESSION}
_ANOTHER = N_(
    "{file}, row {row}, column {column}: {value} is not {code}, in whose session the row lies by "
    "its time. Rows like it: {n}. Correct the times or the codes, or remove the column if it does "
    "not say whose the rows are. Nothing was imported."
)
_OF_TWO = N_(
    "{file}, row {row}, column session: rows of session {session} lie in sessions of two people, "
    "this one in one of {code}. Rows like it: {n}. Correct the times or the sessions, or remove "
    "the column. Nothing was imported."
)
_OF_FILE = N_(
    "{file}: its name says {value}, and rows of it lie by their time in a session of {code}. "
    "Correct the times, or rename the file if they are of {code}. Nothing was imported."
)
_ABOVE = N_(
    "{file}: above the names of its columns stands {value}, and rows of it lie by their time in a "
    "session of {code}. Correct the times, or that row if they are of {code}. Nothing was imported."
)
_OF_STREAM = N_(
    "{file}: the name of stream {stream} says {value}, and its readings would be those of {code}. "
    "Give the stream another name, or record {value} in a file of their own. Nothing was imported."
)
_SEVERAL = N_(
    "{file}: column {column} names {n} people ({names}), whose readings lie in no session: "
    "nothing would keep them apart. Add the sessions first (affect-edge session add), so that the "
    "time says whose they are, or give each person a file. If all are one person's, remove the "
    "column. Nothing was imported."
)
_PREFIX = re.compile(r".*[._-]")
RowAbove = tuple[int, Sequence[str]]


def names_people(column: str) -> bool:
    """Tell whether a column names people by its own name, of our form or of BIDS."""
    return _BY_NAME.fullmatch(column.strip().casefold()) is not None


class _Form(NamedTuple):
    """Letters and number of a code, however it is written: ``P02`` is ``p-2``."""

    letters: str
    number: int
    digits: int


def _form_of(text: str) -> _Form | None:
    bare = _SEPARATORS.sub("", text.casefold().removeprefix(_LABEL))
    match = _FORM.fullmatch(bare)
    return None if match is None else _Form(match[1], int(match[2]), len(match[2]))


def are_of_two(one: str, other: str) -> bool:
    """Tell whether two texts are codes of two people: letters alike, and another number.

    Example:
        >>> are_of_two("P02", "P01"), are_of_two("p1", "P01"), are_of_two("ada", "P01")
        (True, False, False)
    """
    first, second = _form_of(one), _form_of(other)
    if first is None or second is None or first.letters != second.letters:
        return False
    is_alike = bool(first.letters) or first.digits == second.digits
    return is_alike and first.number != second.number


def _is_like(text: str, code: str) -> bool:
    """Tell whether a text has the form of a code, with as many digits, and another number."""
    first, second = _form_of(text), _form_of(code)
    if first is None or second is None or not first.letters:
        return False
    return are_of_two(text, code) and first.digits == second.digits > 1


def other_person_in(title: str, code: str) -> str:
    """Return the word of a title, such as that of a stream, that is another person's code.

    Example:
        >>> other_person_in("Strap P02", "P01"), other_person_in("Polar H10", "P01")
        ('P02', '')
    """
    words = re.split(r"[^\w-]+|_", title)
    if any(word.casefold() == code.casefold() for word in words):
        return ""
    return next((word for word in words if _is_like(word, code)), "")


def code_in_name(file: str, codes: Collection[str]) -> str:
    """Return the code of the participant that the name of a file has; empty: none.

    Args:
        file: its name, such as ``sub-P02_hr.csv`` or ``P02_hr.csv``, also with its folder.
        codes: of all participants; only one with letters and digits is named without ``sub-``.
    """
    parts = re.split(r"[_\s./]+", file)
    labelled = [part for part in parts[:1] if part.casefold().startswith(_LABEL)]
    if labelled and len(parts) > 1:
        return labelled[0][len(_LABEL) :]
    known = {code.casefold() for code in codes if _form_of(code) and not code.isdecimal()}
    named = {part.casefold(): part for part in parts if part.casefold() in known}
    return next(iter(named.values())) if len(named) == 1 else ""


def code_above(rows: Iterable[RowAbove], codes: Collection[str]) -> str:
    """Return the only code that the rows above the names of columns say; empty: none.

    Args:
        rows: number and cells of each. ``Participant: P02`` says a code by its label, in one cell
            or two; a cell that is the code of a participant, with a letter, says it by itself.
        codes: of all participants.
    """
    known = {code.casefold() for code in codes if not code.isdecimal()}
    labelled: dict[str, str] = {}
    alone: dict[str, str] = {}
    for _, cells in rows:
        parts = [part.strip(" #\t") for cell in cells for part in re.split(r"[:=]", cell)]
        parts = [word for part in filter(None, parts) for word in _label_and_code(part)]
        for label, text in pairwise(parts):
            if _says_whom(label, text):
                labelled.setdefault(text.casefold(), text)
        alone |= {text.casefold(): text for text in parts if text.casefold() in known}
    # Of a table of several people the columns say whose a row is.
    named = labelled | alone
    return next(iter(named.values())) if len(named) == 1 else ""


def _says_whom(label: str, text: str) -> bool:
    """Tell whether a cell says whose a table is, by the one before it: ``Subjects: 2`` counts."""
    match = _BY_NAME.fullmatch(label.strip().casefold())
    return match is not None and (not text.isdecimal() or bool(match["one"] and not match["many"]))


def _label_and_code(part: str) -> list[str]:
    label, _, code = part.rpartition(" ")
    return [label, code] if label and names_people(label) and _form_of(code) else [part]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row that names another person than the one in whose session it lies.

    Attributes:
        column: the column that names the person.
        value: what stands there.
        code: the participant in whose session the row lies.
    """

    column: str
    value: str
    code: str

    @property
    def cure(self) -> str:
        """Problem and remedy, as they follow the value in a sentence."""
        return (
            f"is not {self.code}, in whose session the row lies by its time. Correct the time or "
            "the code, or remove the column if it does not say whose the row is."
        )


class _Columns(NamedTuple):
    """The columns of a file that name people by their own name, and those that may by values."""

    named: tuple[str, ...]
    others: tuple[str, ...]


class _Column:
    """Cells of a column that may name people by its values alone."""

    def __init__(self) -> None:
        self.rows: list[tuple[object, Contradiction]] = []
        self.is_closed = False
        self._codes = self._strays = 0
        self._of: dict[str, set[str]] = {}
        self._has_unknown = False

    def add(self, person: str | None, code: str, *, is_known: bool = True) -> None:
        """Add a cell: the person whose code it is, and in whose session its row lies."""
        self._has_unknown |= not is_known
        if person is None:
            self._strays += 1
            self.is_closed = self._strays > self._codes + _STRAYS
        else:
            self._codes += 1
            self._of.setdefault(code, set()).add(person)

    @property
    def names_people(self) -> bool:
        """True where all are codes; of most, where the rows of a person have one or two of them.

        A stimulus or a period can be called as a participant is, and changes within a session.
        """
        if self._has_unknown:
            # Nobody here has such a code: it names one person all the same, and no stimulus.
            return not self._strays and all(len(names) == 1 for names in self._of.values())
        if not self._strays:
            return True
        return self._codes > self._strays and all(len(names) <= 2 for names in self._of.values())


class NamedPeople:
    """Finds rows that name another person than the one in whose session they lie.

    Args:
        codes: of all participants.
        labels: other names of some → their code, as the folders of a BIDS data set have them.
        is_own: whether the column ``participant`` has codes of these participants alone, so that
            any other text is another person.
        may_have_prefix: whether the participants' codes may have got a beginning since the rows
            were written (``--prefix`` of an import).
    """

    def __init__(
        self,
        codes: Iterable[str],
        labels: Mapping[str, str] | None = None,
        *,
        is_own: bool = True,
        may_have_prefix: bool = False,
    ) -> None:
        given = {code.casefold(): code.casefold() for code in codes}
        labels = labels or {}
        others = {label.casefold(): code.casefold() for label, code in labels.items()}
        self._codes = others | given
        self._forms: dict[object, str | None] = {}
        for text, code in self._codes.items():
            form = _form_of(text)
            for key in {form and form[:2], form and form.number} - {None}:
                if self._forms.setdefault(key, code) != code:
                    self._forms[key] = None
        self._has_labels = bool(labels)
        self._is_own = is_own
        self._may_have_prefix = may_have_prefix
        self._columns: dict[object, _Columns] = {}
        self._open: dict[tuple[object, str], _Column] = {}

    def find(
        self, file: object, cells: Mapping[str, str], read: Collection[str], code: str
    ) -> Contradiction | None:
        """Return what a row says against its session; of columns by values, ``rest`` does.

        Args:
            file: whose columns are the same in each row.
            cells: of the row; it stands for itself in ``rest``.
            read: the columns that mean something else.
            code: of the participant in whose session it lies.
        """
        columns = self._columns.get(file)
        if columns is None:
            columns = self._columns[file] = _columns_of(cells, read)
        for column in columns.named:
            text = cells.get(column, "").strip()
            if text and self.is_other(column, text, code):
                return Contradiction(column, text, code)
        return None

    def note(self, file: object, row: object, cells: Mapping[str, str], code: str) -> None:
        """Keep what the other columns of a row, which ``find`` has looked at, say against it."""
        for column in self._columns[file].others:
            text = cells.get(column, "").strip()
            if not text:
                continue
            kept = self._open.setdefault((file, column), _Column())
            if kept.is_closed:
                continue
            person = self._owner_of(text) if any(map(str.isalpha, text)) else None
            is_known = person is not None or not _is_like(text, code)
            person = person if is_known else text.casefold()
            kept.add(person, code, is_known=is_known)
            if person is not None and person != code.casefold() and len(kept.rows) < _SHOWN:
                kept.rows.append((row, Contradiction(column, text, code)))

    def _owner_of(self, text: str) -> str | None:
        """Return whose code a text is, in other letters or with other separators at most."""
        name = text.casefold()
        person = self._codes.get(name) or self._codes.get(name.removeprefix(_LABEL))
        if person is None and (form := _form_of(text)) is not None:
            person = self._forms.get(form[:2])
            own = None if person is None else _form_of(person)
            # Periods and stimuli are P1 and P2, too: as many digits as the code has.
            return person if own is not None and own.digits == form.digits else None
        return person

    def rest(self) -> Iterator[tuple[object, Contradiction]]:
        """Yield the first rows, and what they say, of columns that only values tell."""
        for column in self._open.values():
            if column.names_people:
                yield from column.rows
        self._open.clear()

    def is_other(self, column: str, text: str, code: str) -> bool:
        """Tell whether a text in a column that names people is not of a participant."""
        name, own = text.casefold(), code.casefold()
        if name == own:
            return False
        person = self._codes.get(name) or self._codes.get(name.removeprefix(_LABEL))
        if person is not None:
            return person != own
        if (self._has_labels and name.startswith(_LABEL)) or self._is_prefixed(name, own):
            return not self._is_prefixed(name, own)
        if self._is_own and column.casefold() == OWN:
            return True
        return self._is_other_form(text, code)

    def _is_other_form(self, text: str, code: str) -> bool:
        """Tell whether a text is, in another form, the code of another person."""
        form = _form_of(text)
        if form is None:
            return False
        person = self._forms.get(form[:2])
        if person is None and not form.letters:
            person = self._forms.get(form.number)
        return are_of_two(text, code) if person is None else person != code.casefold()

    def _is_prefixed(self, name: str, own: str) -> bool:
        before = own.removesuffix(name)
        return self._may_have_prefix and before != own and _PREFIX.fullmatch(before) is not None


class NamedSessions:
    """Finds rows whose column such as ``session_id`` names another session than their time.

    Such a column may count in its own way. It is judged at the end, and names sessions where all of
    its values are numbers of sessions of the files, unless it counts those of each person.

    Args:
        sessions: participants of all sessions by number, in the order of time.
    """

    def __init__(self, sessions: Mapping[int, str] | None = None) -> None:
        counts: Counter[str] = Counter()
        self._counted: dict[int, int] = {}
        for number, code in (sessions or {}).items():
            counts[code] += 1
            self._counted[number] = counts[code]
        self._columns: dict[str, tuple[str, ...]] = {}
        self._values: dict[tuple[str, str], set[str]] = {}
        self._others: dict[tuple[str, str], list[tuple[object, str]]] = {}
        self._are_counts: dict[tuple[str, str], bool] = {}

    def note(self, file: str, row: object, cells: Mapping[str, str], number: int) -> None:
        """Keep what a row says of the session, of this number, in whose time it lies."""
        columns = self._columns.get(file)
        if columns is None:
            names = cells if self._counted else ()
            columns = tuple(name for name in names if _BY_SESSION.fullmatch(name.casefold()))
            self._columns[file] = columns
        for column in columns:
            text, key = cells.get(column, "").strip(), (file, column)
            values = self._values.setdefault(key, set())
            if not text or len(values) > len(self._counted):
                continue
            values.add(text)
            others = self._others.setdefault(key, [])
            if text != str(number) and len(others) < _SHOWN:
                others.append((row, text))
            is_count = text == str(self._counted[number])
            self._are_counts[key] = self._are_counts.get(key, True) and is_count

    def rest(self) -> Iterator[tuple[object, str, str]]:
        """Yield the first rows that name another session, with column and value."""
        numbers = {*map(str, self._counted)}
        for (file, column), others in self._others.items():
            key = (file, column)
            if self._values[key] <= numbers and not self._are_counts.get(key, True):
                yield from ((row, column, text) for row, text in others)
        self._others.clear()


def _columns_of(cells: Mapping[str, str], read: Collection[str]) -> _Columns:
    named = tuple(column for column in cells if column not in read and names_people(column))
    # Where one column says whose a row is, another one may well name a second person.
    others = () if named else tuple(column for column in cells if column not in read)
    return _Columns(named, others)


class RowOfReadings(Protocol):
    """A row of a table with its readings; its cells by column."""

    @property
    def number(self) -> int:
        """Its number in the file."""

    @property
    def cells(self) -> Mapping[str, str]:
        """The texts in it."""

    @property
    def readings(self) -> Iterable[VitalReading]:
        """Readings in the row."""


class Owners:
    """The people of a database, and in whose sessions times lie.

    Args:
        database: its path; none, or one that is not there, has nobody.
        has_ends: whether the moment in which a session ends belongs to it, as of markers.
    """

    def __init__(self, database: Path | None, *, has_ends: bool = False) -> None:
        self._has_ends = has_ends
        self.codes, self._sessions = _people_of(database)
        self._starts = [one.start_ms for one in self._sessions]

    def at(self, at_ms: int) -> list[str]:
        """Return the participants in whose sessions a time lies, two of them where one ends."""
        place = bisect_right(self._starts, at_ms)
        contradiction = []
        for session in self._sessions[max(0, place - 2) : place]:
            end_ms = session.end_ms
            if end_ms is None or at_ms < end_ms or (self._has_ends and at_ms == end_ms):
                contradiction.append(session.participant)
        return contradiction


class NamedFile:
    """Compares the person whom a file names as a whole with those in whose sessions its rows lie.

    Args:
        file: its name.
        codes: of all participants.
        above: number and cells of the rows above the names of its columns, which are asked; left
            out, its name is.
    """

    def __init__(
        self, file: str, codes: Collection[str], above: Iterable[RowAbove] | None = None
    ) -> None:
        self._file = file
        self._what = _OF_FILE if above is None else _ABOVE
        self.code = code_in_name(file, codes) if above is None else code_above(above, codes)
        people = NamedPeople(codes, is_own=False, may_have_prefix=True)
        self._is_other = partial(people.is_other, "", self.code) if self.code else None
        self._found = ""

    def add(self, owners: Iterable[str]) -> None:
        """Add the participants to one of whom a row belongs by its time."""
        if self._is_other is not None and not self._found:
            others = [*owners]
            if others and all(map(self._is_other, others)):
                self._found = others[0]

    def finish(self) -> None:
        """Refuse the file if rows lie in another person's session.

        Raises:
            DataFileError: one does.
        """
        if self._found:
            about = {"file": self._file, "value": self.code, "code": self._found}
            raise DataFileError(self._what, **about)


def refuse_other_stream(file: str, stream: str, code: str) -> None:
    """Refuse a file with a stream whose name says another person than the one whose it would be.

    Raises:
        DataFileError: it does.
    """
    other = other_person_in(stream, code)
    if other:
        about = {"file": file, "stream": stream, "value": other, "code": code}
        raise DataFileError(_OF_STREAM, **about)


def refuse_other_name(file: str, people: Owners, times: Iterable[int]) -> None:
    """Refuse a file whose name says another person than those in whose sessions times of it lie.

    Args:
        file: its name.
        people: the people here.
        times: of its rows, UTC milliseconds.

    Raises:
        DataFileError: it does.
    """
    named = NamedFile(file, people.codes)
    if named.code:
        for at_ms in times:
            named.add(people.at(at_ms))
        named.finish()


class RowsOfPeople:
    """Compares the rows of a table with those in whose sessions they lie.

    Args:
        file: name of the table.
        header: the names of its columns.
        read: those that are read.
        codes: of all participants.
        owners: returns the participants to whom a row of a time (UTC milliseconds) may belong.
        ours: the columns that a table of ours has.
        above: number and cells of the rows above the names of the columns.
        folder: name of the one in which it lies; empty: it is not known.
    """

    def __init__(
        self,
        file: str,
        header: Iterable[str],
        read: Collection[str],
        codes: Iterable[str],
        owners: Callable[[int], Sequence[str]],
        ours: Collection[str] = OF_READINGS,
        above: Iterable[RowAbove] = (),
        folder: str = "",
    ) -> None:
        self._file = file
        self._is_own = {name.casefold() for name in header} >= {*ours}
        # Other rows outside of all sessions are refused, or counted, by who takes them.
        self._is_of_readings = ours is OF_READINGS
        self._read = {*read, *(name for name in header if name.casefold() in _SAID_BY_TIME)}
        codes = [*codes]
        self._people = NamedPeople(codes, is_own=self._is_own, may_have_prefix=True)
        names = [file, f"{folder}/{file}"] if folder else [file]
        by_name = [NamedFile(name, codes) for name in names]
        self._as_whole = [*by_name, NamedFile(file, codes, above)]
        self._owners = owners
        self._first: tuple[int, Contradiction] | None = None
        self._count = 0
        self._outside: dict[str, str] = {}
        self._column = OWN
        self._whose: dict[str, str] = {}

    def look(self, row: RowOfReadings) -> None:
        """Look at a row of the file, and the times of its readings."""
        self.add(row.number, row.cells, {one.at.wall_ms for one in row.readings})

    def add(self, number: int, cells: Mapping[str, str], times: Iterable[int]) -> None:
        """Look at a row of the file, and at its times (UTC milliseconds)."""
        for at_ms in times:
            contradiction: Contradiction | None = None
            owners = self._owners(at_ms)
            for whole in self._as_whole:
                whole.add(owners)
            for code in owners:
                contradiction = self._people.find(self._file, cells, self._read, code)
                contradiction = contradiction or self._other_session(cells, code)
                if contradiction is None:
                    self._people.note(self._file, number, cells, code)
                    break
            if contradiction is not None:
                self._first = self._first or (number, contradiction)
                self._count += 1
                return
            if not owners:
                self._note_outside(cells)

    def _note_outside(self, cells: Mapping[str, str]) -> None:
        """Keep whom a row names that lies in no session: nothing says that it is theirs."""
        column = next((name for name in cells if names_people(name) and name not in self._read), "")
        text = cells[column].strip() if column else ""
        if text:
            self._column = column
            self._outside.setdefault(text.casefold(), text)

    def _other_session(self, cells: Mapping[str, str], code: str) -> Contradiction | None:
        """Return that rows of one session lie in those of two people.

        Its number may be that of another database, and tells no more than that.
        """
        text = "" if not self._is_own or _cell_of(cells, OWN) else _cell_of(cells, _SESSION)
        if not text or self._whose.setdefault(text, code) == code:
            return None
        return Contradiction(_SESSION, text, code)

    def finish(self) -> None:
        """Refuse the file if it names others than those in whose sessions its readings lie.

        Raises:
            DataFileError: it does; or readings in no session name several people.
        """
        for whole in self._as_whole:
            whole.finish()
        rest = [
            (row, contradiction)
            for row, contradiction in self._people.rest()
            if isinstance(row, int)
        ]
        first = self._first or next(iter(rest), None)
        if first is not None:
            row, contradiction = first
            about: dict[str, Any] = {"file": self._file, "row": row, "code": contradiction.code}
            about["n"] = max(self._count, len(rest))
            if contradiction.column == _SESSION:
                raise DataFileError(_OF_TWO, session=contradiction.value, **about)
            shown = shown_value(contradiction.value)
            raise DataFileError(_ANOTHER, column=contradiction.column, value=shown, **about)
        names = list(self._outside.values()) if self._is_of_readings else []
        if len(names) > 1:
            shown = ", ".join(names[:5])
            about = {"file": self._file, "column": self._column, "names": shown}
            raise DataFileError(_SEVERAL, n=len(names), **about)


def _cell_of(cells: Mapping[str, str], column: str) -> str:
    return next((text.strip() for name, text in cells.items() if name.casefold() == column), "")


def _people_of(database: Path | None) -> tuple[list[str], list[Session]]:
    """Return the codes of all participants, and all sessions in the order of time."""
    if database is None or not database.exists():
        return [], []
    with read_transaction(database) as connection:
        codes = [row[0] for row in connection.execute("SELECT code FROM participant")]
        sessions = sorted(select_sessions(connection), key=lambda one: one.start_ms)
    return codes, sessions
