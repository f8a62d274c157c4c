"""Files that a command of root writes belong to those whose folder they lie in."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder, for those whose folder the one above is.

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
        target: what it will replace, or where it will lie.
        mode: of a file that replaces none.

    Raises:
        OSError: owner or mode cannot be set.
    """
    model = target.parent.stat()
    if target.exists():
        model = target.stat()
        mode = model.st_mode & 0o777
    if os.geteuid() == 0:
        os.chown(prepared, model.st_uid, model.st_gid)
    prepared.chmod(mode)
