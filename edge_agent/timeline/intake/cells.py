"""Parsing the cells of a study's rows, and the result types of an import.

An invalid cell raises ``CellError``, which becomes a ``StudyProblem`` with file, line, column and
value.
"""

from __future__ import annotations

import lzma
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from edge_agent.core.clock import Instant
from edge_agent.core.errors import (
    AffectEdgeError,
    DataFileError,
    ReadingError,
    StudyError,
    shown_value,
)
from edge_agent.core.files import RESERVED_BYTES
from edge_agent.core.readings import time_ms
from edge_agent.core.study import LABEL_LENGTH, AttributeUse, Purpose, SessionSetting
from edge_agent.core.texts import N_, pack_text, unpack_text
from edge_agent.timeline.study.rows import checked_label

SHOWN = 20
"""Most problems that are named; the others are counted."""
E = TypeVar("E", bound=StrEnum)
_WHOLE = 1000
_ROUNDED = 40
"""So far the sum of eight probabilities may lie from the whole: what rounding each to percent
makes at the worst.
"""
_PER_MILLE = "Probabilities are whole numbers in per mille: 0.86 is 860."
# ``int`` alone would take ``1_000`` and digits of other scripts.
_INTEGER = re.compile(r"-?[0-9]{1,15}", re.ASCII)
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,  # a place before the file's begin
    NotImplementedError,  # a method of packing that is not known
    RuntimeError,  # encrypted
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""Caught where nothing is done but opening and reading a member."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a file.

    Attributes:
        file: its name, within the folder or archive.
        line: in the file, the line of heads being 1; ``None``: it is no line of one.
        cells: column → text; only columns that the file has.
        counted_as: under which name it is counted, where a table has many files; empty: the file's.
    """

    file: str
    line: int | None
    cells: Mapping[str, str]
    counted_as: str = ""


class CellError(AffectEdgeError):
    """A cell cannot be understood, or breaks a rule.

    Attributes:
        column: its column.
        value: what stands there.
        cure: what is wrong with it and what to do.
    """

    def __init__(self, column: str, value: object, cure: str) -> None:
        super().__init__(f"column {column}: {shown_value(value)} {cure}")
        self.column = column
        self.value = str(value)
        self.cure = cure


@dataclass(frozen=True, slots=True)
class StudyProblem:
    """One reason for which a study is refused.

    Attributes:
        file: in which file.
        line: in which line; ``None``: it is not about one.
        column: in which column; empty: it is not about one.
        value: what stands there.
        cure: what is wrong and what to do.
    """

    file: str
    line: int | None
    column: str
    value: str
    cure: str

    @property
    def sentence(self) -> str:
        """The problem for people."""
        return self._sentence()

    def _sentence(self, alike: int = 0) -> str:
        """Return the problem for people, with the number of later rows that have it, too."""
        line = "" if self.line is None else f", line {self.line}"
        if alike:
            line += f" and {alike} more like it"
        column = f", column {self.column}: {shown_value(self.value)}" if self.column else ":"
        return f"{self.file}{line}{column} {self.cure}"


def no_room_error(name: str) -> DataFileError:
    """Return why a study was not kept: the space that is reserved would not stay free."""
    return DataFileError(
        N_("{name}: was not kept, for less than {most} MB would stay free on the disk. Free some."),
        name=name,
        most=RESERVED_BYTES // 1_000_000,
    )


def sentences(problems: Iterable[StudyProblem]) -> list[str]:
    """Return problems for people; those that differ in row and value alone are one sentence."""
    alike: dict[tuple[str, str, str], list[StudyProblem]] = {}
    for one in problems:
        alike.setdefault((one.file, one.column, one.cure), []).append(one)
    return [same[0]._sentence(len(same) - 1) for same in alike.values()]


Cells = Mapping[str, str]


def text_of(cells: Cells, column: str, default: str = "") -> str:
    """Return a cell stripped of blanks, or the default if it is empty or missing."""
    return cells.get(column, "").strip() or default


def needed(cells: Cells, column: str) -> str:
    """Return a cell that must not be empty."""
    text = text_of(cells, column)
    if not text:
        raise CellError(column, text, "is missing. Fill it in.")
    return text


def integer(cells: Cells, column: str, default: int | None = None) -> int:
    """Return a whole number; an empty cell is the default, where there is one."""
    text = text_of(cells, column)
    if not text and default is not None:
        return default
    if not _INTEGER.fullmatch(text):
        raise CellError(column, text, "is no whole number.")
    return int(text)


def bounded(cells: Cells, column: str, low: int, high: int, default: int | None = None) -> int:
    """Return a whole number within bounds."""
    number = integer(cells, column, default)
    if not low <= number <= high:
        raise CellError(column, number, f"is not between {low} and {high}.")
    return number


def probabilities(
    cells: Cells, columns: Sequence[str], defaults: Sequence[int | None] | None = None
) -> list[int]:
    """Return the probabilities of one row in per mille; together they are 1000, rounding aside.

    A cell that is empty is its default, where there is one.
    """
    values = []
    for column, default in zip(columns, defaults or [None] * len(columns), strict=True):
        try:
            values.append(bounded(cells, column, 0, _WHOLE, default))
        except CellError as error:
            raise CellError(column, error.value, f"{error.cure} {_PER_MILLE}") from error
    if abs(sum(values) - _WHOLE) > _ROUNDED:
        last = f"in {columns[0]} to {columns[-1]}, {sum(values)} together, are not {_WHOLE}."
        raise CellError(columns[0], values[0], f"and what stands {last} {_PER_MILLE}")
    return values


def number(cells: Cells, column: str, default: float) -> float:
    """Return a finite number that is not negative."""
    text = text_of(cells, column)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        # ``nan`` is read by ``float`` and refused below.
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise CellError(column, text, "is no number from 0 on.")
    return value


def signed(cells: Cells, column: str) -> float | None:
    """Return a finite number of any sign; ``None`` where the cell is empty."""
    text = text_of(cells, column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CellError(column, text, "is no number.")
    return value


def boolean(cells: Cells, column: str, default: bool = False) -> bool:
    """Return 0 or 1 as a truth value."""
    text = text_of(cells, column, "1" if default else "0")
    if text not in {"0", "1"}:
        raise CellError(column, text, "is neither 0 nor 1.")
    return text == "1"


def member(kind: type[E], cells: Cells, column: str, default: str = "") -> E:
    """Return the member of an enumeration that a cell names."""
    text = text_of(cells, column, default)
    try:
        return kind(text)
    except ValueError as error:
        raise CellError(column, text, f"is not one of {', '.join(kind)}.") from error


def moment(cells: Cells, prefix: str = "") -> int:
    """Return a time in UTC milliseconds, from ``…at`` or, where that is empty, ``…ms``.

    The text of an export has milliseconds, too.
    """
    at_ms = optional_moment(cells, f"{prefix}at")
    if at_ms is None:
        # Exports name these columns ``start_ms``, ``end_ms`` and, without a prefix, ``at_ms``.
        at_ms = optional_moment(cells, f"{prefix}ms" if prefix else "at_ms")
    if at_ms is None:
        raise CellError(f"{prefix}at", "", "is missing. Fill it in.")
    return at_ms


def optional_moment(cells: Cells, column: str) -> int | None:
    """Return a time in UTC milliseconds; ``None`` where the cell is empty."""
    text = text_of(cells, column)
    if not text:
        return None
    try:
        return time_ms(text, None)
    except ReadingError as error:
        raise CellError(column, text, error.reason) from error


def label(
    cells: Cells, column: str, what: str, *, empty_allowed: bool, most: int = LABEL_LENGTH
) -> str:
    """Return a label of a session or marker, or a text of a session of ``most`` characters."""
    try:
        return checked_label(
            text_of(cells, column), what, field=column, empty_allowed=empty_allowed, most=most
        )
    except StudyError as error:
        raise CellError(column, text_of(cells, column), f"cannot be taken: {error}") from error


@dataclass(frozen=True, slots=True)
class StatedConsent:
    """A consent that the importing person states for participants whose files hold none.

    Attributes:
        text_version: which text they agreed to.
        given_ms: when, UTC milliseconds.
        attributes: what they agreed to about their attributes.
    """

    text_version: str
    given_ms: int
    attributes: AttributeUse = AttributeUse.NONE


ReadFace = Callable[[int, Instant, tuple[float, ...]], tuple[tuple[float, ...], str | None]]
"""Track, time and the eight probabilities of a row → the smoothed ones and the label."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """The way in which rows of expressions without a label get one, in the order of their times.

    Attributes:
        read: returns the label of unsmoothed probabilities; none means uncertain.
        choose: returns the label of smoothed probabilities.
        sentence: says how labels are computed; it follows the number of rows.
    """

    read: ReadFace
    choose: ReadFace
    sentence: str


@dataclass(frozen=True, slots=True)
class StudyImportOptions:
    """The options of an import of a study.

    Attributes:
        purposes: which purposes a session may have here.
        prefix: goes before every code, so that none meets one that is there.
        leave_out: codes, as the files have them, of whom nothing is taken.
        consent: stated for those of whom the files have none.
        purpose: of sessions whose purpose the files do not say.
        setting: of sessions whose setting the files do not say.
        join_recorded: whether what was recorded here in the time of an imported session may belong
            to it.
        keep_days: for how many days expressions are kept here; ``None``: nobody knows.
        flag_artefacts: whether heart rates are judged by their neighbours. A bundle that is only
            computed again keeps its flags: a part of a study lacks some of the neighbours.
        labels: gives labels to faces without one; ``None``: such faces are refused.
    """

    purposes: tuple[Purpose, ...] = tuple(Purpose)
    prefix: str = ""
    leave_out: frozenset[str] = frozenset()
    consent: StatedConsent | None = None
    purpose: Purpose | None = None
    setting: SessionSetting = SessionSetting.OTHER
    join_recorded: bool = False
    keep_days: int | None = None
    flag_artefacts: bool = True
    labels: Callable[[], Labelling] | None = None


@dataclass(slots=True)
class FileCount:
    """The number of rows in one table of a study, and how many of them are imported.

    Attributes:
        file: its file.
        rows: how many rows there are.
        taken: how many belong to the study, and are imported.
        outside_sessions: how many lie in no session, and are not.
        left_out: how many belong to somebody who is left out.
    """

    file: str
    rows: int = 0
    taken: int = 0
    outside_sessions: int = 0
    left_out: int = 0


@dataclass(slots=True)
class StudyImport:
    """The result of an import of a study.

    Attributes:
        source: name of the file or folder.
        imported: whether it is in the database now.
        counts: by table.
        sessions: number of a session in the files → its number here.
        notes: what is worth knowing, in sentences.
        problems: why nothing was imported: the first ones.
        problem_count: how many there are.
        on_row: called for each row that is read.
        parts: of notes that can be translated, what they are made of; only on the way from the
            gate.
    """

    source: str
    imported: bool = False
    counts: dict[str, FileCount] = field(default_factory=dict)
    sessions: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[StudyProblem] = field(default_factory=list)
    problem_count: int = 0
    on_row: Callable[[], None] | None = None
    parts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make notes that came from the gate translatable again."""
        self.notes = [unpack_text(note, self.parts.get(note)) for note in self.notes]

    def answer(self) -> StudyImport:
        """Return it as an answer of the gate, which has no functions, and texts as they are."""
        parts = {str(note): parts for note in self.notes if (parts := pack_text(note)) is not None}
        return replace(self, on_row=None, parts=parts)

    def refuse(self, problem: StudyProblem) -> None:
        """Count a problem; the first ones are named."""
        self.problem_count += 1
        # All are counted, few named: a wrong column would fill the page with every line.
        if len(self.problems) < SHOWN:
            self.problems.append(problem)

    def refuse_cell(self, row: SourceRow, error: CellError) -> None:
        """Record an error in a cell of a row."""
        self.refuse(StudyProblem(row.file, row.line, error.column, error.value, error.cure))

    def refuse_file(self, file: str, cure: str) -> None:
        """Record an error of a file."""
        self.refuse(StudyProblem(file, None, "", "", cure))

    def count(self, table: str, row: SourceRow) -> FileCount:
        """Return the count for the table of a row, once for each; create it if there is none."""
        if self.on_row is not None:
            self.on_row()
        return self.counts.setdefault(table, FileCount(row.counted_as or row.file))

    @property
    def as_json(self) -> Mapping[str, Any]:
        """The result as a JSON object, for programs."""
        return {
            "source": self.source,
            "imported": self.imported,
            "files": {table: asdict(count) for table, count in self.counts.items()},
            "sessions": {str(there): here for there, here in self.sessions.items()},
            "notes": self.notes,
            "problems": [
                {
                    "file": one.file,
                    "line": one.line,
                    "column": one.column,
                    "value": one.value,
                    "message": one.sentence,
                }
                for one in self.problems
            ],
            "problem_count": self.problem_count,
        }
