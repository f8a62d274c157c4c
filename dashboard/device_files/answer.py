"""Messages between the dashboard and the process that reads the files of devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from edge_agent.timeline.write.reading_imports import ReadingTable
from edge_agent.vitals.passed_over import ColumnNotTaken

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class FileReadings:
    """The readings of a file, and what of it gives none.

    Attributes:
        table: the readings, those of a source together and in order of time.
        repeated: how many more stand in the file twice.
        differing: how many have the time of another and a different value; each is kept, a
            millisecond later.
        left_out: number of rows that give no reading.
        reasons: the first of these, with the reason.
        columns: the columns that are not taken, with the reason.
        remarks: sentences about the file.
        former: source → the names that earlier releases gave it.
        certain: sources that are one device by its serial number.
    """

    table: ReadingTable
    repeated: int = 0
    differing: int = 0
    left_out: int = 0
    reasons: list[str] = field(default_factory=list)
    columns: list[ColumnNotTaken] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    former: dict[str, list[str]] = field(default_factory=dict)
    certain: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FileRefusal:
    """Why a file is not read.

    Attributes:
        problem: the sentence in English.
        parts: its template and values as JSON, for other languages.
        is_too_large: whether only the page cannot take it; the command can.
    """

    problem: str
    parts: str | None = None
    is_too_large: bool = False


@cache
def answer_type() -> TypeAdapter[FileReadings | FileRefusal]:
    """Return what checks an answer, and writes it as JSON."""
    from pydantic import TypeAdapter

    return TypeAdapter(FileReadings | FileRefusal)
