"""Files that take the places of others: all of them or none, whatever interrupts.

The new files lie prepared beside their places. A journal beside the database names them; from the
moment it is there, the only way is forward, and each step can be done again. What was in a place is
set aside, a database with its log; nothing is deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.sqlite_errors import translate_errors

PREPARED = ".backup-restoring"
"""End of the name of a prepared file; an erasure finds a prepared database by it."""
LOGS = ("-wal", "-shm", "-journal")
"""Ends of the names of what SQLite keeps beside a database."""
_FINISH = "Say `affect-edge restore` as the same user as before (sudo): it completes the restore."


def prepared_path(target: Path) -> Path:
    """Return where the file lies that is to take the place of ``target``."""
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
        if not any(_aside(target, tried).exists() for target in targets):
            break
    return tried


def replace_files(database: Path, targets: Sequence[Path], stamp: str) -> None:
    """Put prepared files in their places; what is there is called ``….replaced.<stamp>`` then.

    Whoever calls it holds the lock of the database.

    Args:
        database: the journal lies beside it.
        targets: the places; the file for each lies at its ``prepared_path``, complete and synced.
        stamp: as ``free_stamp`` gives it.

    Raises:
        StoreError: a folder cannot be written. Before the journal is there, nothing has changed;
            afterwards ``finish_replacement`` does the rest.
    """
    journal = _journal(database)
    fresh = journal.with_name(f"{journal.name}.part")
    with translate_errors(journal):
        for folder in {target.parent for target in targets}:
            sync_folder(folder)
        with fresh.open("w", encoding="utf-8") as file:
            json.dump({"targets": [str(target) for target in targets], "stamp": stamp}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o640)
        if os.geteuid() == 0:  # the agent of the folder may read it; its owner stays who wrote it
            os.chown(fresh, -1, journal.parent.stat().st_gid)
        fresh.replace(journal)
        sync_folder(journal.parent)
    finish_replacement(database)


def finish_replacement(database: Path) -> bool:
    """Complete a replacement that was interrupted; return whether there was one.

    Raises:
        StoreError: a folder cannot be written, or the journal cannot be believed.
    """
    journal = _journal(database)
    if not is_half_replaced(database):
        return False
    targets, stamp = _read(journal)
    for target in targets:
        try:
            _replace(target, stamp)
        except OSError as error:
            raise StoreError(
                f"{target}: a restore was interrupted before it was replaced, and this user cannot "
                f"replace it ({error.strerror}). {_FINISH}"
            ) from error
    with translate_errors(journal):
        journal.unlink()
        sync_folder(journal.parent)
    return True


def set_aside(targets: Sequence[Path], stamp: str) -> Iterator[Path]:
    """Yield what was set aside under a stamp."""
    yield from (_aside(target, stamp) for target in targets if _aside(target, stamp).exists())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(target: Path, stamp: str) -> None:
    """Set aside what is there, then move the prepared file in: in this order after a power cut."""
    prepared = prepared_path(target)
    if not prepared.exists():  # done before the interruption
        return
    aside = _aside(target, stamp)
    for end in ("", *LOGS):
        present = target.with_name(target.name + end)
        if present.exists():
            present.rename(aside.with_name(aside.name + end))
    sync_folder(target.parent)
    prepared.rename(target)
    sync_folder(target.parent)


def _read(journal: Path) -> tuple[list[Path], str]:
    with translate_errors(journal):
        if os.geteuid() == 0 and journal.stat().st_uid != 0:
            # root moves nothing because a less trusted user wrote so
            raise StoreError(
                f"{journal}: was written by another user. Run the command as the user that owns it."
            )
        try:
            fields = json.loads(journal.read_text(encoding="utf-8"))
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
