"""Files that are replaced completely or not at all, with the owner of their folder."""

from __future__ import annotations

import os
from pathlib import Path


def unread(path: object, error: OSError) -> str:
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
