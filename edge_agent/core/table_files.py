"""Limits of tables in text files, so that no file can fill the memory, a page or a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from edge_agent.core.errors import DataFileError

COLUMNS_MOST = 1000
NAMES_MOST = 20_000
"""Characters of all names of columns: pages and messages repeat them."""
LINE_MOST = 1024 * 1024
"""Characters: each empty cell of a line takes eight times its length in memory."""


def bounded_lines(file: TextIO, name: str) -> Iterator[str]:
    """Yield the lines of a text file.

    Args:
        file: opened.
        name: of it, for the message.

    Raises:
        DataFileError: a line has more than ``LINE_MOST`` characters.
    """
    number = 0
    # Not `for line in file`: that reads a line of gigabytes before its length can be checked.
    while line := file.readline(LINE_MOST + 1):
        number += 1
        if len(line) > LINE_MOST:
            raise DataFileError(
                f"{name}, line {number}: is longer than {LINE_MOST} characters. Is it a table, "
                "one row a line?"
            )
        yield line


def check_header(name: str, header: Sequence[str]) -> None:
    """Refuse a table of too many columns, or of too long names.

    Raises:
        DataFileError: there are more than ``COLUMNS_MOST``, or ``NAMES_MOST`` characters.
    """
    letters = sum(map(len, header))
    if len(header) > COLUMNS_MOST or letters > NAMES_MOST:
        raise DataFileError(
            f"{name}: its first row names {len(header)} columns in {letters} characters; at most "
            f"{COLUMNS_MOST} columns and {NAMES_MOST} characters are read. Keep only the columns "
            "that are needed."
        )
