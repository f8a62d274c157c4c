"""Streams that every command prints through: no text of others moves a terminal's cursor.

A code, a file name or the answer of a device may hold control characters, with which whoever chose
it could hide lines or put a command into the terminal.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

# Controls but tabs and ends of lines, line separators, marks that turn the direction of writing.
_CONTROLS = "\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
ANSWER = re.compile(f"[{_CONTROLS}]|\r(?!\n)")
# The bar of a long command goes back to the start of its line, clears it and hides the cursor.
OF_A_BAR = re.compile(rf"(?!\x1b\[(?:K|\?25[hl]))[{_CONTROLS}]")


class PrintableStream(io.TextIOWrapper):
    """A stream that writes control characters as escapes, which JSON can read, too.

    Args:
        stream: the stream in whose place it stands.
        controls: what it escapes.
    """

    def __init__(self, stream: io.TextIOWrapper, controls: re.Pattern[str]) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            # A terminal, or a file, of another encoding.
            errors="backslashreplace" if stream.errors == "strict" else stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._controls = controls
        self.is_exact = False

    def close(self) -> None:
        """Leave the file below open: it is that of the stream in whose place this one stands."""
        self.flush()

    def write(self, text: str) -> int:
        """Write a text; return the number of its characters."""
        escaped = text
        if not self.is_exact:
            escaped = self._controls.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
        super().write(escaped)
        return len(text)


def print_printable() -> None:
    """Let all that this process prints go through such streams."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = PrintableStream(sys.stdout, ANSWER)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = PrintableStream(sys.stderr, OF_A_BAR)


@contextmanager
def exact_output() -> Iterator[TextIO]:
    """Yield standard output for a table that another program reads as it is.

    On a terminal control characters are escapes there, too.
    """
    out = sys.stdout
    if not isinstance(out, PrintableStream) or out.isatty():
        yield out
        return
    out.is_exact = True
    try:
        yield out
    finally:
        out.is_exact = False
