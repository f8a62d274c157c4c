"""Folders that a less trusted user can change: no link in them is followed.

A path means what its folders say at the moment at which it is used. A user who owns one of them can
put a link there between a check and the use. So a folder is opened once, without following a link,
its owner is read from the open folder, and what lies in it is named by the open folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.core.errors import StoreError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSES = 5
"""How often a folder is looked at anew while somebody goes on writing into it."""
_DEEPEST = 40
"""Levels of folders that are deleted; an export has six."""


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
            f"through it. See who made it (ls -l {path.parent}), and delete it: rm {path}"
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


def empty_folder(path: Path, folder: int) -> None:
    """Delete everything in an open folder; links are deleted and never followed.

    Args:
        path: the folder, for messages.
        folder: its descriptor.

    Raises:
        StoreError: something cannot be deleted, or more is written than is deleted.
    """
    failed: dict[str, str] = {}
    for _ in range(_PASSES):
        names = os.listdir(folder)
        if not names:
            return
        failed = {}
        for name in names:
            try:
                _delete(name, folder, _DEEPEST)
            except OSError as error:
                failed[name] = error.strerror or str(error)
    name, why = next(iter(failed.items()), ("", "something goes on writing there"))
    raise StoreError(
        f"{path / name}: cannot be deleted ({why}). Stop what writes there, and delete it as root: "
        f"sudo rm -r {path / name}"
    )


def _delete(name: str, folder: int, levels: int) -> None:
    """Delete what has a name in an open folder: a file, a link, or a folder with what lies in it.

    Raises:
        OSError: it cannot be deleted, or has more levels.
    """
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=folder)  # of a link, the link itself
        except IsADirectoryError:
            if not levels:
                raise OSError(errno.ELOOP, "too many folders in one another") from None
            inner = os.open(name, _FOLDER, dir_fd=folder)
            try:
                for one in os.listdir(inner):  # noqa: PTH208 - an open folder has no path
                    _delete(one, inner, levels - 1)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)
