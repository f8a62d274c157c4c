"""Tables in text files that people bring: one reader of rows and cells for all of them.

It decides once what a table is made of, so that every file has the same rules and the same words:

- text is UTF-8 or UTF-16, which begins with a mark or has every second byte 0. A code page is
  refused with the row and the way, for no byte tells which one it is;
- cells are separated by comma, semicolon or tab: by that of a line ``sep=;``, else by the most
  frequent one in the row with the names;
- names may stand below other rows (``above``), blank rows are passed over, and cells lose the
  blanks around them;
- a row that has not as many cells as there are names has a ``fault``; empty cells behind the last
  name do not count. Of readings such a row is left out and reported, for a reading less is a gap; a
  study is refused for it, for a session less is another study;
- below a blank row another table may begin, which is not read and is reported (``further``);
- a date alone in a row may be the day of the rows below it (``TableForm.has_days``).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from edge_agent.core.bounds import (
    COLUMNS_MOST,
    LINE_MOST,
    add_work_of_cells,
    bounded_lines,
    check_header,
    within,
)
from edge_agent.core.brought_files import HEAD_BYTES, refuse_other_kind
from edge_agent.core.errors import DataFileError
from edge_agent.core.files import why_unreadable
from edge_agent.core.texts import N_, Message

SEPARATORS = ",;\t"
MOST_BLANK = 1_048_576
"""Blank rows below the names: a spreadsheet saves all that it has, if one of them was touched."""
MOST_ABOVE = 50
"""So many rows may stand above the names of the columns."""
KEPT_ABOVE_CHARACTERS = 10_000
SHOWN = 10
"""Rows that a message names, and different messages that are shown; others are counted."""
FAULT = (
    "has {cells} values, but there are {columns} columns. Put values with the separator in quotes, "
    "or complete the row."
)
_SEP_LINE = re.compile(r'"?sep=([,;\t])"?\s*')
_NUMBER = re.compile(r"\s*[-+<>~]?\d")
_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+")
_DATE_PART = r"(?:\d{1,4}|W\d\d|[^\W\d_]{3,})"
DAY_ALONE = re.compile(rf"(?:[^\W\d_]+, +)?{_DATE_PART}[-./, ]+{_DATE_PART}[-./, ]+{_DATE_PART}\.?")
_ABOVE = N_("{file}: rows above the names of the columns, which are not read: {n}.")
_FURTHER = N_("{file}: with row {row} another table begins, which is not read.")

Opens = Callable[[], BinaryIO]
Names = Callable[[Sequence[str]], bool]
"""Tells whether a row's cells are the names of the columns."""


class Row(NamedTuple):
    """A row below the names of the columns.

    Attributes:
        number: as in a spreadsheet, whose first row is 1.
        cells: without the blanks around them.
        fault: why they do not fit the columns, as the rest of a sentence; empty: they do.
        day: the day that stands above it, as it is written; empty: none does.
    """

    number: int
    cells: list[str]
    fault: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class TableForm:
    """Place of a table in its file, as far as its reader knows.

    Attributes:
        is_names: recognises the row of names; ``None``: it is the first one.
        above: how many rows stand above the names; ``None``: it is found out.
        separator: empty: it is found out.
        names: of the columns of a file that has no row of names; it begins below ``above``.
        may_lack_names: whether the first row that is no remark counts where none is recognised.
        has_days: whether a date alone is the day of the rows below it.
    """

    is_names: Names | None = None
    above: int | None = None
    separator: str = ""
    names: tuple[str, ...] = ()
    may_lack_names: bool = True
    has_days: bool = False


class BroughtTable:
    """A table in a text file, which is opened anew for each pass over its rows.

    Args:
        name: of the file, for messages.
        opens: opens it; the reader closes it.
        form: what is known of the table.

    Attributes:
        header: names of the columns, unchanged but for blanks around them.
        above: number of rows above the names.
        separator: between its cells.
        rows_above: their numbers and cells, the first of them.
        further: number of the row with which another table begins; ``None``: none was met yet.

    Raises:
        DataFileError: it cannot be read, is empty, of another kind, or has too many columns.
    """

    def __init__(self, name: str, opens: Opens, form: TableForm | None = None) -> None:
        # The name comes from an upload; a control character would break messages and logs.
        self.name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
        self._opens = opens
        self._form = form or TableForm()
        self.further: int | None = None
        self.rows_above: list[tuple[int, list[str]]] = []
        with _Translated(self.name), opens() as file:
            head = file.read(HEAD_BYTES)
        refuse_other_kind(self.name, head)
        self._encoding = encoding_of(head)
        first = head.decode(self._encoding, errors="replace").split("\n", 1)[0]
        # Excel reads this line, and shows none.
        self._sep = _SEP_LINE.fullmatch(first)
        self.above, self.separator = self._place_of_names()
        self.header = self._form.names or tuple(next(self._csv_rows(), (0, []))[1])
        check_header(self.name, self.header)

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the names that are not blank.

        Raises:
            DataFileError: a row is no CSV, or no text; or too many are blank.
        """
        width, last, day, blank = len(self.header), self.above + 1, "", 0
        for number, whole in self._csv_rows():
            is_header = number == self.above + 1 and not self._form.names
            if is_header:
                continue
            if not any(whole):
                blank += 1
                if blank > MOST_BLANK:
                    raise DataFileError(
                        N_("{file}: has more than {most} blank rows. Delete them."),
                        file=self.name,
                        most=f"{MOST_BLANK:,}",
                    )
                continue
            if self._form.has_days and _is_day(whole):
                last, day = number, next(filter(None, whole))
                continue
            cells = within(whole, width)
            fits = len(cells) == width
            if not fits and number > last + 1 and not any(map(_NUMBER.match, cells)):
                self.further = number
                return
            fault = "" if fits else FAULT.format(cells=len(cells), columns=width)
            yield Row(number, cells, fault, day)
            last = number

    def only_rows(self) -> Iterator[Row]:
        """Yield the rows of a table that must be the only one of its file, as those of a study.

        Raises:
            DataFileError: another table begins below it, or as ``rows``.
        """
        yield from self.rows()
        if self.further is not None:
            raise DataFileError(
                f"{self.name}: with row {self.further} another table begins. Remove it, or the "
                "blank row above it. Nothing was imported."
            )

    def cells(self, column: str, rows: int | None = None) -> Iterator[str]:
        """Yield the cells of a column that are not empty, of the first rows."""
        place = self.header.index(column)
        for row in islice(self.rows(), rows):
            if place < len(row.cells) and row.cells[place]:
                yield row.cells[place]

    @property
    def remarks(self) -> list[Message]:
        """Sentences about the rows that are not read, as far as they were met."""
        remarks = []
        if self.above and not self._form.names:
            remarks.append(Message(_ABOVE, file=self.name, n=self.above))
        if self.further is not None:
            remarks.append(Message(_FURTHER, file=self.name, row=self.further))
        return remarks

    def _place_of_names(self) -> tuple[int, str]:
        """Return how many rows stand above the names, and what separates the cells.

        Raises:
            DataFileError: the file is empty, or has no row of names and needs one.
        """
        form = self._form
        told = form.separator or (self._sep[1] if self._sep else "")
        places: list[tuple[int, str, str]] = []
        kept = 0
        for above, line in enumerate(self._lines()):
            separator = told or separator_of(line)
            cells = cells_of(line, separator)
            if form.above is not None:
                is_found = above == form.above
            else:
                # Whether there are too many is checked where they are found.
                named = cells[: COLUMNS_MOST + 1]
                is_found = form.is_names is None or form.is_names(named)
            is_found = is_found and (form.above is not None or any(cells))
            if is_found:
                return above, separator
            if form.above is None and (above >= MOST_ABOVE or kept > LINE_MOST):
                break
            places.append((above, line, separator))
            kept += len(line)
            if kept <= KEPT_ABOVE_CHARACTERS:
                self.rows_above.append((above + 1, cells))
        if form.may_lack_names and form.above is None:
            for above, line, separator in places:
                is_remark = line.startswith("#") and not any(map(line.count, SEPARATORS))
                if line.strip() and not is_remark:
                    self.rows_above = self.rows_above[:above]
                    return above, separator
        raise DataFileError(self.without_names())

    def why_unknown(self, known: Collection[str]) -> str:
        """Return why a table has none of the columns that it needs, as a sentence behind another.

        Empty: it is not known.

        Args:
            known: the names of such columns, in small letters.
        """
        below = islice(self._csv_rows(), 1, MOST_ABOVE)
        for number, cells in below:
            if len({cell.strip().lower() for cell in cells} & set(known)) > 1:
                return f" Row {number} names the columns: remove the rows above it."
        if len(self.header) == 1:
            return (
                " It has one column: cells have to be separated by a comma, a semicolon or a tab."
            )
        return ""

    def without_names(self) -> str:
        """Return why a file without a row of names is refused."""
        return f"{self.name}: is empty, or none of its first rows names the columns."

    def _csv_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows from the names on, or below ``above``, with their numbers."""
        held = 0

        def lines() -> Iterator[str]:
            nonlocal held
            for line in islice(self._lines(), self.above, None):
                # A row whose quotes hold line ends may go on without end.
                held += len(line)
                if held > LINE_MOST:
                    raise csv.Error(f"it has more than {LINE_MOST} characters")
                yield line

        rows = csv.reader(lines(), delimiter=self.separator, strict=True)
        try:
            for number, cells in enumerate(rows, start=self.above + 1):
                held = 0
                add_work_of_cells(len(cells))
                yield number, [cell.strip() for cell in cells]
        except csv.Error as error:
            raise DataFileError(
                f"{self.name}, row {self.above + rows.line_num}: is not CSV ({error}). Check the "
                "quotes of this row."
            ) from error

    def _lines(self) -> Iterator[str]:
        lines = text_lines(self.name, self._opens, self._encoding)
        return islice(lines, 1 if self._sep else 0, None)


def text_lines(name: str, opens: Opens, encoding: str) -> Iterator[str]:
    """Yield the lines of a text file, with their ends.

    Args:
        name: of the file, for messages.
        opens: opens it.
        encoding: of its text.

    Raises:
        DataFileError: it cannot be read, a line is too long, or a byte is none of its encoding.
    """
    count = 0
    try:
        with _Translated(name), opens() as raw:
            # newline="" leaves line ends inside quotes to the csv module.
            text = io.TextIOWrapper(raw, encoding=encoding, newline="")
            for line in bounded_lines(text, name):
                yield line
                count += 1
    except UnicodeDecodeError as error:
        # The library decodes portions: those before this one were yielded line by line.
        row = count + 1 + error.object[: error.start].count(b"\n")
        raise DataFileError(
            f"{name}, row {row}: is not {encoding.removesuffix('-sig').upper()} text (byte "
            f'{error.object[error.start]:#04x}). Save it as "CSV UTF-8".'
        ) from error


class _Translated:
    """Turns errors of the system in its block into ``DataFileError``; a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise DataFileError(why_unreadable(self._name, error)) from error


def opens_path(path: Path) -> Opens:
    """Return what opens a file of the disk."""
    return lambda: cast("BinaryIO", path.open("rb"))


def encoding_of(head: bytes) -> str:
    r"""Return the encoding of a text from its first bytes: UTF-16 by its mark or zeros, else UTF-8.

    Example:
        >>> encoding_of(b"\xff\xfea\x00"), encoding_of(b"a\x00t\x00"), encoding_of(b"at,kind")
        ('utf-16', 'utf-16-le', 'utf-8-sig')
    """
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    zeros = [index % 2 for index, byte in enumerate(head[:64]) if not byte]
    if len(zeros) > len(head[:64]) // 4 and len(set(zeros)) == 1:
        return "utf-16-le" if zeros[0] else "utf-16-be"
    # Excel writes a mark before UTF-8, which would become part of the first column's name.
    return "utf-8-sig"


def separator_of(line: str) -> str:
    """Return the separator that is most frequent in a line."""
    return max(SEPARATORS, key=line.count)


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of a line without blanks around them; none where it is no CSV."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def rows_of_head(head: bytes) -> Iterator[tuple[str, ...]]:
    """Yield the rows that may be the names of the columns, in small letters, from the first bytes
    of a file.
    """
    text = head.decode(encoding_of(head), errors="replace")
    told = ""
    for place, line in enumerate(islice(io.StringIO(text), MOST_ABOVE + 2)):
        sep = _SEP_LINE.fullmatch(line) if place == 0 else None
        if sep is not None:
            told = sep[1]
        else:
            names = cells_of(line.rstrip("\r\n"), told or separator_of(line))
            yield names_of(names[: COLUMNS_MOST + 1])


def names_of(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the names of columns in small letters, without empty ones behind the last."""
    names = [cell.lower() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _is_day(cells: Sequence[str]) -> bool:
    """Return whether the only cell of a row that is not empty is a date."""
    texts = [cell for cell in cells if cell]
    return len(texts) == 1 and DAY_ALONE.fullmatch(texts[0]) is not None


@dataclass(slots=True)
class _Alike:
    """Messages that are alike but for their values.

    Attributes:
        file: in which they are.
        word: what a place is: row, line, message.
        what: the first of them.
        named: the first places.
        places: number of different ones.
        messages: number of messages.
    """

    file: str
    word: str
    what: str
    named: list[str] = field(default_factory=list)
    last: str = ""
    places: int = 0
    messages: int = 0

    def add(self, place: str) -> None:
        """Add a message of a place; several of one place name it once."""
        self.messages += 1
        if self.places and place == self.last:
            return
        self.places += 1
        self.last = place
        if len(self.named) < SHOWN:
            self.named.append(place)

    def line(self, more: str) -> str:
        """Return the messages as one."""
        if not self.word and not self.named[0]:
            return f"{self.file}{self.what}"
        several = f"{self.word[:-1]}ies" if self.word.endswith("y") else f"{self.word}s"
        others = self.places - len(self.named)
        places = ", ".join(self.named) + (f" and {others} {more}" if others else "")
        return f"{self.file}, {self.word if self.places == 1 else several} {places}{self.what}"


class Repeated:
    """Messages about rows: what several have alike but for their values is one line with a number.

    Attributes:
        count: number of messages.

    Example:
        >>> repeated = Repeated()
        >>> for row in (7, 8, 9):
        ...     repeated.add("night.csv", f"row {row}", f", column SpO2: '{row}' is impossible.")
        >>> repeated.lines
        ["night.csv, rows 7, 8, 9, column SpO2: '7' is impossible."]
    """

    def __init__(self) -> None:
        self.count = 0
        self._alike: dict[tuple[str, str, str], _Alike] = {}

    def add(self, file: str, row: str, what: str) -> None:
        """Add a message.

        Args:
            file: in which it is.
            row: which row, entry or message of it, such as ``row 7``; empty: the file as a whole.
            what: the rest of the sentence, with its punctuation.
        """
        self.count += 1
        word, _, place = row.rpartition(" ")
        key = (file, word, _VALUES.sub("", what))
        # Lines of a senseless file, each of another kind, would fill the memory.
        if key in self._alike or len(self._alike) <= SHOWN:
            self._alike.setdefault(key, _Alike(file, word, what)).add(place)

    @property
    def lines(self) -> list[str]:
        """The first different messages, each with its rows."""
        return self.lines_of("more")

    def lines_of(self, more: str) -> list[str]:
        """Return the lines; ``more`` stands behind numbers of others: *more*, or *or more*."""
        shown = list(islice(self._alike.values(), SHOWN))
        rest = self.count - sum(one.messages for one in shown)
        return [one.line(more) for one in shown] + ([f"… and {rest} {more}."] if rest else [])


def refusal_of(problems: Iterable[str]) -> DataFileError:
    """Return the error of a file that is refused for its rows."""
    return DataFileError("\n".join([*problems, "Nothing was imported."]))
