"""Exports that a passphrase locks, opened."""

from __future__ import annotations

import zipfile
from pathlib import Path

WORDS = "harbour violin seventeen mossy kettle"


def opened(file: Path, passphrase: str) -> bytes:
    """Return what is in a sealed file, by the library that others use, too."""
    import pyrage
    from pyrage import passphrase as locked
    from pyrage import x25519

    from edge_agent.timeline.export.sealed import KEY

    with zipfile.ZipFile(file) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".age") and one != KEY)
        key = locked.decrypt(archive.read(KEY), passphrase).decode().strip()
        return bytes(pyrage.decrypt(archive.read(name), [x25519.Identity.from_str(key)]))
