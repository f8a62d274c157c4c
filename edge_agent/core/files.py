"""Files that are replaced completely or not at all, and folders in which no link is followed.

What replaces a file gets the owner of its folder.

A path means what its folders say at the moment at which it is used. A less trusted user who owns
one of them can put a link there between a check and the use. So such a folder is opened once,
without following a link, its owner is read from the open folder, and what lies in it is named by
the open folder.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.bounds import printable
from edge_agent.core.errors import StoreError

RESERVED_BYTES = 500_000_000
"""Space that whoever writes leaves to the recording, on the disk of the data folder."""
LAST_BYTES = 100_000_000
"""Of the reserve, what is left by work that leads out of an emergency."""
_ELSEWHERE_BYTES = 1_000_000
"""Left on a disk on which nothing is recorded, for folders and lists."""
_SPACE = threading.Lock()
LOCK_S = 10.0
"""Longest wait for another program that holds a lock."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_MODIFY = 2  # of inotify(7)
_PASSES = 5
"""How often a folder is looked at anew while somebody goes on writing into it."""
_LONGEST_S = 120.0
"""For so long a folder is emptied into which somebody goes on writing."""
_STILL_WRITTEN = "something goes on writing there"
_DEEPEST = 40
"""Levels of folders that are deleted; an export has six."""


def changes_in(folder: Path) -> FileIO | None:
    """Return what can be read once a file in a folder was written, by whatever program (inotify).

    It never waits. ``None``: the system does not tell; look at intervals then.
    """
    libc = ctypes.CDLL(None)
    begin = getattr(libc, "inotify_init1", None)
    number = -1 if begin is None else begin(os.O_NONBLOCK | os.O_CLOEXEC)
    if number < 0:
        return None
    changes = FileIO(number, "rb")
    if libc.inotify_add_watch(number, os.fsencode(folder), _IN_MODIFY) < 0:
        changes.close()
        return None
    return changes


def room_in(folder: Path, *, data: Path | None = None, is_needed: bool = False) -> int:
    """Return how many bytes may still be written into a folder; below 0, none.

    Three kinds of work lead out of an emergency, and may use the reserve down to ``LAST_BYTES``:
    an upgrade and a restore, without which nothing is recorded, and the copy of which an archive is
    made, after which files here can be deleted. What frees space (erasure, retention) asks nothing.

    Args:
        folder: where it is written.
        data: the data folder; what is reserved is its disk. ``None``: the folder lies there.
        is_needed: whether the work leads out of an emergency.

    Raises:
        OSError: one of the folders is not there.
    """
    kept = LAST_BYTES if is_needed else RESERVED_BYTES
    if data is not None and folder.stat().st_dev != data.stat().st_dev:
        kept = _ELSEWHERE_BYTES
    return shutil.disk_usage(folder).free - kept


def write_piece(target: BinaryIO, piece: bytes, folder: Path, *, is_needed: bool = False) -> bool:
    """Write a piece of a file; tell whether there was room for it, as ``room_in`` says.

    Several threads write at once: of each, look and writing are one step.

    Args:
        target: the file, opened.
        piece: its next bytes.
        folder: it lies there.
        is_needed: as of ``room_in``.
    """
    with _SPACE:
        if room_in(folder, is_needed=is_needed) < len(piece):
            return False
        target.write(piece)
        target.flush()
    return True


def why_unreadable(path: object, error: OSError) -> str:
    """Return why a file that somebody named cannot be read, and what to do."""
    match error:
        case FileNotFoundError():
            return f"{path}: no such file. Check the path."
        case IsADirectoryError():
            return f"{path}: is a folder. Name a file in it."
        case PermissionError():
            return f"{path}: this user may not read it. Change its permissions, or copy it."
    return f"{path}: cannot be read ({error.strerror or error}). Copy it again."


def make_folder(folder: Path) -> None:
    """Make a folder with the owner of its parent, and its parents if needed.

    Raises:
        OSError: it cannot be made.
    """
    if folder.exists():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o750)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def give_owner(prepared: Path, target: Path, mode: int) -> None:
    """Give a file the owner and mode of the one it replaces, or the owner of its folder.

    Args:
        prepared: the file.
        target: the file to be replaced, or the new path.
        mode: for a file that replaces none.

    Raises:
        OSError: owner or mode cannot be set.
    """
    model = target.parent.stat()
    if target.is_file() and not target.is_symlink():
        model = target.stat(follow_symlinks=False)
        mode = model.st_mode & 0o777
    # Opened without following a link: whose folder it is may have exchanged the file meanwhile.
    handle = os.open(prepared, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            os.fchown(handle, model.st_uid, model.st_gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def replace_file(file: Path, content: bytes, mode: int) -> None:
    """Write a file, completely or not at all; an existing file keeps its owner and mode.

    When this returns, the file is on the disk under its name.

    Args:
        file: the path; a part with another name is beside it for a moment.
        content: its new content.
        mode: for a file that replaces none.

    Raises:
        OSError: it cannot be written; it is unchanged.
    """
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        # O_EXCL: a link that somebody put under this name is not followed.
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(handle)
        give_owner(part, file, mode)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    # The new name is data of the folder: without this, a power cut may bring the old file back.
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def opened_folder(
    path: Path, owners: Collection[int] | None = None, *, inside: int | None = None
) -> Iterator[int]:
    """Open a folder in the block, and yield its descriptor; a link at its end is not followed.

    Args:
        path: the folder; only its name counts where ``inside`` is given.
        owners: user ids that may own it; ``None``: any.
        inside: the open folder that it lies in; ``None``: the whole path is used.

    Raises:
        FileNotFoundError: there is none.
        StoreError: it is a link or no folder, or another user owns it.
        OSError: it cannot be opened.
    """
    try:
        handle = os.open(path if inside is None else path.name, _FOLDER, dir_fd=inside)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise StoreError(
            f"{path}: is a link or a file where a folder has to be, so nothing was read or changed "
            f"through it. See who made it (ls -l {shell_word(path.parent)}), "
            f"and delete it: rm {shell_word(path)}"
        ) from error
    try:
        owner = os.fstat(handle).st_uid
        if owners is not None and owner not in owners:
            raise StoreError(
                f"{path}: belongs to the user {owner}, who has no business there, so nothing was "
                "read or changed in it. See what it holds, and delete it or give it back (chown)."
            )
        yield handle
    finally:
        os.close(handle)


def take_lock(path: Path, handle: int) -> None:
    """Lock an open file or folder against other programs until it is closed.

    Whoever may read it can lock it, too: so nobody waits for ever.

    Args:
        path: of it, for messages.
        handle: its descriptor.

    Raises:
        StoreError: another program kept it locked for ``LOCK_S``.
    """
    until_s = clock.boot_seconds() + LOCK_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if clock.boot_seconds() > until_s:
            raise StoreError(
                f"{path}: another program has kept it locked for {LOCK_S:g} s; nothing was "
                "changed. Try again. If it stays so, stop the dashboard, which can read it: sudo "
                "systemctl stop affect-edge-dashboard"
            )
        clock.sleep(0.05)


def empty_folder(path: Path, folder: int) -> None:
    """Delete everything in an open folder; links are deleted and never followed.

    Its names are read one by one: another user may have made more than the memory holds.

    Args:
        path: the folder, for messages.
        folder: its descriptor.

    Raises:
        StoreError: something cannot be deleted, or more is written than is deleted.
    """
    until_s = clock.boot_seconds() + _LONGEST_S
    failed = None
    for _ in range(_PASSES):
        is_empty, failed = True, None
        with os.scandir(folder) as entries:
            for one in entries:
                is_empty = False
                try:
                    _delete(one.name, folder, _DEEPEST, until_s)
                except OSError as error:
                    failed = one.name, error.strerror or str(error)
                if clock.boot_seconds() > until_s:
                    break
        if is_empty:
            return
    name, why = failed or ("", _STILL_WRITTEN)
    raise StoreError(
        f"{printable(str(path / name))}: cannot be deleted ({why}). Stop what writes there, "
        f"and delete it as root: sudo rm -r {shell_word(path / name)}"
    )


def _delete(name: str, folder: int, levels: int, until_s: float) -> None:
    """Delete what has a name in an open folder: a file, a link, or a folder with what lies in it.

    Raises:
        OSError: it cannot be deleted, has more levels, or is not empty at that boot time.
    """
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=folder)  # of a link, the link itself
        except IsADirectoryError:
            if not levels:
                raise OSError(errno.ELOOP, "too many folders in one another") from None
            inner = os.open(name, _FOLDER, dir_fd=folder)
            try:
                with os.scandir(inner) as entries:
                    for one in entries:
                        _delete(one.name, inner, levels - 1, until_s)
                        if clock.boot_seconds() > until_s:
                            raise OSError(errno.EBUSY, _STILL_WRITTEN)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
