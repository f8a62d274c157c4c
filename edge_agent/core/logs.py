"""The log of a program, on stderr."""

import logging
import os
import sys

PLAIN = "%(levelname)s %(name)s: %(message)s"
"""Without the time, which the journal adds."""


def log_to_stderr(level: int = logging.INFO, form: str | None = None) -> None:
    """Send the log of this program to standard error.

    Args:
        level: the least that is said.
        form: of a line; ``None``: with the time, but under systemd's journal.
    """
    if form is None:
        in_journal = "JOURNAL_STREAM" in os.environ
        form = PLAIN if in_journal else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S", stream=sys.stderr, force=True)
