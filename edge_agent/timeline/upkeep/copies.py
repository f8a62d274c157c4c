"""Copies of the database: daily ones beside it, those in a second place, and their state.

A copy carries its verification in itself, in its table ``setting``: nothing beside it can be lost,
and erasing a participant changes both in one transaction.

The results of the last attempts are stored beside the database in ``<name>.copies.json``, because
they must be readable when the database is damaged.

A second place is a USB stick or a mounted share that somebody may pull out. A folder into which
nothing is mounted looks like one of the system's own disk, and copies written there would fill it.
So a place counts only if it lies on another disk than the system and the database, or holds a file
of the name ``PLACE_MARK``, which a person made there.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import quote

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.files import opened_folder, replace_file, room_in
from edge_agent.timeline.database import files
from edge_agent.timeline.database.connection import (
    connect,
    connect_any,
    read_transaction,
    transaction,
)
from edge_agent.timeline.database.copy import copies_beside, copy_database
from edge_agent.timeline.database.dashboard_file import has_own_folder, own_folder
from edge_agent.timeline.database.lock import lock_for_copies
from edge_agent.timeline.database.setting import read_setting, renew_stream_epoch, write_setting
from edge_agent.timeline.database.untrusted_file import set_bounds
from edge_agent.timeline.upkeep.aging import DAY_MS
from edge_agent.timeline.upkeep.soundness import Contents, read_contents, verify

_KEY = "copy_verified"
_MARK_S = 20.0
"""For so long the mark of a copy may be looked for."""
_DAILY = re.compile(r"\.backup-\d{4}-\d{2}-\d{2}[-a-z0-9]*$")
OVERDUE_MS = 2 * DAY_MS
"""Age of the last good copy from which on it is an alarm: one night may be missed."""
KEEP_COPIES = 3
_DAMAGE_CURE = (
    "Stop the agent and restore one of them, or try `sqlite3 FILE .recover`. Cards wear out: "
    "consider a new one."
)
PLACE_MARK = "affect-edge-copies"
_SYSTEM = Path("/")
_LARGEST_REPORT = 1_000_000
"""Bytes of the report on the copies, which has some hundred."""


@dataclass(frozen=True, slots=True)
class CopyMark:
    """The mark stored inside a verified copy.

    Attributes:
        verified_ms: when it was verified, UTC.
        number: rises with each copy in a folder: an order that no wrong clock can change.
        contents: what is in it.
        smaller_than: name of the copy that held much more when this one was made; else ``None``.
    """

    verified_ms: int
    number: int
    contents: Contents
    smaller_than: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A daily copy; without a mark it was not verified."""

    path: Path
    mark: CopyMark | None


def daily_copies(database: Path) -> list[Copy]:
    """Return the daily copies beside a database, or beside where it would be in another folder."""
    paths = [path for path in copies_beside(database) if _DAILY.search(path.name)]
    return [Copy(path, _read_mark(path)) for path in paths]


def verified_copies(copies: Sequence[Copy]) -> list[tuple[Copy, CopyMark]]:
    """Return the verified copies with their marks, the last one first."""
    marked = [(copy, copy.mark) for copy in copies if copy.mark]
    return sorted(marked, key=lambda pair: pair[1].number, reverse=True)


def fullest(copies: Sequence[Copy]) -> tuple[Copy, CopyMark] | None:
    """Return the verified copy with the most content; of equal ones, the last."""
    # By number and not by date: a clock that was wrong gives wrong dates.
    return max(
        verified_copies(copies), key=lambda pair: (pair[1].contents, pair[1].number), default=None
    )


def adopt(database: Path, at_ms: int) -> list[Copy]:
    """Verify and mark the copies that have no mark yet: a person made them.

    Return all copies. Those that do not verify stay without a mark.
    """
    copies = daily_copies(database)
    number = next_number(copies)
    for place, copy in enumerate(copies):
        if copy.mark is None:
            try:
                verify(copy.path)
                mark = write_mark(copy.path, partial(CopyMark, at_ms, number))
            except StoreError:
                continue
            copies[place] = Copy(copy.path, mark)
            number += 1
    return copies


def next_number(copies: Sequence[Copy]) -> int:
    """Return the number of the next copy."""
    return 1 + max((mark.number for _, mark in verified_copies(copies)), default=0)


def write_mark(copy: Path, make: Callable[[Contents], CopyMark]) -> CopyMark:
    """Store the mark of verification in a copy; return the mark, created by ``make``.

    It is counted and written in one transaction, so that an erasure comes before it or after it.

    Raises:
        StoreError: the copy cannot be read or written.
    """
    with (
        files.translate_errors(copy),
        closing(connect_any(copy)) as connection,
        transaction(connection),
    ):
        mark = make(read_contents(connection))
        _write_mark(connection, mark)
    return mark


def mark_anew(connection: sqlite3.Connection) -> None:
    """Update the counts in a copy's mark after an erasure.

    A copy that was not verified stays so.
    """
    mark = _parse(read_setting(connection, _KEY))
    if mark:
        _write_mark(connection, replace(mark, contents=read_contents(connection)))


def forget_mark(connection: sqlite3.Connection) -> None:
    """Remove the mark of a copy that becomes the database."""
    connection.execute("DELETE FROM setting WHERE key = ?", (_KEY,))


def to_delete(copies: Sequence[Copy], keep: int) -> list[Path]:
    """Return the copies that may be deleted once there are ``keep`` verified, complete ones.

    What stays whatever comes: the last verified copy and the fullest one. Copies that are much
    smaller lie beside the others and take the place of none; the newest and the fullest of them
    stay until ``keep`` complete ones are newer. What could not be verified goes last.
    """
    # Only the newest complete ones take a place.
    good = verified_copies(copies)
    complete = [(copy, mark) for copy, mark in good if mark.smaller_than is None][:keep]
    smaller = [
        (copy, mark)
        for copy, mark in good
        # A smaller copy is kept for as long as the complete ones that would replace it are older.
        if mark.smaller_than is not None
        and sum(other.number > mark.number for _, other in complete) < keep
    ]
    last = [copy for copy, _ in (*good[:1], *complete, *smaller[:1])]
    most = [fullest(copies), fullest([copy for copy, _ in smaller])]
    staying = {copy.path for copy in last} | {pair[0].path for pair in most if pair}
    # Without enough good copies even one that did not verify may be the last that helps.
    if len(complete) < keep:
        staying |= {copy.path for copy in copies if copy.mark is None}
    return [copy.path for copy in copies if copy.path not in staying]


def _read_mark(copy: Path) -> CopyMark | None:
    """Return the mark of a copy without changing or locking it; ``None`` where it has none."""
    if not copy.is_file():  # a pipe would wait for who writes
        return None
    # ``immutable`` lets SQLite read without its lock and log files, on a stick that is
    # write-protected, too.
    address = f"file:{quote(str(copy.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            set_bounds(copy, connection, _MARK_S)
            return _parse(read_setting(connection, _KEY))
    except sqlite3.Error:
        return None


def _parse(text: str | None) -> CopyMark | None:
    try:
        fields = json.loads(text or "")
        contents = Contents(**fields.pop("contents"))
        return CopyMark(contents=contents, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _write_mark(connection: sqlite3.Connection, mark: CopyMark) -> None:
    write_setting(connection, _KEY, json.dumps(asdict(mark), separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class CopyAttempt:
    """The last attempt to make a copy: when, UTC, and why it failed; ``None``: it did not."""

    at_ms: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CopiesReport:
    """The report on the copies of a database, stored beside it.

    Attributes:
        attempt: the last copy beside the database.
        second: the last copy in ``backup.also``; ``None`` where none is asked for.
        places: folders in which copies lie, each with the time of the last erasure that did not
            reach it; ``None``: nothing that was erased is in it.
    """

    attempt: CopyAttempt | None = None
    second: CopyAttempt | None = None
    places: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CopiesState:
    """The state of the copies of a database.

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
        """Tell whether no alarm is due."""
        return not (self.error or self.smaller_than or self.overdue or self.second_error)


def copies_state(path: Path, now_ms: int | None = None) -> CopiesState:
    """Return the state of the copies of a database; reads a page or two of each.

    Never looks at ``backup.also``: a share that hangs must not hold up who asks.
    """
    present = clock.now().wall_ms if now_ms is None else now_ms
    report = read_report(path)
    marks = [mark for _, mark in verified_copies(daily_copies(path))]
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
    return CopiesState(
        age_s=None if age_ms is None else age_ms / 1000,
        error=report.attempt.error if report.attempt else None,
        smaller_than=marks[0].smaller_than if marks else None,
        overdue=overdue,
        second_error=report.second.error if report.second else None,
    )


def read_report(path: Path) -> CopiesReport:
    """Return the stored report on the copies of a database; an empty one if unreadable."""
    try:
        # at once: a pipe there would wait for who writes
        handle = os.open(_file(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, encoding="utf-8") as file:
            if os.fstat(handle).st_size > _LARGEST_REPORT:
                return CopiesReport()
            fields = json.loads(file.read(_LARGEST_REPORT))
        return CopiesReport(
            attempt=_attempt(fields.get("attempt")),
            second=_attempt(fields.get("second")),
            places={str(folder): since for folder, since in fields.get("places", {}).items()},
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return CopiesReport()


def write_attempt(path: Path, attempt: CopyAttempt) -> None:
    """Store the result of the last copy beside the database."""
    write_report(path, replace(read_report(path), attempt=attempt))


def write_report(path: Path, report: CopiesReport) -> None:
    """Write the report, wholly or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    file = _file(path)
    with files.translate_errors(file):
        replace_file(file, json.dumps(asdict(report)).encode(), 0o640)


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.copies.json")


def _attempt(fields: object) -> CopyAttempt | None:
    return CopyAttempt(**fields) if isinstance(fields, dict) else None


def _age_of_database(path: Path, present: int) -> int:
    """Return the milliseconds since the database was made; 0 where that is not known."""
    try:
        with read_transaction(path) as connection:
            made = connection.execute("SELECT min(applied) FROM migration").fetchone()[0]
    except StoreError:
        return 0
    return present - int(made or present)


def make_daily_copy(path: Path, keep: int = KEEP_COPIES, now_ms: int | None = None) -> Path:
    """Copy the database beside a running agent, verify the copy, then delete surplus copies.

    The copy is ``<name>.backup-<day>``, beside the database, so that erasing a participant finds
    it. One that holds much less than another copy is called ``…-smaller`` and takes the place of
    none. What became of it is known to ``copies_state``.

    Args:
        path: the database.
        keep: how many complete copies stay, this one included; see ``to_delete`` of ``copies``.
        now_ms: UTC; ``None`` is now. A second copy of one day replaces the first, unless it holds
            less.

    Raises:
        StoreError: the database cannot be read, its copy is damaged, or would leave less than
            ``RESERVED_BYTES`` free. The older copies are as they were then.
    """
    at_ms = clock.now().wall_ms if now_ms is None else now_ms
    try:
        target = copy_beside(path, path, keep, at_ms)
    except StoreError as error:
        with suppress(StoreError):  # the folder may be gone or full: the first error tells more
            write_attempt(path, CopyAttempt(at_ms, str(error)))
        raise
    write_attempt(path, CopyAttempt(at_ms))
    return target


def copy_beside(path: Path, place: Path, keep: int, at_ms: int) -> Path:
    """Make a verified copy of the database beside ``place``, and delete surplus copies there.

    Args:
        path: the database.
        place: itself, or where it would be in another folder.
        keep: as in ``make_daily_copy``.
        at_ms: UTC, for its name.

    Raises:
        StoreError: as ``make_daily_copy``.
    """
    with files.translate_errors(place), lock_for_copies(path):
        # A person may have put a copy here since the last night.
        adopt(place, at_ms)
        fresh = place.with_name(f"{place.name}.backup-new")
        try:
            # Each part has its own path for errors: the database or the place may be the one that
            # fails.
            with files.translate_errors(path), closing(connect(path, readonly=True)) as connection:
                _check_space(path, connection, place.parent)
                copy_database(connection, fresh)
            target = _verify_and_name(path, place, fresh, at_ms)
            # on the disk before an older one goes: a power cut may come between
            files.sync_folder(place.parent)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        for copy in to_delete(daily_copies(place), keep):
            copy.unlink(missing_ok=True)
    return target


def _verify_and_name(path: Path, place: Path, fresh: Path, at_ms: int) -> Path:
    """Verify a fresh copy and compare it with the others; return the name that it got."""
    try:
        verify(fresh)
    except StoreError as error:
        what = str(error).removeprefix(f"{fresh}: ").rstrip(".")
        raise StoreError(
            f"{path}: its copy {what}, so the database or the disk is damaged. The copy was thrown "
            f"away, the older ones stay ({_names(path)}). {_DAMAGE_CURE}"
        ) from error
    others = daily_copies(place)
    most = fullest(others)

    def mark_of(contents: Contents) -> CopyMark:
        smaller_than = None
        # Compared with the fullest and not the last one: rows could be lost a little every night.
        if most and contents.is_much_smaller_than(most[1].contents):
            smaller_than = most[0].path.name
        return CopyMark(at_ms, next_number(others), contents, smaller_than)

    target = _name(place, write_mark(fresh, mark_of), others)
    return fresh.replace(target)


def _name(place: Path, mark: CopyMark, others: Sequence[Copy]) -> Path:
    """Return the first name of the day that is free, or that of a copy that holds no more."""
    day = datetime.fromtimestamp(mark.verified_ms / 1000, UTC)
    stem = f"{place.name}.backup-{day:%Y-%m-%d}{'-smaller' if mark.smaller_than else ''}"
    taken = {copy.path: copy.mark for copy in others}
    for number in count(1):
        target = place.with_name(stem if number == 1 else f"{stem}-{number}")
        there = taken.get(target)
        # A copy of the same day is replaced only by one that holds at least as much.
        if target not in taken or (there and there.contents <= mark.contents):
            break
    return target


def _names(path: Path) -> str:
    return ", ".join(copy.name for copy in copies_beside(path)) or "there is none"


def restore_copy(path: Path, copy: Path) -> Path | None:
    """Replace the database by a copy; agent and dashboard must not run.

    Its messages get a new epoch: readers know higher numbers than the copy does.
    Killed anywhere, it leaves the one or the other, each with its own log.

    Returns:
        The database that was replaced, which lies aside, where an erasure finds it; ``None``:
        there was none.

    Raises:
        StoreError: the copy is none of ours, or cannot be read or written. The database is as it
            was then.
    """
    fresh = files.prepared_path(path)
    with files.translate_errors(copy):
        with closing(connect_any(copy)) as connection:
            # Into a fresh file first: the database stays as it is until the copy is complete.
            copy_database(connection, fresh)
        with closing(connect_any(fresh)) as connection:
            with transaction(connection):
                renew_stream_epoch(connection)
            # A copy is made without a log; the agent writes with one.
            connection.execute("PRAGMA journal_mode=WAL")
        stamp = files.free_stamp([path], "by-a-copy")
        files.replace_files(path, [path], stamp)
        return next(files.set_aside([path], stamp), None)


def _check_space(path: Path, connection: sqlite3.Connection, folder: Path) -> None:
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    # The log may grow while the copy is made: it is not counted, but the reserve is.
    room = room_in(folder, data=path.parent)
    if room < pages * size:
        raise StoreError(
            f"{path}: was not copied aside: its {pages * size / 1e6:.0f} MB are more than the "
            f"{max(0, room) / 1e6:.0f} MB that may be written in {folder} without touching what is "
            "reserved. Free space, or lower record.budget_mb."
        )


def copy_to_second_place(path: Path, folder: Path, device: str, now_ms: int | None = None) -> Path:
    """Make a verified copy in ``folder/<device>``, by the same rules as beside the database.

    Args:
        path: the database.
        folder: ``backup.also``.
        device: name of the appliance: several may share the folder.
        now_ms: UTC; ``None`` is now.

    Raises:
        StoreError: nothing is mounted there, or the copy could not be made or verified. The copies
            there are as they were then.
    """
    at_ms = clock.now().wall_ms if now_ms is None else now_ms
    try:
        _require_mounted(folder, path.parent)
        place = folder / device / path.name
        with files.translate_errors(folder):
            place.parent.mkdir(mode=0o750, exist_ok=True)
            refuse_open_place(place.parent, path.parent)
        # Before the copy is made: an erasure must look there even if this run is cut short.
        _remember(path, place.parent)
        target = copy_beside(path, place, KEEP_COPIES, at_ms)
        target = _without_erased(path, place, target)
    except StoreError as error:
        with suppress(StoreError):  # the data folder may be gone, too: the first error tells more
            write_report(path, replace(read_report(path), second=CopyAttempt(at_ms, str(error))))
        raise
    write_report(path, replace(read_report(path), second=CopyAttempt(at_ms)))
    return target


def forget_second_place(path: Path) -> None:
    """Clear the alarm about the second place when none is configured.

    The folders of existing copies stay stored, because an erasure must find them.
    """
    report = read_report(path)
    if report.second is not None:
        write_report(path, replace(report, second=None))


def _require_mounted(folder: Path, data: Path) -> None:
    with files.translate_errors(folder):
        if not folder.is_dir():
            raise StoreError(
                f"backup.also = {folder}: is not there, so no copy was made there. Plug the stick "
                "in or mount the share, or take the key out of the configuration."
            )
        # The same disk as the system or the database: nothing is mounted.
        own = {_SYSTEM.stat().st_dev, data.stat().st_dev}
        if folder.stat().st_dev in own and not (folder / PLACE_MARK).exists():
            raise StoreError(
                f"backup.also = {folder}: nothing is mounted there, so no copy was made: it would "
                f"fill the appliance's own disk. Mount the stick or share there; if this folder "
                f"is meant, make an empty file {PLACE_MARK} in it."
            )


def refuse_open_place(place: Path, data: Path) -> None:
    """Refuse a folder of copies in which the dashboard's user could exchange a file for a link.

    Args:
        place: the folder.
        data: the data folder, by which the dashboard's user is known.

    Raises:
        StoreError: it is a link, or that user may write there.
        OSError: it is not there, or may not be read.
    """
    theirs = own_folder(data).stat()
    for folder in (place.parent, place):
        with opened_folder(folder) as opened:
            there = os.fstat(opened)
        shared = there.st_mode & stat.S_IWGRP and there.st_gid == theirs.st_gid
        is_open = shared or there.st_mode & stat.S_IWOTH or there.st_uid == theirs.st_uid
        if has_own_folder(data) and theirs.st_uid != os.geteuid() and is_open:
            raise StoreError(
                f"{folder}: the dashboard's user may write there, so no copy is made or changed "
                "there. Let the agent's user alone write: chown affect-edge and chmod 750, or "
                "mount a stick without users with uid=affect-edge,umask=027."
            )


def _remember(path: Path, folder: Path) -> None:
    report = read_report(path)
    if str(folder) not in report.places:
        write_report(path, replace(report, places={**report.places, str(folder): None}))


def _without_erased(path: Path, place: Path, target: Path) -> Path:
    """Delete copies from which an erasure could not remove a participant.

    Return the copy that stays. Only where the copies beside the database are well: else these may
    be the last good ones.

    Raises:
        StoreError: they are not, or the copies cannot be deleted.
    """
    report = read_report(path)
    if report.places.get(str(place.parent)) is None:
        return target
    if copies_state(path).smaller_than or copies_state(path).error:
        raise StoreError(
            f"{place.parent}: its older copies still hold somebody who was erased, and they stay, "
            "for the database is damaged or has lost rows. See the other alarms first."
        )
    with files.translate_errors(place):
        for other in copies_beside(place):
            if other != target:
                other.unlink()
        # It was compared with those: it is the measure now.
        whole = target.rename(target.with_name(target.name.replace("-smaller", "")))
    # The smaller mark compared it with copies that are gone now.
    for copy, mark in verified_copies(daily_copies(place)):
        if copy.path == whole:
            write_mark(whole, partial(CopyMark, mark.verified_ms, mark.number))
    write_report(path, replace(report, places={**report.places, str(place.parent): None}))
    return whole
