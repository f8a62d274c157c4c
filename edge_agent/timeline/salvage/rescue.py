"""Detecting damage of a database, and replacing an unusable database by a usable one.

Whether a database can be recorded into is judged quickly, before a start and after an error. What
another program meets, it notes beside the database: the nightly maintenance reads every page, the
agent only those that it needs, and what the one finds must not wait until the other needs it.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from urllib.parse import quote

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.files import give_owner
from edge_agent.timeline.database.connection import connect, transaction, versions
from edge_agent.timeline.database.creation import expected_tables
from edge_agent.timeline.database.files import (
    PARTS,
    free_name,
    is_damage,
    new_database,
    part_of,
    said_by,
    translate_errors,
    unfinished_mark,
)
from edge_agent.timeline.database.followed_file import OpenFile
from edge_agent.timeline.database.salvages import Salvage, read_salvages, write_salvages
from edge_agent.timeline.database.schema import APPLICATION_ID, VERSION
from edge_agent.timeline.database.setting import renew_stream_epoch
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.database.upgrade_steps import TIMELINE
from edge_agent.timeline.salvage.pages import open_pages
from edge_agent.timeline.salvage.row_copying import LARGE, Copying, DamagedDatabase
from edge_agent.timeline.salvage.wal import has_content, log_beside, read_log
from edge_agent.timeline.write.boots import BootRows

log = logging.getLogger(__name__)

# They tell our database from that of another program where its application ID is damaged.
_OF_US = frozenset({"migration", "setting", "expression"})
# Read and write version of the format: 1 is a rollback journal, 2 a write-ahead log.
# https://sqlite.org/fileformat2.html#file_format_version_numbers
_KNOWN_FORMATS = frozenset({b"\x01\x01", b"\x02\x02"})
_PLAIN_ERROR = sqlite3.SQLITE_ERROR
MOST_IN_AN_HOUR = 10
"""Rescues within an hour: a card that damages every new file must not fill itself with them."""
_HOUR_S = 3600.0
_SETTLE_S = 10.0
_ATTEMPTS = 3
_DISK_PATIENCE_S = 3.0
"""So long a disk that refuses to read is asked again: a loose plug is no bad sector."""
_DISK_PAUSE_S = 0.2


def find_damage(path: Path, *, in_use: bool = False, quick: bool = False) -> str | None:
    """Return the damage of a database, as the end of a sentence; ``None`` if none was found.

    The small tables are read whole, the timeline at its newest rows, in some milliseconds. A file
    of another program, or one that may not be read, is no damage.

    Args:
        path: the database; it need not be there.
        in_use: whether this process has it open: the file is then looked at through SQLite only.
        quick: read the list of tables and the newest row of each, and no more.

    Raises:
        OSError: it cannot be read.
    """
    # An empty database beside a full log is no new one: SQLite would throw the log away.
    if not path.exists() or not path.stat().st_size:
        if has_content(log_beside(path)):
            return "its file is empty or gone, and only its log is left"
        return "its file is empty" if path.exists() else None
    cause = None if in_use else _look_at_bytes(path)
    if cause is not None:
        return cause
    try:
        # Read-only: closing it leaves file and log as they are.
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            return _find_fault(connection, quick)
    except UnicodeDecodeError:  # from a message of SQLite that quotes what is damaged
        return "its list of tables is damaged"
    except sqlite3.Error as error:
        return said_by(error) if is_damage(error) else None


def _look_at_bytes(path: Path) -> str | None:
    """Return damage that SQLite ignores: it drops the log from its first bad page on."""
    lost = read_log(log_beside(path)).lost
    if lost:
        return f"{lost} pages of its log are damaged"
    with path.open("rb") as file:
        header = file.read(100)
    return None if header[18:20] in _KNOWN_FORMATS else "its header is damaged"


def _find_fault(connection: sqlite3.Connection, quick: bool) -> str | None:
    try:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.OperationalError as error:
        # "unsupported file format" has no code of its own
        if error.sqlite_errorcode == _PLAIN_ERROR:
            return said_by(error)
        raise
    application, version = versions(connection)
    if application != APPLICATION_ID and not names >= _OF_US:
        return None  # new, or of another program
    applied = None
    if "migration" in names:
        applied = connection.execute("SELECT max(version) FROM migration").fetchone()[0]
    # A migration writes both in one transaction, so that only damage makes them differ.
    if application != APPLICATION_ID or version != applied:
        return "its header is damaged"
    is_older = TIMELINE.is_older(version)
    if version != VERSION and not is_older:
        return None  # of a version that is refused
    expected = {table.name for table in expected_tables()}
    if is_older:  # the upgrade may add tables
        expected &= names
    missing = expected - names
    if missing:
        return f"tables are missing ({', '.join(sorted(missing))})"
    return _read_through(connection, expected, quick)


def _read_through(connection: sqlite3.Connection, names: set[str], quick: bool) -> str | None:
    for name in sorted(names):
        # The timeline may have millions of rows; a whole check of it would delay every start.
        if quick or name in LARGE:
            newest = f"SELECT * FROM {name} ORDER BY 1 DESC LIMIT 1"  # noqa: S608 - our own names
            connection.execute(newest).fetchall()
            continue
        answer = connection.execute(f"PRAGMA integrity_check({name})").fetchone()[0]
        if answer != "ok":
            return f"table {name}: {answer}"
    return None


def note_damage(path: Path, what: str) -> None:
    """Write a note file for the agent that says a database is damaged.

    Args:
        path: the database.
        what: is damaged, as the end of a sentence.

    Raises:
        StoreError: the folder cannot be written.
    """
    note = _note_path(path)
    fresh = note.with_name(f"{note.name}.part")
    with translate_errors(note):
        device, inode = _identity(path)
        text = json.dumps({"what": what, "device": device, "inode": inode})
        fresh.write_text(text, encoding="utf-8")
        give_owner(fresh, note, 0o640)
        # Replaced whole: the agent may read the note at any moment.
        fresh.replace(note)


def noted_damage(path: Path) -> str | None:
    """Return the damage that another program has noted; ``None`` if there is no such note.

    A note about another file, which has been replaced since, does not count.
    """
    try:
        fields = json.loads(_note_path(path).read_text(encoding="utf-8"))
        same = (fields["device"], fields["inode"]) == _identity(path)
        return str(fields["what"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_damage(path: Path) -> None:
    """Delete the damage note, because the database was replaced or is sound."""
    with suppress(OSError):
        _note_path(path).unlink()


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.damage.json")


def _identity(path: Path) -> tuple[int, int]:
    file = path.stat()
    return file.st_dev, file.st_ino


class Rescue:
    """Keeps a writable database at one path: replaces it when it is damaged or deleted.

    Safe to use from several threads; only one rescue runs at a time.

    Args:
        path: the database.

    Attributes:
        reported: the damage that a reader met, until it is dealt with.
        changed: set when there is something to carry over.

    Example:
        >>> rescue = Rescue(path)
        >>> rescue.before_start()
        >>> migrate(path)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._times: list[float] = []
        self.reported: str | None = None
        self.changed = threading.Event()

    def report(self, error: StoreError) -> None:
        """Note an error that a reader met; the recorder looks at it where it means damage."""
        if not isinstance(error, DamageError):
            return
        just_now = self._times and clock.boot_seconds() - self._times[-1] < _SETTLE_S
        # An error of the old file may be told after the new one is in its place.
        if not just_now or self.find_damage() is not None:
            self.reported = str(error)

    def look_for_note(self) -> None:
        """Read the damage that another program has noted; takes some microseconds."""
        self.reported = self.reported or noted_damage(self.path)

    def before_start(self) -> None:
        """Finish an interrupted rescue, and rescue a database that is damaged.

        Call it before anything opens the database.

        Raises:
            StoreError: a file cannot be read, moved or written.
        """
        with translate_errors(self.path), self._lock:
            self._finish_what_was_begun()
            cause = find_damage(self.path) or noted_damage(self.path)
            if cause is not None:
                self._replace(cause)

    def find_damage(self, *, quick: bool = False) -> str | None:
        """Return the damage of the database in use; ``None`` if none was found."""
        with translate_errors(self.path):
            return find_damage(self.path, in_use=True, quick=quick)

    def replace(self, cause: str) -> None:
        """Set the database aside, and replace it by a new one with its readable rows.

        The timeline follows later, in ``BackgroundCopying``.

        Args:
            cause: what is wrong, as the end of a sentence.

        Raises:
            StoreError: this happened too often, or a file cannot be moved or written.
        """
        with translate_errors(self.path), self._lock:
            if not self._was_begun():
                self._not_too_often(cause)
                self._replace(cause)
            self._settle()

    def follow(self, file: OpenFile, connection: sqlite3.Connection | None) -> bool:
        """Restore a database at the path of one that was deleted, moved or replaced.

        Args:
            file: the one that is still open.
            connection: to it; ``None`` where it could not be opened.

        Returns:
            Whether everything of the old file is, or will be, in the new one. Else the file at the
            path is somebody else's choice, and the old one lies beside it.

        Raises:
            StoreError: this happened too often, or a file cannot be read, moved or written.
        """
        with translate_errors(self.path), self._lock:
            carried = True
            if not self._was_begun():
                self._not_too_often("its file was deleted or moved")
                carried = self._follow(file, connection)
            self._settle()
            return carried

    def _was_begun(self) -> bool:
        """Finish a rescue that failed after the file was moved; return whether there was one."""
        if not unfinished_mark(self.path).exists() or self.path.exists():
            return False
        self._finish_what_was_begun()
        return self.path.exists()

    def _not_too_often(self, cause: str) -> None:
        # By the boot clock: the wall clock may be set between two rescues.
        now_s = clock.boot_seconds()
        self._times = [at for at in self._times if now_s - at < _HOUR_S]
        if len(self._times) >= MOST_IN_AN_HOUR:
            raise StoreError(
                f"{self.path}: could not be used again ({cause}) after {MOST_IN_AN_HOUR} rescues "
                "within an hour; rows wait in memory. Replace the card or disk."
            )

    def _settle(self) -> None:
        """Count a completed rescue; one that fails on a full disk is not counted."""
        self._times.append(clock.boot_seconds())
        self.reported = None

    def _finish_what_was_begun(self) -> None:
        mark = unfinished_mark(self.path)
        try:
            begun = json.loads(mark.read_text(encoding="utf-8"))
            salvage = Salvage(begun["file"], begun["at_ms"], begun["cause"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):  # cut short before anything was moved
            mark.unlink()
            return
        source = self.path.parent / salvage.file
        # The mark was written, and the power went before the file was moved.
        if not source.exists():
            self._move_to(source)
        if source.exists() and not self.path.exists():
            log.warning("the salvage of %s was cut short and is done again", source.name)
            self._make_anew(salvage, source, None)
        mark.unlink(missing_ok=True)

    def _replace(self, cause: str) -> None:
        name = free_name(self.path)
        salvage = Salvage(name.name, clock.now().wall_ms, cause)
        log.error("%s: %s; it is set aside as %s", self.path, cause, name.name)
        # The mark comes before the first move: a start after a power cut finds by it what was
        # begun.
        self._mark(salvage)
        self._move_to(name)
        self._make_anew(salvage, name, None)
        unfinished_mark(self.path).unlink()

    def _follow(self, file: OpenFile, connection: sqlite3.Connection | None) -> bool:
        if connection is not None:
            # Into the file itself: whoever moved it did not take its log along.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        place = file.place
        name = free_name(self.path) if place is None else place
        cause = "its file was deleted" if place is None else f"its file was moved to {place}"
        shown = name.name if name.parent == self.path.parent else str(name)
        salvage = Salvage(shown, clock.now().wall_ms, cause)
        old_log = self._take_log(name)
        chosen = self.path.exists() and find_damage(self.path, in_use=True) is None
        if chosen:
            self._keep_old(file, name, salvage)
            return False
        # Somebody put a sound database there, such as a backup: theirs is kept.
        if self.path.exists():
            self._move_to(free_name(self.path))
        log.error("%s: %s; recording goes on in a new one", self.path, cause)
        self._mark(salvage)
        if place is None:
            _copy_out(file.way_in, name)
        self._make_anew(salvage, name, old_log)
        unfinished_mark(self.path).unlink()
        return True

    def _keep_old(self, file: OpenFile, name: Path, salvage: Salvage) -> None:
        """Continue in a database that replaced the old one; keep the old one under a name."""
        if not name.exists():
            _copy_out(file.way_in, name)
        migrate(self.path, is_locked=True)
        salvage.cause = "another database was put in its place"
        salvage.note = "its rows were not carried over"
        with closing(connect(self.path, readonly=False)) as connection, transaction(connection):
            write_salvages(connection, [*read_salvages(connection), salvage])
        log.error("%s: %s; the old one is %s", self.path, salvage.cause, name)
        self.changed.set()

    def _take_log(self, name: Path) -> Path | None:
        """Move the log of a database that is no longer in its place to where it belongs."""
        old_log = log_beside(self.path)
        moved = None
        # Whoever moved the file left the log, in which the newest rows may be.
        if has_content(old_log):  # a reader kept it from being written into the file
            moved = log_beside(name)
            shutil.move(old_log, moved)
        part_of(self.path, "-wal").unlink(missing_ok=True)
        part_of(self.path, "-shm").unlink(missing_ok=True)
        return moved

    def _mark(self, salvage: Salvage) -> None:
        text = {"file": salvage.file, "at_ms": salvage.at_ms, "cause": salvage.cause}
        unfinished_mark(self.path).write_text(json.dumps(text), encoding="utf-8")

    def _move_to(self, name: Path) -> None:
        """Set the files aside together; the database comes last, so that this can be repeated."""
        for part in PARTS:
            file = part_of(self.path, part)
            if not part and not file.exists():
                part_of(name, part).touch(0o640)
            elif file.exists():
                file.replace(part_of(name, part))

    def _make_anew(self, salvage: Salvage, source: Path, old_log: Path | None) -> None:
        """Make a new database with all but the timeline, and move it to the path."""
        fresh = new_database(self.path)
        until_s = clock.boot_seconds() + _DISK_PATIENCE_S
        for attempt in count(1):
            before = _stamps(source)
            # A former attempt may have left its files.
            for part in PARTS:
                part_of(fresh, part).unlink(missing_ok=True)
            migrate(fresh)
            refused = self._carry_study(replace(salvage), source, old_log, fresh)
            # Tried again at least once, however long the slow disk took for the first attempt.
            if refused and (attempt == 1 or clock.boot_seconds() < until_s):
                clock.sleep(_DISK_PAUSE_S)
            elif _stamps(source) == before or attempt >= _ATTEMPTS:
                break  # else somebody who had it open wrote to it
        # SQLite would play a log of the old file into the new one.
        for part in ("-wal", "-shm"):
            part_of(self.path, part).unlink(missing_ok=True)
        fresh.replace(self.path)
        forget_damage(self.path)
        self.changed.set()

    def _carry_study(
        self, salvage: Salvage, source: Path, old_log: Path | None, fresh: Path
    ) -> int:
        """Return how often the disk refused to read."""
        with (
            open_pages(source, old_log) as pages,
            closing(connect(fresh, readonly=False)) as connection,
        ):
            # Rows come in any order, and some refer to rows that are lost.
            connection.execute("PRAGMA foreign_keys=OFF")
            readable = DamagedDatabase(pages)
            copying = Copying(readable, connection)
            with transaction(connection):
                copying.study()
                # Rows of the stretch that goes on belong to it, whatever became of its row.
                BootRows(connection).begin_if_clocks_moved(clock.now())
                salvage.newest = copying.newest()
                if pages.since_loss:
                    with open_pages(source, old_log, before_loss=True) as earlier:
                        copying.before_loss(DamagedDatabase(earlier), pages.since_loss)
                salvage.left = [name for name in LARGE if name in readable.tables]
                note_counts(salvage, copying, readable)
                write_salvages(connection, [*read_salvages(connection), salvage])
                renew_stream_epoch(connection)
        log.warning("salvaged of %s so far: %s", source.name, salvage.rows)
        return pages.refused


def note_counts(salvage: Salvage, copying: Copying, source: DamagedDatabase) -> None:
    """Add what was carried over, refused and lost since the last count."""
    for name, rows in copying.rows.items():
        salvage.rows[name] = salvage.rows.get(name, 0) + rows
    salvage.refused += copying.refused.total()
    salvage.lost_pages += source.damage.pages
    salvage.lost_rows += source.damage.rows
    copying.rows.clear()
    copying.refused.clear()
    source.damage.forget()


def _stamps(source: Path) -> list[tuple[int, int]]:
    files = filter(Path.exists, (source, log_beside(source)))
    return [(status.st_size, status.st_mtime_ns) for status in map(Path.stat, files)]


def _copy_out(way_in: Path, name: Path) -> None:
    """Write the content of a deleted file that is still open into a new file."""
    with way_in.open("rb") as old, name.open("xb") as kept:
        shutil.copyfileobj(old, kept, 1 << 20)
