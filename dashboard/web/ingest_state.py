"""Where readings are handed in: times of arrival, and files that wait for a person to say what
their columns are.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.core.clock import boot_seconds
from edge_agent.core.given_readings import ArrivalTimes
from edge_agent.vitals.csv import CsvFile

FILES_KEPT = 2
KEPT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class _Kept:
    account: int
    file: CsvFile
    since_s: float


class UploadedFiles:
    """Files between upload and import: in memory only, for half an hour, few at a time, each for
    who sent it.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, account: int, file: CsvFile) -> str:
        """Keep a file and return the name under which it is found; the oldest gives way to it."""
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._forget_old()
            while len(self._kept) >= FILES_KEPT:
                self._kept.popitem(last=False)
            self._kept[name] = _Kept(account, file, self._clock())
        return name

    def find(self, account: int, name: str) -> CsvFile | None:
        """Return a file that this account sent, or ``None`` when it is not there any more."""
        with self._lock:
            self._forget_old()
            kept = self._kept.get(name)
            if kept is not None and kept.account == account:
                return kept.file
            return None

    def drop(self, account: int, name: str) -> None:
        """Forget a file of this account."""
        with self._lock:
            if name in self._kept and self._kept[name].account == account:
                del self._kept[name]

    def _forget_old(self) -> None:
        for name, kept in list(self._kept.items()):
            if self._clock() - kept.since_s > KEPT_SECONDS:
                del self._kept[name]


class IngestState:
    """What the routes need that take readings in.

    Args:
        clock: seconds, never going back.

    Attributes:
        arrivals: times of readings that name none.
        files: uploaded files that are not imported yet.
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self.arrivals = ArrivalTimes()
        self.files = UploadedFiles(clock)
