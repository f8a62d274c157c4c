"""The rows of an export, told apart: its readings, and what gives none, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalReading
from edge_agent.vitals.health.exports import HealthExport
from edge_agent.vitals.health.files import (
    ColumnNotTaken,
    LeftOut,
    NotRead,
    Remark,
    Row,
    RowValidator,
)

REASONS_KEPT = 10


@dataclass(slots=True)
class PassedOver:
    """The parts of one or several files that give no reading.

    Attributes:
        left_out: number of rows without a reading.
        reasons: the first of these, with the reason.
        left_out_by: their number by file and column.
        columns: the ignored columns, with the reason.
        not_read: files that were left out as a whole.
        remarks: sentences about the files.
    """

    left_out: int = 0
    reasons: list[LeftOut] = field(default_factory=list)
    left_out_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    columns: list[ColumnNotTaken] = field(default_factory=list)
    not_read: list[NotRead] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def readings_of(self, export: HealthExport, validator: RowValidator) -> Iterator[VitalReading]:
        """Yield the readings of an export, and keep what its other rows say.

        Raises:
            DataFileError: a file is broken; the readings before it must not be kept.
        """
        return (reading for _, reading in self.numbered_readings_of(export, validator))

    def numbered_readings_of(
        self, export: HealthExport, validator: RowValidator
    ) -> Iterator[tuple[int, VitalReading]]:
        """Yield readings as ``readings_of`` does, each with the number of its file."""
        for number, row in export.numbered_rows(validator):
            yield from ((number, reading) for reading in self.readings_in([row]))
        if validator.zone is not None and validator.zone.twice:
            self.remarks.append(validator.zone.sentence)

    def readings_in(self, rows: Iterable[Row]) -> Iterator[VitalReading]:
        """Yield the readings of rows, and keep what the others say."""
        for row in rows:
            if isinstance(row, LeftOut):
                self._count(row)
            elif isinstance(row, Remark):
                self.remarks.append(row.sentence)
                if isinstance(row, NotRead):
                    self.not_read.append(row)
            elif isinstance(row, ColumnNotTaken):
                self.columns.append(row)
            else:
                yield row

    def no_reading_error(self, name: str) -> DataFileError:
        """Return the error of a file without any reading, with the reasons that are known."""
        reasons = [*self.remarks, *(row.sentence for row in self.reasons)]
        return DataFileError("\n".join([f"{name}: no row contains a reading.", *reasons]))

    def _count(self, row: LeftOut) -> None:
        self.left_out += 1
        column, colon, _ = row.why.partition(": ")
        self.left_out_by[row.where.rpartition(", ")[0], column if colon else ""] += 1
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append(row)
