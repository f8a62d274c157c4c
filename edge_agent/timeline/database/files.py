"""Error messages for file errors, atomic replacement of several files, and names of related files.

Several files are replaced together or not at all, also after an interruption: the new ones lie
prepared beside their places, and a journal beside the database names them. Once the journal exists,
the replacement is always completed, and each step can be repeated. The replaced files are set
aside, a database with its log; nothing is deleted.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Protocol

from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.bounds import printable
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.owners import as_owner_of

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
"""Codes that mean a damaged file."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_PERMISSION = (
    "no permission to read or write here. Run as the user that owns the folder, or name another "
    "one with --data."
)
_FULL = (
    "the disk, or the size allowed for the database, is full. Free space. A running "
    "agent then goes on recording; one that has ended has to be started again."
)
_LOCKED = (
    "is locked by another program. Close what has it open (a database browser?) and try again."
)
_MEANINGS = {
    sqlite3.SQLITE_PERM: _NO_PERMISSION,
    sqlite3.SQLITE_READONLY: _NO_PERMISSION,
    sqlite3.SQLITE_CANTOPEN: _NO_PERMISSION,
    sqlite3.SQLITE_AUTH: _NO_PERMISSION,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_NOTADB: "is not a database. Nothing was changed; start the agent, which sets it "
    "aside and salvages what is readable, or name another folder with --data.",
    sqlite3.SQLITE_CORRUPT: "is damaged. Start the agent, which sets it aside and salvages what is "
    "readable, or restore a copy.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_TOOBIG: "holds a value that no release writes, larger than 50 MB, and is not "
    "read on. See who may write the file, or restore a copy: sudo affect-edge restore",
    sqlite3.SQLITE_INTERRUPT: "was read for too long and interrupted. See who may write the file, "
    "and what stands in it.",
    sqlite3.SQLITE_IOERR: "cannot be read or written (input/output error). Check the card or disk, "
    "`dmesg` tells more.",
}
_LARGEST_JOURNAL = 10_000_000
"""Characters of a journal; what is cut off there is damaged."""
PREPARED = ".backup-restoring"
"""End of the name of a prepared file; an erasure finds a prepared database by it."""
_LONGEST_QUOTE = 200
"""Characters of what SQLite says."""
LOGS = ("-wal", "-shm", "-journal")
"""Ends of the names of what SQLite keeps beside a database."""
_FINISH = "Say `affect-edge restore` as the same user as before (sudo): it completes the restore."
PARTS = ("-wal", "-shm", "")
"""Endings of the files that make a database; the file itself is the last that is moved."""


class Closable(Protocol):
    """A connection or a file."""

    def close(self) -> None:
        """Release the resource."""


@contextmanager
def closed_on_error(one: Closable) -> Iterator[None]:
    """Close something when the block raises; else it stays open."""
    try:
        yield
    except BaseException:
        one.close()
        raise


def code_of(error: BaseException | None) -> int:
    """Return the primary result code of an SQLite error, without the extended part.

    https://sqlite.org/rescode.html
    """
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file is damaged."""
    return code_of(error) in DAMAGED


def is_full(error: BaseException) -> bool:
    """Tell whether an error means that the disk, or the size allowed for the file, is full."""
    if isinstance(error, OSError):
        return error.errno in _NO_SPACE
    return code_of(error) == sqlite3.SQLITE_FULL


def is_read_only(error: BaseException) -> bool:
    """Tell whether SQLite refused to write because it has the file open for reading only.

    SQLite does so while a card refuses writes, and does not retry until the file is reopened.
    """
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    return code_of(cause) == sqlite3.SQLITE_READONLY


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise in the block into ``StoreError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except UnicodeDecodeError as error:
        # What SQLite quotes from a damaged list of tables is no text.
        raise DamageError(f"{path}: {_MEANINGS[sqlite3.SQLITE_CORRUPT]}") from error
    except OSError as error:
        text = (
            f"{error.filename or path}: {error.strerror or error}. Name another folder with --data."
        )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            text = f"{path}: {_NO_PERMISSION}"
        elif is_full(error):
            text = f"{path}: {_FULL}"
        raise StoreError(text) from error


def refuse_pipe(path: Path) -> None:
    """Refuse a pipe or a device where a database has to be: opening one may wait for ever.

    Raises:
        StoreError: it is one.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # whoever opens it gets an error
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise StoreError(
            f"{path}: is a pipe or a device, and no database. Nothing was changed. See who made it "
            f"(ls -l {shell_word(path.parent)}), and delete it."
        )


def said_by(error: Exception) -> str:
    """Return the words of an error, in quotes if they are SQLite's: a trigger can choose them.

    Nobody is to take them for advice of this program.
    """
    if not isinstance(error, sqlite3.Error):
        return str(error)
    return f'SQLite said: "{printable(str(error))[:_LONGEST_QUOTE]}"'


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Return a ``StoreError`` that explains an SQLite error and says what to do."""
    text = f"{path}: {_MEANINGS.get(code_of(error), f'{said_by(error)}.')}"
    return DamageError(text) if is_damage(error) else StoreError(text)


def translated(path: Path, error: sqlite3.Error | StoreError) -> StoreError:
    """Return an error of SQLite in the words of ``store_error``, and any other as it is."""
    return error if isinstance(error, StoreError) else store_error(path, error)


def prepared_path(target: Path) -> Path:
    """Return the path of the prepared file that will replace ``target``."""
    return target.with_name(f"{target.name}{PREPARED}")


def is_half_replaced(database: Path) -> bool:
    """Tell whether a replacement was interrupted: its prepared files must stay.

    Raises:
        StoreError: the folder may not be read.
    """
    with translate_errors(database):
        return _journal(database).exists()


def refuse_half_replaced(database: Path) -> None:
    """Keep programs away from an appliance of which only some files are replaced.

    Raises:
        StoreError: a replacement was interrupted.
    """
    if is_half_replaced(database):
        raise StoreError(
            f"{database}: a restore was interrupted. Nothing is lost: the next start of the agent "
            f"completes it. {_FINISH}"
        )


def free_stamp(targets: Sequence[Path], stamp: str) -> str:
    """Return ``stamp``, with a number behind it if something was set aside under it before."""
    for number in count(1):
        tried = stamp if number == 1 else f"{stamp}-{number}"
        if not any(set_aside(targets, tried)):
            break
    return tried


def replace_files(database: Path, targets: Sequence[Path], stamp: str) -> None:
    """Move prepared files to their targets; old files are renamed ``….replaced.<stamp>``.

    The caller must hold the lock of the database.

    Args:
        database: the journal lies beside it.
        targets: the places; the file for each lies at its ``prepared_path``, complete and synced.
        stamp: as ``free_stamp`` gives it.

    Raises:
        StoreError: a folder cannot be written. Before the journal is there, nothing has changed;
            afterwards ``finish_replacement`` does the rest. Or another program has taken a prepared
            file or the journal away meanwhile.
    """
    journal = _journal(database)
    with translate_errors(journal):
        # The prepared files must be on the disk before a journal says that they are.
        for folder in {target.parent for target in targets}:
            sync_folder(folder)
        _write_journal(journal, {"targets": [str(one) for one in targets], "stamp": stamp})
    # By what is known here: who owns the folder may have exchanged the journal by now.
    _replace_all(targets, stamp, is_begun=False)
    _delete_journal(journal)


def _write_journal(journal: Path, content: dict[str, object]) -> None:
    """Write the journal beside its name and rename it: it is whole, or it is not there."""
    name = f"{journal.name}.part"
    # Root writes it as root, and believes no other: so in the folder itself, and through no link.
    folder = os.open(journal.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handle = os.open(name, flags, 0o640, dir_fd=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fchmod(handle, 0o640)
            if os.geteuid() == 0:  # the agent of the folder may read it
                os.fchown(handle, -1, os.fstat(folder).st_gid)
            os.fsync(handle)
        os.replace(name, journal.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def finish_replacement(database: Path) -> bool:
    """Complete a replacement that was interrupted; return whether there was one.

    Raises:
        StoreError: a folder cannot be written, or the journal cannot be believed.
    """
    journal = _journal(database)
    if not is_half_replaced(database):
        return False
    targets, stamp = _read(journal)
    # Any step may have been done before the interruption: each is safe to repeat.
    _replace_all(targets, stamp, is_begun=True)
    _delete_journal(journal)
    return True


def _replace_all(targets: Sequence[Path], stamp: str, *, is_begun: bool) -> None:
    for target in targets:
        try:
            with as_owner_of(target):
                if not is_begun and not prepared_path(target).exists():
                    raise StoreError(
                        f"{target}: was not replaced, for another program has taken "
                        f"{prepared_path(target).name} away. See what runs as the user of "
                        f"{target.parent}, stop it, and restore once more."
                    )
                _replace(target, stamp)
        except OSError as error:
            raise StoreError(
                f"{target}: a restore was interrupted before it was replaced, and this user cannot "
                f"replace it ({error.strerror}). {_FINISH}"
            ) from error


def _delete_journal(journal: Path) -> None:
    with translate_errors(journal):
        try:
            journal.unlink()
        except FileNotFoundError as error:
            raise StoreError(
                f"{journal}: another program has taken it away while files were replaced. All of "
                f"them are, but do not believe what lies in {journal.parent} before you know which "
                "program did it, and have stopped it."
            ) from error
        sync_folder(journal.parent)


def set_aside(targets: Sequence[Path], stamp: str) -> Iterator[Path]:
    """Yield the files that were set aside under a stamp."""
    yield from filter(Path.exists, (_aside(target, stamp) for target in targets))


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that its file names survive a power cut.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget_cached_pages(path: Path) -> None:
    """Have the kernel read the file from the disk again: a bad card gives back something else."""
    refuse_pipe(path)
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def _replace(target: Path, stamp: str) -> None:
    """Set the old file aside, then move the prepared file in; the order survives a power cut."""
    prepared = prepared_path(target)
    if not prepared.exists():  # done before the interruption
        return
    aside = _aside(target, stamp)
    # The database and its log together, for a log beside another database would damage it.
    for end in ("", *LOGS):
        present = target.with_name(target.name + end)
        if present.exists():
            present.rename(aside.with_name(aside.name + end))
    sync_folder(target.parent)
    prepared.rename(target)
    sync_folder(target.parent)


def _read(journal: Path) -> tuple[list[Path], str]:
    with translate_errors(journal):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(journal, flags)
        with os.fdopen(handle, encoding="utf-8") as file:
            if os.geteuid() == 0 and os.fstat(handle).st_uid != 0:
                # root moves nothing because a less trusted user wrote so
                raise StoreError(
                    f"{journal}: was written by another user. Run the command as the user that "
                    "owns it."
                )
            text = file.read(_LARGEST_JOURNAL)
        try:
            fields = json.loads(text)
            return [Path(target) for target in fields["targets"]], str(fields["stamp"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{journal}: is damaged. The files {PREPARED} are the new ones, those with "
                "'.replaced.' the old ones; put them right by hand and delete this file."
            ) from error


def _journal(database: Path) -> Path:
    return database.with_name(f"{database.name}.replacing")


def _aside(target: Path, stamp: str) -> Path:
    return target.with_name(f"{target.name}.replaced.{stamp}")


def unfinished_mark(path: Path) -> Path:
    """Return the path of the marker file that exists while a database is being replaced."""
    return path.with_name(f"{path.name}.salvaging")


def new_database(path: Path) -> Path:
    """Return the path at which the new database is made before it is moved into place."""
    return path.with_name(f"{path.name}.salvaged")


def free_name(path: Path) -> Path:
    """Return a name for a database that is set aside, with the present time and not yet taken."""
    for second in count(clock.now().wall_ms // 1000):
        stamp = datetime.fromtimestamp(second, UTC)
        name = path.with_name(f"{path.name}.damaged.{stamp:%Y%m%dT%H%M%SZ}")
        if not any(part_of(name, part).exists() for part in PARTS):
            break
    return name


def part_of(path: Path, part: str) -> Path:
    """Return one of the files of a database; ``part`` is one of ``PARTS``."""
    return path.with_name(path.name + part)


def set_aside_beside(path: Path) -> list[Path]:
    """Return the databases that were set aside, oldest first, without their logs."""
    files = path.parent.glob(f"{path.name}.damaged.*")
    # Logs are moved and deleted with their database.
    return sorted(file for file in files if not file.name.endswith(("-wal", "-shm")))


def delete_set_aside(path: Path) -> None:
    """Delete a database that was set aside, with its log."""
    for part in PARTS:
        part_of(path, part).unlink(missing_ok=True)


def refuse_unfinished(path: Path) -> None:
    """Refuse a path whose database is being salvaged: a new one would hide what is readable.

    An empty file would even make SQLite delete the log that is left.
    """
    if unfinished_mark(path).exists():
        raise StoreError(
            f"{path}: was damaged and is being salvaged. Try again in some seconds; the agent does "
            "it, so start it if it does not run."
        )
    missing = not path.exists() or path.stat().st_size == 0
    log_file = path.with_name(f"{path.name}-wal")
    if missing and log_file.exists() and log_file.stat().st_size:
        raise DamageError(
            f"{path}: is empty or gone, but its log {log_file.name} is left. Start the agent, "
            "which salvages what is in it."
        )
