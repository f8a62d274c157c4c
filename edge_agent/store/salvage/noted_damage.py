"""Damage that another program has met: a note beside the database, for the agent to act on.

The nightly maintenance reads every page, the agent only those that it needs. What it finds must not
wait until the agent needs a damaged one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from edge_agent.store.database.sqlite_errors import translate_errors


def note_damage(path: Path, what: str) -> None:
    """Leave word that a database is damaged.

    Args:
        path: the database.
        what: is damaged, as the end of a sentence.

    Raises:
        StoreError: the folder cannot be written.
    """
    note = _note(path)
    fresh = note.with_name(f"{note.name}.part")
    with translate_errors(note):
        device, inode = _identity(path)
        text = json.dumps({"what": what, "device": device, "inode": inode})
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o640)
        if os.geteuid() == 0:  # as root, for those whose folder it is
            owner = note.parent.stat()
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(note)


def noted_damage(path: Path) -> str | None:
    """Return what is damaged in a database, as another program has noted; ``None``: nothing.

    A note about another file, which has been replaced since, does not count.
    """
    try:
        fields = json.loads(_note(path).read_text(encoding="utf-8"))
        same = (fields["device"], fields["inode"]) == _identity(path)
        return str(fields["what"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_damage(path: Path) -> None:
    """Delete the note, where there is one: the database is another one now, or sound."""
    with suppress(OSError):
        _note(path).unlink()


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.damage.json")


def _identity(path: Path) -> tuple[int, int]:
    file = path.stat()
    return file.st_dev, file.st_ino
