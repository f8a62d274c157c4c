"""CSV files of exports, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from edge_agent.core.errors import DataFileError
from edge_agent.core.table_files import bounded_lines, check_header
from edge_agent.vitals.health.members import Member
from edge_agent.vitals.health.rows import LeftOut


def header_of(head: bytes) -> tuple[str, ...]:
    """Return the names of the columns in small letters, from a file's first bytes."""
    line = head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace")
    try:
        return _names(next(csv.reader([line])))
    except (csv.Error, StopIteration):
        return ()


def _names(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip().lower() for cell in cells)


class Table:
    """A CSV file, opened; a context manager.

    Args:
        member: the file.
        lines_above: how many lines stand above the names of the columns.

    Attributes:
        header: names of its columns in small letters.
    """

    def __init__(self, member: Member, lines_above: int = 0) -> None:
        self._name = member.name
        self._lines_above = lines_above
        self._file = io.TextIOWrapper(member.open(), encoding="utf-8-sig", newline="")
        self._reader = csv.reader(bounded_lines(self._file, self._name), strict=True)
        self.header: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        try:
            for _ in range(self._lines_above):
                self._next()
            self.header = _names(self._next() or [])
            check_header(self._name, self.header)
        except DataFileError:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def need(self, known: bool) -> None:
        """Refuse a table whose columns are not known.

        Raises:
            DataFileError: they are not.
        """
        if not known:
            columns = ", ".join(self.header)[:200]
            raise self._error(f"the columns ({columns}) are not those of this export")

    def rows(self) -> Iterator[tuple[str, list[str]] | LeftOut]:
        """Return where each row stands and its cells, or why it is left out.

        Raises:
            DataFileError: it is no CSV, or no UTF-8 text.
        """
        while (cells := self._next()) is not None:
            where = f"{self._name}, row {self._reader.line_num}"
            if len(cells) == len(self.header):
                yield where, [cell.strip() for cell in cells]
            elif any(cells):
                yield LeftOut(
                    where, f"has {len(cells)} values, but there are {len(self.header)} columns."
                )

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise self._error(f"is not CSV ({error})") from error
        except UnicodeDecodeError as error:
            raise self._error(f"is not UTF-8 text ({error.reason})") from error

    def _error(self, problem: str) -> DataFileError:
        return DataFileError(
            f"{self._name}, row {self._reader.line_num + 1}: {problem}. Nothing was imported."
        )
