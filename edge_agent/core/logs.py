"""The log of a program, on stderr."""

import logging
import os
import sys

from edge_agent.core.addresses import masked

PLAIN = "%(levelname)s %(name)s: %(message)s"
"""Without the time, which the journal adds."""


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
    handler.setFormatter(_WithoutSecrets(form, datefmt="%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _WithoutSecrets(logging.Formatter):
    """Masks addresses and passwords, for libraries log them, too, and tracebacks repeat them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback if there is one."""
        return masked(super().format(record))
