"""How the daily copies stand: for alarms, health report and doctor.

What the last attempts came to lies beside the database in ``<name>.copies.json``, not in it: a
damaged database could not tell.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.copies import daily_copies, verified
from edge_agent.store.upkeep.counted_time import DAY_MS

OVERDUE_MS = 2 * DAY_MS
"""Age of the last good copy from which on it is an alarm: one night may be missed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt to make a copy: when, UTC, and why it failed; ``None``: it did not."""

    at_ms: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What is kept beside the database about its copies.

    Attributes:
        attempt: the last copy beside the database.
        second: the last copy in ``backup.also``; ``None`` where none is asked for.
        places: folders in which copies lie, each with the time of the first erasure that did not
            reach it; ``None``: nothing that was erased is in it.
    """

    attempt: Attempt | None = None
    second: Attempt | None = None
    places: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the copies stand.

    Attributes:
        age_s: of the last verified copy that is not much smaller than another one; ``None``: there
            is none.
        error: why the last attempt failed; ``None``: it did not.
        smaller_than: name of the copy that holds much more than the last one; else ``None``.
        overdue: whether the last good copy is too old, or there is none although the database is
            old enough.
        second_error: why the last copy to ``backup.also`` was not made; ``None``: it was, or none
            is asked for.
    """

    age_s: float | None = None
    error: str | None = None
    smaller_than: str | None = None
    overdue: bool = False
    second_error: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether no alarm is due."""
        return not (self.error or self.smaller_than or self.overdue or self.second_error)


def standing(path: Path, now_ms: int | None = None) -> Standing:
    """Tell how the copies of a database stand; reads a page or two of each.

    Never looks at ``backup.also``: a share that hangs must not hold up who asks.
    """
    present = clock.now().wall_ms if now_ms is None else now_ms
    report = read_report(path)
    marks = [mark for _, mark in verified(daily_copies(path))]
    # A copy of a day to come was made by a wrong clock: nobody knows how old it is.
    complete = [
        mark.verified_ms
        for mark in marks
        if mark.smaller_than is None and mark.verified_ms <= present + DAY_MS
    ]
    if complete:
        age_ms = max(0, present - max(complete))
        overdue = age_ms > OVERDUE_MS
    else:
        age_ms = None
        overdue = _age_of_database(path, present) > OVERDUE_MS
    return Standing(
        age_s=None if age_ms is None else age_ms / 1000,
        error=report.attempt.error if report.attempt else None,
        smaller_than=marks[0].smaller_than if marks else None,
        overdue=overdue,
        second_error=report.second.error if report.second else None,
    )


def read_report(path: Path) -> Report:
    """Return what is kept about the copies of a database; nothing where it cannot be read."""
    try:
        fields = json.loads(_file(path).read_text(encoding="utf-8"))
        return Report(
            attempt=_attempt(fields.get("attempt")),
            second=_attempt(fields.get("second")),
            places={str(folder): since for folder, since in fields.get("places", {}).items()},
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return Report()


def write_attempt(path: Path, attempt: Attempt) -> None:
    """Write down what became of the copy beside the database."""
    write_report(path, replace(read_report(path), attempt=attempt))


def write_report(path: Path, report: Report) -> None:
    """Write the report, wholly or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    file = _file(path)
    fresh = file.with_name(f"{file.name}.part")
    with translate_errors(file):
        fresh.write_text(json.dumps(asdict(report)), encoding="utf-8")
        fresh.chmod(0o640)
        if os.geteuid() == 0:  # as root, for those whose folder it is
            owner = file.parent.stat()
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(file)


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.copies.json")


def _attempt(fields: object) -> Attempt | None:
    if isinstance(fields, dict):
        return Attempt(**fields)
    return None


def _age_of_database(path: Path, present: int) -> int:
    """Return the milliseconds since the database was made; 0 where that is not known."""
    try:
        with read_transaction(path) as connection:
            made = connection.execute("SELECT min(applied) FROM migration").fetchone()[0]
    except StoreError:
        return 0
    return present - int(made or present)
