"""The rules of the configuration file, read again when somebody changed it."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from edge_agent.config.alerts import RuleSettings
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import ConfigError

log = logging.getLogger(__name__)

_Mark = tuple[int, int, int]


class RuleFile:
    """The rules in force: those of the start, then those of the file after each change.

    A file with an error changes nothing: the rules before it stay in force. For one thread.

    Args:
        rules: those of the start.
        file: the configuration file; ``None``: there is none, so the rules stay.

    Attributes:
        rules: those in force.
        problem: why the file cannot be used as it is; empty: it can.
    """

    def __init__(self, rules: tuple[RuleSettings, ...], file: Path | None) -> None:
        self.rules = rules
        self.problem = ""
        self._file = file
        self._mark = self._read_mark()

    def refresh(self) -> bool:
        """Read the file if it changed since the last call; return whether the rules did."""
        mark = self._read_mark()
        # Without a file for a moment, as while an editor saves it, nothing changes.
        if mark == self._mark or mark is None:
            return False
        self._mark = mark
        try:
            rules = load_settings(self._file).alerts.rule
        except ConfigError as error:
            self.problem = str(error)
            log.warning("the rules of alerts stay as they were: %s", error)
            return False
        self.problem = ""
        has_changed = rules != self.rules
        self.rules = rules
        return has_changed

    def _read_mark(self) -> _Mark | None:
        """Return a value that changes with the file; ``None``: there is none."""
        if self._file is not None:
            with suppress(OSError):
                stat = self._file.stat()
                # Not when it was written, which tools set; rights that change count, too.
                return stat.st_ctime_ns, stat.st_size, stat.st_ino
        return None
