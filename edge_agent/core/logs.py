"""The log of a program, on stderr."""

import logging
import os
import sys
from typing import Any

from edge_agent.core.addresses import masked
from edge_agent.core.bounds import printable

PLAIN = "%(levelname)s %(name)s: %(message)s"
"""Without the time, which the journal adds."""


class SafeLines(logging.Formatter):
    """Writes each message on one line, without the control characters of what strangers sent, and
    without passwords.

    A name with an escape sequence could else rewrite the terminal of whoever reads the log, and one
    with a line break could add a line of its own. Libraries log addresses with passwords, too, and
    tracebacks repeat them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback if there is one."""
        return masked(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a name of logging
        """Return the line of a message."""
        return printable(super().formatMessage(record))

    def formatException(self, exc_info: Any) -> str:  # noqa: N802 - a name of logging
        """Return a traceback, each line by itself: the last one holds the error's text."""
        return "\n".join(map(printable, super().formatException(exc_info).split("\n")))


def log_to_stderr(level: int = logging.INFO, form: str | None = None) -> None:
    """Send the log of this program to standard error.

    Args:
        level: the lowest level that is logged.
        form: format of a line; ``None``: with the time, except in systemd's journal.
    """
    if form is None:
        # systemd sets it when stderr is connected to the journal (systemd.exec(5)).
        in_journal = "JOURNAL_STREAM" in os.environ
        form = PLAIN if in_journal else "%(asctime)s %(levelname)s %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeLines(form, "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
