"""The log of a program, on stderr."""

import logging
import os
import sys

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
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S", stream=sys.stderr, force=True)
