"""The rules of the configuration file, read again when somebody changed it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_agent.config.alerts import RuleSettings
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.errors import ConfigError

log = logging.getLogger(__name__)

SETTLED_S = 0.5
"""Time without a change after which a file counts as written."""
_Mark = tuple[int, int, int]


class RuleFile:
    """The rules in force: those of the start, then those of the file after each change.

    A file with an error changes nothing: the rules before it stay in force. Nor does one that
    somebody is writing, half of which may well be read. For one thread.

    Args:
        rules: those of the start.
        file: the configuration file; ``None``: there is none, so the rules stay.
        seconds: a clock that never jumps.

    Attributes:
        rules: those in force.
        problem: why the file cannot be used as it is; empty: it can.
    """

    def __init__(
        self,
        rules: tuple[RuleSettings, ...],
        file: Path | None,
        seconds: Callable[[], float] = clock.boot_seconds,
    ) -> None:
        self.rules = rules
        self.problem = ""
        self._file = file
        self._seconds = seconds
        self._mark = self._read_mark()
        self._seen = self._mark
        self._seen_s = 0.0

    def refresh(self, *, is_whole: bool = False) -> bool:
        """Read the file if it changed since the last call; return whether the rules did.

        Args:
            is_whole: it was put in its place by this program, so nobody is writing it.
        """
        mark = self._read_mark()
        # Without a file for a moment, as while an editor saves it, nothing changes.
        if mark == self._mark or mark is None or not (is_whole or self._is_written(mark)):
            return False
        try:
            rules = load_settings(self._file).alerts.rule
            problem = ""
        except ConfigError as error:
            rules = self.rules
            problem = str(error)
        if self._read_mark() != mark:  # another file by now
            return False
        self._mark = mark
        self.problem = problem
        if problem:
            log.warning("the rules of alerts stay as they were: %s", problem)
        has_changed = rules != self.rules
        self.rules = rules
        return has_changed

    def _is_written(self, mark: _Mark) -> bool:
        """Tell whether nobody is writing a changed file any more.

        A new file in the place of the old one is no sign of it: some editors take the old one away
        first, and then write.
        """
        if mark != self._seen:
            self._seen, self._seen_s = mark, self._seconds()
        return self._seconds() - self._seen_s >= SETTLED_S

    def _read_mark(self) -> _Mark | None:
        """Return a value that changes with the file; ``None``: there is none."""
        if self._file is not None:
            with suppress(OSError):
                stat = self._file.stat()
                # Not when it was written, which tools set; rights that change count, too.
                return stat.st_ctime_ns, stat.st_size, stat.st_ino
        return None
