"""The parts of erasures that could not be done yet: stored and told until they are done.

The rows of a participant go in one transaction, which stores at the same time that all the rest is
still to be done: so it is known after a power cut, too. What is stored names steps and files, and
nobody who was erased.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc, now
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.dashboard_file import FILE_NAME, dashboard_file
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.setting import read_setting, write_setting
from edge_agent.timeline.upkeep.copies import read_report

log = logging.getLogger(__name__)

EXPORTS = "exports"
DATABASE = "database"
COPIES = "copies"
ACCOUNTS = "accounts"
PLACES = "places"
"""Steps after the rows. ``COPIES``: nobody knows which ones; else a copy is named by its path.

``ACCOUNTS``: the dashboard's database, which only its user and root open: for anybody else this is
an order, which they carry out.

``PLACES``: copies elsewhere, which the next ones there replace.
"""
STEPS = (EXPORTS, DATABASE, COPIES, ACCOUNTS)
OF_UNDO = (EXPORTS, DATABASE, ACCOUNTS)
"""Those after an undone import that removed people: it is imported anew perhaps, so copies stay."""
_KEY = "erasure_left"
_INTERRUPTED = "{}: an erasure was interrupted before this was done."
_ORDERED = (
    "{}: ordered at {}. A dashboard that runs does it within a minute. To do it now: sudo "
    "affect-edge maintenance"
)
ORDER_TAKES_S = 75.0
"""The dashboard looks each minute, and is done some seconds later."""
_PAUSE_S = 1.0
ORDER_OVERDUE_MS = 5 * 60_000
"""The dashboard looks for orders each minute: one that is older was not carried out."""


@dataclass(frozen=True, slots=True)
class Left:
    """One thing that is still to be done.

    Attributes:
        since_ms: when it was first to be done, UTC.
        why: why it could not be done, with the name of its file; empty: it was interrupted.
    """

    since_ms: int
    why: str = ""


class Failures:
    """Collects what an erasure could not do, so that each step is tried.

    Attributes:
        at_ms: when the attempt began, UTC.
        left: what could not be done, by step or path of a copy.
    """

    def __init__(self, at_ms: int) -> None:
        self.left: dict[str, Left] = {}
        self.at_ms = at_ms

    @property
    def reasons(self) -> list[str]:
        """A sentence on each thing."""
        return [one.why for one in self.left.values()]

    @contextmanager
    def keep_error(self, name: str, file: Path) -> Iterator[None]:
        """Store an error of the block under a name; ``file`` is what it is about."""
        try:
            with translate_errors(file):
                yield
        except StoreError as error:
            log.warning("an erasure could not be finished: %s", error)
            self.left[name] = Left(self.at_ms, str(error))


def read_left(connection: sqlite3.Connection) -> dict[str, Left]:
    """Return what is left of erasures, by step or path of a copy."""
    try:
        stored = json.loads(read_setting(connection, _KEY) or "{}")
        return {str(name): Left(**one) for name, one in stored.items()}
    except (ValueError, TypeError, AttributeError):  # garbled by damage: all of it once more
        return {step: Left(0) for step in STEPS}


def write_left(connection: sqlite3.Connection, left: Mapping[str, Left]) -> None:
    """Store what is left, inside the caller's transaction."""
    if left:
        write_setting(connection, _KEY, json.dumps({name: asdict(left[name]) for name in left}))
    else:
        connection.execute("DELETE FROM setting WHERE key = ?", (_KEY,))


def begin(
    connection: sqlite3.Connection, at_ms: int, steps: Iterable[str] = STEPS
) -> dict[str, Left]:
    """Store that steps are to be done; return what was left before."""
    before = read_left(connection)
    write_left(connection, before | {step: Left(at_ms) for step in steps})
    return before


def store_outcome(
    connection: sqlite3.Connection, done: Iterable[str], failed: Mapping[str, Left], at_ms: int
) -> None:
    """Store what was done and what could not be, inside the caller's transaction.

    Args:
        connection: to the database.
        done: steps and paths that were tried, whether they failed or not.
        failed: those that failed, perhaps named closer.
        at_ms: when the attempt began: what another erasure has stored since then stays.
    """
    left = read_left(connection)
    for name in done:
        if name in left and left[name].since_ms <= at_ms:
            del left[name]
    write_left(connection, {**left, **failed})


def orders_since(path: Path) -> int | None:
    """Return when it was ordered to forget somebody in the dashboard's database; ``None``: never.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        order = read_left(connection).get(ACCOUNTS)
    return None if order is None else order.since_ms


def is_dashboards_turn(path: Path) -> bool:
    """Tell whether a dashboard that runs will carry out all that is left.

    Raises:
        StoreError: the database cannot be read.
    """
    # SQLite keeps the log for as long as the dashboard holds its database open.
    log_file = dashboard_file(path).with_name(f"{FILE_NAME}-wal")
    with read_transaction(path) as connection:
        return read_left(connection).keys() == {ACCOUNTS} and log_file.exists()


def wait_for_dashboard(path: Path, patience_s: float = ORDER_TAKES_S) -> bool:
    """Wait while it is the dashboard's turn; tell whether nothing is left.

    Raises:
        StoreError: the database cannot be read.
    """
    until_s = clock.boot_seconds() + patience_s
    while is_dashboards_turn(path) and clock.boot_seconds() < until_s:
        clock.sleep(_PAUSE_S)
    return not sentences_of_left(path)


def sentences_of_left(path: Path) -> list[str]:
    """Return a sentence on each thing that erasures could not do yet; empty where all is done.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        left = read_left(connection)
    told = [one.why or _sentence_of(path, name, one) for name, one in left.items()]
    return told + [
        f"{folder}: its copies hold somebody who was erased at {iso_utc(since)}. Put the stick or "
        "share back: the next nightly copy there takes their place. If it is gone for good, take "
        f"its line out of {path.name}.copies.json."
        for folder, since in read_report(path).places.items()
        if since is not None
    ]


def _sentence_of(path: Path, name: str, left: Left) -> str:
    """Return a sentence on a step that was not tried yet."""
    about = _describe_step(path, name)
    age_ms = now().wall_ms - left.since_ms
    if name == ACCOUNTS and 0 <= age_ms < ORDER_OVERDUE_MS:
        return _ORDERED.format(about, iso_utc(left.since_ms))
    return _INTERRUPTED.format(about)


def _describe_step(path: Path, name: str) -> str:
    """Return a step as the thing that it is about."""
    about = {
        EXPORTS: f"{path.parent}: the prepared exports",
        DATABASE: f"{path}: its log and free pages",
        COPIES: f"{path}: its copies",
        ACCOUNTS: f"{dashboard_file(path)}: its letters and lists of carers",
        PLACES: f"{path}: its copies in other folders",
    }
    return about.get(name, name)


def alarm_of_left(path: Path) -> str:
    """Return what is left as one text, empty where nothing is or the database cannot be read."""
    try:
        return " ".join(sentences_of_left(path))
    except StoreError:  # other alarms tell of it
        return ""
