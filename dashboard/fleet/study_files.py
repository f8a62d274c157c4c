"""Copies of studies: of one device each, from the collector's tables into a file of the device's
schema.

A page asks several questions about one study, and people go from page to page. So a copy stays for
some minutes after its last question, and is made anew as soon as PostgreSQL has more of its device.
A copy is as personal as the device's own file: it lies in a folder that only this user can read,
and goes at once when anybody is erased. No more than a few lie there, 500 MB of the disk stay free,
and all are deleted at the end and at the start, which is for those that a crash has left.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dashboard.fleet.postgres import FleetDatabase, first_line
from edge_agent.core.addresses import Address
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.files import room_in
from edge_agent.core.texts import N_
from edge_agent.fleet.tables import STUDY, TIMELINE, SentTable
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import PAGE_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.sites import Sites

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

log = logging.getLogger(__name__)

Span = tuple[int, int]

AROUND_MS = 3_600_000
"""Of the timeline before and after each session: more than any window, lag or baseline needs."""
_FOREVER_MS = 2**62
_ROWS_AT_ONCE = 5_000
_NOT_SENT = {"vital_change": {"actor": ""}, "exclusion": {"actor": ""}}
"""Columns that a device keeps for itself and may not be empty."""
FOLDER = "studies"
KEPT_S = 300.0
"""How long a copy stays that nobody asks."""
MOST_COPIES = 32
WATCH_S = 2.0
"""How often erasures are looked for."""
WATCHED_S = 2 * 3600.0
"""How long a device is watched after its last question: exports made from a copy lie that long."""


@dataclass(frozen=True, slots=True)
class StudyStream:
    """The present stream of a device, and how far it is; equal as long as nothing came.

    Attributes:
        number: in ``fleet.stream``.
        device: whose.
        applied: position up to which everything is there.
        erasures: how many were carried out in it.
        copied: whether all that the device held at its start is there.
        lost: stretches of changes that will not come.
        has_holes: whether messages are missing between others.
    """

    number: int
    device: str
    applied: int
    erasures: int
    copied: bool
    lost: int
    has_holes: bool

    def refuse_part(self) -> None:
        """Raise where not everything is there: statistics would not be the study's.

        Raises:
            StoreError: with what is missing.
        """
        if not self.copied:
            raise StoreError(
                N_("{device} has not sent all its data yet. Wait until fleet.stream says copied."),
                device=self.device,
            )
        if self.lost:
            raise StoreError(
                N_(
                    "Changes from {device} were lost (stretches: {lost}; fleet.lost lists them "
                    "and the reasons), so statistics could be wrong. Compute them on the device."
                ),
                device=self.device,
                lost=self.lost,
            )
        if self.has_holes:
            raise StoreError(
                N_(
                    "Some messages from {device} are missing. They will be sent again: try "
                    "again in two minutes."
                ),
                device=self.device,
            )


def copy_studies(
    address: Address, devices: Collection[str], folder: Path, *, every: bool = False
) -> Sites:
    """Write for each device a new file with its study and the timeline of its sessions.

    All of one moment of PostgreSQL. Only a device's present stream is read: what a restored
    database does not know any more is not part of its study.

    Args:
        address: ``postgresql://…``, of a database that a collector writes to.
        devices: which; empty: the only one there is.
        folder: where to write.
        every: all devices there are that have sent a timeline.

    Raises:
        StoreError: PostgreSQL cannot be reached or refuses, there is no such device, or what it
            has sent has not all arrived.
    """
    sites = []
    try:
        with psycopg.connect(address.reveal(), connect_timeout=10) as there:
            there.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            there.read_only = True
            chosen = _choose_streams(streams_of(there), devices, every)
            # All before the first: nothing is copied if one of them cannot be.
            for stream in chosen:
                stream.refuse_part()
            for number, stream in enumerate(chosen):
                path = folder / f"{number}.db"
                write_copy(there, stream, path)
                sites.append((stream.device, path))
    except psycopg.errors.UndefinedTable as error:
        raise StoreError(
            "This database of PostgreSQL has no tables of a fleet: no collector has written to it."
        ) from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL: {first_line(error, address)}") from error
    return tuple(sites)


def write_copy(
    there: psycopg.Connection, stream: StudyStream, path: Path, most_bytes: int | None = None
) -> None:
    """Write a new file with the study of a stream and the timeline of its sessions.

    Args:
        there: within a transaction that sees one moment.
        stream: as this transaction sees it.
        path: of the file, which is not there yet.
        most_bytes: how large the file may become; ``None``: as large as the disk allows.

    Raises:
        StoreError: there is no space, or the rows do not fit this version.
        psycopg.Error: PostgreSQL refuses.
    """
    migrate(path)
    try:
        with closing(connect(path, readonly=False)) as here:
            # SQLite itself keeps the limit, and reports a full disk when it is reached.
            if most_bytes is not None:
                here.execute(f"PRAGMA max_page_count = {max(1, most_bytes // PAGE_BYTES)}")
            with transaction(here):
                _copy(there, stream.number, here)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"{path.parent}: no space is left for the copy of the study. Free some, or name "
                "another folder: TMPDIR=/FOLDER for a command, data.folder for a dashboard."
            ) from error
        raise StoreError(
            f"The study does not fit this version of affect-edge ({error}). Its device may be of a "
            "newer one: update this machine."
        ) from error


def streams_of(
    there: psycopg.Connection, devices: Collection[str] | None = None
) -> list[StudyStream]:
    """Return the present streams of devices, by name; ``None``: of all."""
    rows = there.execute(
        "SELECT id, device, applied, (SELECT count(*) FROM fleet.erasure WHERE erasure.stream = "
        "stream.id), copied, (SELECT count(*) FROM fleet.lost WHERE lost.stream = stream.id), "
        "NOT isempty(ahead) OR EXISTS (SELECT 1 FROM fleet.waiting WHERE waiting.stream = "
        "stream.id) FROM fleet.stream WHERE NOT closed AND (%(devices)s::text[] IS NULL OR device "
        "= ANY(%(devices)s)) ORDER BY device, id DESC",
        {"devices": None if devices is None else list(devices)},
    ).fetchall()
    return [StudyStream(*row) for row in rows]


def _choose_streams(
    streams: list[StudyStream], devices: Collection[str], every: bool
) -> list[StudyStream]:
    """Return the streams of devices; refuse a name that nobody has, or no name where it takes one.

    An unknown name is said with those there are.
    """
    known = {one.device: one for one in streams}
    if every and streams:
        return streams
    if not devices and len(streams) == 1:
        return streams
    unknown = [name for name in devices if name not in known]
    if devices and not unknown:
        return [known[name] for name in sorted(devices)]
    names = ", ".join(one.device for one in streams[:20]) or "none"
    more = ", …" if len(streams) > 20 else ""
    what = f"There is no device {unknown[0]!r}" if unknown else "Name one with --device"
    raise StoreError(f"{what}. Devices there: {names}{more}.")


def _copy(there: psycopg.Connection, stream: int, here: sqlite3.Connection) -> None:
    for table in STUDY:
        rows = there.execute(
            "SELECT id, fields FROM fleet.study_row WHERE stream = %s AND kind = %s ORDER BY id",
            (stream, table.name),
        ).fetchall()
        _insert(here, table, ((id_, *table.values_of(fields)) for id_, fields in rows))
    sessions = here.execute("SELECT started, ended FROM session ORDER BY started").fetchall()
    spans = joined_spans((row[0], row[1]) for row in sessions)
    for table in TIMELINE:
        for span in spans:
            _insert(here, table, _rows(there, stream, table, span))


def joined_spans(sessions: Iterable[tuple[int, int | None]]) -> list[Span]:
    """Return the times around sessions, those that touch as one.

    Args:
        sessions: start and end of each in order of the start; without an end it goes on.
    """
    spans: list[Span] = []
    for started, ended in sessions:
        start = started - AROUND_MS
        end = _FOREVER_MS if ended is None else ended + AROUND_MS
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def _rows(
    there: psycopg.Connection, stream: int, table: SentTable, span: Span
) -> Iterator[tuple[Any, ...]]:
    # binary: a value is what was sent, to the last bit
    # A cursor with a name stays at the server, which hands over a few thousand rows at a time.
    with there.cursor(name="study_rows", binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(
            f"SELECT {', '.join(table.columns)} FROM fleet.{table.name} WHERE stream = %s AND "
            f"{table.time} >= %s AND {table.time} < %s ORDER BY {table.time}".encode(),
            (stream, *span),
        )
        yield from cursor


def _insert(here: sqlite3.Connection, table: SentTable, rows: Iterable[tuple[Any, ...]]) -> None:
    more = _NOT_SENT.get(table.name, {})
    columns = (*table.columns, *more)
    marks = ", ".join("?" * len(columns))
    here.executemany(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",
        ((*row, *more.values()) for row in rows) if more else rows,
    )


@dataclass(slots=True, eq=False)
class _Copy:
    """A copy of one study.

    Attributes:
        stream: how far its device was.
        folder: which holds nothing else.
        users: how many read it just now.
        used_s: when somebody read it last.
        erased: somebody in it was erased since.
    """

    stream: StudyStream
    folder: Path
    users: int = 0
    used_s: float = 0.0
    erased: bool = False

    @property
    def path(self) -> Path:
        return self.folder / "affect-edge.db"


class KeptCopies:
    """Lends copies of studies; safe to share between threads.

    Args:
        database: that collectors write to.
        data: the dashboard's own folder; copies lie below it.
        on_erasure: called after somebody of a device was erased whose study was asked for lately:
            what was made of its copies must go too.
        clock: seconds, never going back.

    Raises:
        StoreError: a copy that a crash has left cannot be deleted.

    Example:
        >>> copies = KeptCopies(database, Path("/var/lib/affect-edge"), lambda: None)
        >>> with copies.lend("room-1") as path:
        ...     sessions = Reader(path).session_list()
    """

    def __init__(
        self,
        database: FleetDatabase,
        data: Path,
        on_erasure: Callable[[], None],
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._database = database
        self._folder = data / FOLDER
        self._on_erasure = on_erasure
        self._clock = clock
        self._copies: list[_Copy] = []
        self._watched: dict[str, tuple[tuple[int, int], float]] = {}
        self._lock = threading.Lock()
        self._copying = threading.Lock()
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._delete_left()

    @contextmanager
    def lend(self, device: str) -> Iterator[Path]:
        """Lend a copy of a device's study, as far as PostgreSQL has it now.

        Raises:
            StoreError: there is no such device, its study is not all there, PostgreSQL cannot be
                read, there is no space, or somebody was erased while the copy was read.
        """
        copy = self._lend_copy(device)
        try:
            yield copy.path
        except AffectEdgeError as error:
            if copy.erased:
                # Reading failed because the file was deleted under it.
                raise StoreError(
                    N_("A participant was just erased on {device}. Try again."), device=device
                ) from error
            raise
        finally:
            self._give_back(copy)

    @contextmanager
    def lend_all(self, devices: Sequence[str]) -> Iterator[Sites]:
        """Lend the copies of several devices, each as far as PostgreSQL has it now.

        Raises:
            StoreError: as ``lend``.
        """
        with ExitStack() as lent:
            yield tuple((name, lent.enter_context(self.lend(name))) for name in devices)

    def close(self) -> None:
        """Delete all copies; nobody may read one any more."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        self._copies.clear()
        self._delete_left()

    def delete_outdated(self) -> None:
        """Delete what is old, and what holds somebody who was erased; the watcher calls this."""
        with self._lock:
            self._drop_old()
            watched = dict(self._watched)
        if not watched:
            return
        try:
            now = {one.device: one for one in self._streams(watched)}
        except StoreError as error:
            # Nobody can say now whether somebody was erased: what nobody reads is not kept.
            log.warning("copies of studies are deleted: %s", error)
            with self._lock:
                self._drop(one for one in list(self._copies) if not one.users)
            return
        # A stream that was replaced, or whose count of erasures has changed.
        gone = [name for name, (known, _) in watched.items() if _marks(now.get(name)) != known]
        if gone:
            self._forget(gone)

    def _lend_copy(self, device: str) -> _Copy:
        """Return a copy of the present position; it counts as read from now on."""
        with self._copying:  # one at a time: each may take all of the space that is allowed
            with self._database.connection() as there:
                streams = streams_of(there, [device])
                if not streams:
                    raise StoreError(N_("There is no device {device}. See Fleet."), device=device)
                stream = streams[0]
                stream.refuse_part()
                copy = self._find_copy(stream)
                if copy is None:
                    copy = _Copy(stream, self._new_folder(), used_s=self._clock())
                    try:
                        write_copy(there, stream, copy.path, self._most_bytes())
                    # Whatever it was, Ctrl-C included: half a copy must not stay.
                    except BaseException:
                        shutil.rmtree(copy.folder, ignore_errors=True)
                        raise
            with self._lock:
                if copy not in self._copies:
                    self._copies.append(copy)
                copy.users += 1
                # The marks of the first question stay: those of now may
                # hide an erasure that nobody has noticed.
                known = self._watched.get(device, (_marks(stream), 0.0))[0]
                self._watched[device] = (known, self._clock())
            self._watch()
        return copy

    def _find_copy(self, stream: StudyStream) -> _Copy | None:
        """Return the copy of this position; delete others of the device that nobody reads."""
        with self._lock:
            self._drop_old()
            for one in self._copies:
                # Equal streams are at the same position, so the copy has all that PostgreSQL has.
                if one.stream == stream and not one.erased:
                    return one
            self._drop(
                one
                for one in list(self._copies)
                if one.stream.device == stream.device and not one.users
            )
            unused = sorted(
                (one for one in self._copies if not one.users), key=lambda one: one.used_s
            )
            # Those used longest ago go, until there is room for one more.
            self._drop(unused[: max(0, len(self._copies) - MOST_COPIES + 1)])
            if len(self._copies) >= MOST_COPIES:
                raise StoreError(
                    N_("{number} studies are being read at the moment. Try again in a minute."),
                    number=len(self._copies),
                )
        return None

    def _give_back(self, copy: _Copy) -> None:
        with self._lock:
            copy.users -= 1
            copy.used_s = self._clock()
            if copy.erased and not copy.users:
                self._drop([copy])

    def _forget(self, devices: Collection[str]) -> None:
        """Delete what is of devices on which somebody was erased, also what is being read."""
        with self._lock:
            for one in self._copies:
                if one.stream.device in devices:
                    one.erased = True
                    # Even while it is read: who was erased must not be found a second longer.
                    shutil.rmtree(one.folder, ignore_errors=True)
            self._drop(one for one in list(self._copies) if one.erased and not one.users)
            for device in devices:
                del self._watched[device]
        log.info("somebody was erased on %s: its copies are deleted", ", ".join(sorted(devices)))
        self._on_erasure()

    def _drop_old(self) -> None:
        """Delete what nobody has asked for a while; the lock is held."""
        now = self._clock()
        self._drop(one for one in list(self._copies) if not one.users and now - one.used_s > KEPT_S)
        for device in [one for one, (_, at) in self._watched.items() if now - at > WATCHED_S]:
            del self._watched[device]

    def _drop(self, copies: Collection[_Copy] | Iterator[_Copy]) -> None:
        """Delete copies that nobody reads; the lock is held."""
        for one in copies:
            self._copies.remove(one)
            shutil.rmtree(one.folder, ignore_errors=True)

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._keep_watch, name="studies", daemon=True)
            self._watcher.start()

    def _keep_watch(self) -> None:
        while not self._ended.wait(WATCH_S):
            try:
                self.delete_outdated()
            except Exception:
                log.exception("looking for erasures failed")

    def _streams(self, devices: Collection[str]) -> list[StudyStream]:
        with self._database.connection() as there:
            return streams_of(there, devices)

    def _new_folder(self) -> Path:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _most_bytes(self) -> int:
        """Return how large a copy may become: it is written twice, to the log and to the file."""
        return max(0, room_in(self._folder)) // 2

    def _delete_left(self) -> None:
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._folder)
        except OSError as error:
            raise StoreError(
                N_("{folder}: an earlier copy cannot be deleted ({strerror}). Delete it."),
                folder=self._folder,
                strerror=error.strerror or "",
            ) from error


def _marks(stream: StudyStream | None) -> tuple[int, int]:
    """Return what changes when somebody was erased, or the device's database was replaced."""
    return (0, 0) if stream is None else (stream.number, stream.erasures)
