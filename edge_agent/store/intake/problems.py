"""What is wrong with the files of a study, by file, line, column and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.core.errors import AffectEdgeError, shown_value

SHOWN = 20
"""How many problems are named; the others are counted."""


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
class Problem:
    """Why a study is refused.

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
        line = "" if self.line is None else f", line {self.line}"
        column = f", column {self.column}: {shown_value(self.value)}" if self.column else ":"
        return f"{self.file}{line}{column} {self.cure}"


@dataclass(slots=True)
class Problems:
    """Collects problems: names the first ones, and counts all."""

    named: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: Problem) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.named) < SHOWN:
            self.named.append(problem)

    def add_cell(self, row: SourceRow, error: CellError) -> None:
        """Add what is wrong with a cell of a row."""
        self.add(Problem(row.file, row.line, error.column, error.value, error.cure))

    def add_about(self, file: str, cure: str, line: int | None = None) -> None:
        """Add what is wrong with a file, or with a line of it."""
        self.add(Problem(file, line, "", "", cure))
