"""A small file that everybody may read, replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from edge_agent.core.errors import UpdateError


def write_whole(file: Path, text: str) -> None:
    """Replace a file by a text; after a power cut there is the old one or the new one.

    Raises:
        UpdateError: it cannot be written.
    """
    new = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as stream:
            new = Path(stream.name)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.chmod(0o644)
        new.replace(file)
    except OSError as error:
        if new is not None:
            with suppress(OSError):
                new.unlink()
        raise UpdateError(f"{file}: cannot be written ({error.strerror}).") from error
