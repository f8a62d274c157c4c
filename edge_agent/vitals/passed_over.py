"""Parts of a file beside its readings: rows, columns and files that are left out, with the
reasons.

Every reader of readings yields these beside ``VitalReading``; ``PassedOver`` collects them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.core.brought_tables import SHOWN, Repeated
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalReading
from edge_agent.core.texts import N_, Message

NO_VALUES = N_("{file}, column {column}: cells with a mark for no value: {n}.")


class _Note(NamedTuple):
    """A note about a place in a file.

    Attributes:
        where: file, and row if there is one.
        why: the fault, with the value.
    """

    where: str
    why: str

    @property
    def sentence(self) -> str:
        """A sentence for people, in the reader's language where the fault can be translated."""
        return Message("{file}: {problem}", file=self.where, problem=self.why)


class LeftOutRow(_Note):
    """A row that gives no reading."""


class Remark(_Note):
    """A remark about a file that was read."""


class NotRead(Remark):
    """The reason why a file of the export was left out as a whole."""


class ColumnNotTaken(NamedTuple):
    """A column of a file that was read, or a type of its records, that is not taken.

    Attributes:
        file: name of the file.
        column: its name, as it is written.
        why: the reason, as the rest of a sentence.
        rows: number of records of a type; ``None``: it is a column.
    """

    file: str
    column: str
    why: str
    rows: int | None = None

    @property
    def sentence(self) -> str:
        """A sentence for people."""
        what = "column" if self.rows is None else f"{self.rows} of type"
        return f"{self.file}, {what} {self.column}: {self.why}."


class NoValue(NamedTuple):
    """A cell with a sensor's mark for *no value*."""

    file: str
    column: str


NotAReading = LeftOutRow | Remark | ColumnNotTaken | NoValue
Row = VitalReading | NotAReading
Rows = Iterator[Row]


@dataclass(slots=True)
class PassedOver:
    """The parts of one or several files that give no reading.

    Attributes:
        messages: why rows give none; alike ones are one line with a number.
        left_out_by: the number of these rows by file and column.
        no_value: number of cells with a mark for *no value*, by file and column.
        columns: the ignored columns, with the reason.
        not_read: files that were left out as a whole.
        remarks: sentences about the files.
    """

    messages: Repeated = field(default_factory=Repeated)
    left_out_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    no_value: Counter[tuple[str, str]] = field(default_factory=Counter)
    columns: list[ColumnNotTaken] = field(default_factory=list)
    not_read: list[NotRead] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """The number of rows without a reading."""
        return self.messages.count

    @property
    def reasons(self) -> list[str]:
        """The first different reasons, each with its rows."""
        return self.messages.lines

    def readings_of(self, rows: Iterable[Row]) -> Iterator[VitalReading]:
        """Yield the readings of a file, and keep what its other rows say.

        Raises:
            DataFileError: a file is broken; the readings before it must not be kept.
        """
        return (reading for _, reading in self.numbered_readings_of((0, row) for row in rows))

    def numbered_readings_of(
        self, rows: Iterable[tuple[int, Row]]
    ) -> Iterator[tuple[int, VitalReading]]:
        """Yield readings as ``readings_of`` does, each with the number of its file."""
        for number, row in rows:
            if isinstance(row, VitalReading):
                yield number, row
            else:
                self._keep(row)

    def no_reading_error(self, name: str) -> DataFileError:
        """Return the error of a file without any reading, with the reasons that are known."""
        marked = [
            Message(NO_VALUES, file=file_name, column=column, n=n)
            for (file_name, column), n in self.no_value.items()
        ]
        columns = [one.sentence for one in self.columns[:SHOWN]]
        reasons = [*self.remarks, *self.reasons, *marked, *columns]
        return DataFileError("\n".join([f"{name}: no row contains a reading.", *reasons]))

    def _keep(self, row: NotAReading) -> None:
        match row:
            case LeftOutRow(where, why):
                file, _, place = where.rpartition(", ")
                column, colon, _ = why.partition(": ")
                self.messages.add(file or where, place if file else "", f": {why}")
                self.left_out_by[file, column if colon else ""] += 1
            case NoValue():
                self.no_value[row] += 1
            case ColumnNotTaken():
                self.columns.append(row)
            case _:
                self.remarks.append(row.sentence)
                if isinstance(row, NotRead):
                    self.not_read.append(row)
