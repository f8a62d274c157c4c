"""Two folders with the same in them, byte by byte, owner by owner."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_agent.core.errors import EncryptionError


def size_of(folder: Path) -> int:
    """Return how many bytes the files of a folder have."""
    return sum(one.lstat().st_size for one in folder.rglob("*") if not one.is_dir())


def require_same(old: Path, new: Path) -> int:
    """Make sure that a copy has everything as it was; return how many files were compared.

    Sockets are left out: whoever listens makes them anew. So is what ext4 puts into a new file
    system, ``lost+found``.

    Raises:
        EncryptionError: something is missing, too much, or another; the first is named.
    """
    was = dict(_entries(old))
    now = dict(_entries(new))
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            what = "is missing" if name not in now else "differs"
            raise EncryptionError(
                f"The copy in the container is not what was copied: {name} {what}. Nothing "
                "was deleted, and all is as it was."
            )
    return len(was)


def _entries(folder: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    top = folder.resolve()
    for path in (top, *top.rglob("*")):
        name = path.relative_to(top).as_posix()
        about = path.lstat()
        if name == "lost+found" or stat.S_ISSOCK(about.st_mode):
            continue
        yield name, (about.st_mode, about.st_uid, about.st_gid, _content(path, about))


def _content(path: Path, about: os.stat_result) -> str:
    if stat.S_ISREG(about.st_mode):
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    if stat.S_ISLNK(about.st_mode):
        return str(path.readlink())
    return ""
