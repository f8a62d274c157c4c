"""Agent and dashboard may be two users of one group: what both write, the group may write.

The folder says it: where its group may write, the database, its copies and locks belong to the
group, too. Its sticky bit keeps each from removing or replacing files of the other; what has to go
is emptied then. Everything else that a service writes there is its own.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

OF_GROUP = 0o660


def is_shared(folder: Path) -> bool:
    """Tell whether the group of a folder may write into it."""
    return bool(folder.stat().st_mode & stat.S_IWGRP)


def share(file: Path) -> None:
    """Let the group write a file, where it may write the folder.

    A file of somebody else, who alone may allow it, stays as it is.

    Raises:
        OSError: there is no such file, or the file system refuses.
    """
    if not is_shared(file.parent):
        return
    present = file.stat()
    if os.geteuid() not in {0, present.st_uid}:
        return
    if os.geteuid() == 0:
        group = file.parent.stat().st_gid
        if present.st_gid != group:
            os.chown(file, -1, group)
    if stat.S_IMODE(present.st_mode) != OF_GROUP:
        file.chmod(OF_GROUP)


def remove(file: Path) -> None:
    """Delete a file; one that only its owner may delete is emptied.

    Raises:
        OSError: neither is allowed.
    """
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        os.truncate(file, 0)


def put_in_place(fresh: Path, file: Path) -> None:
    """Let a complete file take the place of another; the content alone where that is another's.

    Raises:
        OSError: neither is allowed.
    """
    try:
        fresh.replace(file)
    except PermissionError:
        # not "wb": where fs.protected_regular is 2, as systemd sets it, a file of somebody else in
        # such a folder cannot be opened so that it would be made if it were missing
        with fresh.open("rb") as source, file.open("r+b") as target:
            shutil.copyfileobj(source, target)
            target.truncate()
            target.flush()
            os.fsync(target.fileno())  # the fresh one stays until this one is on the disk
        with suppress(OSError):
            fresh.unlink()
