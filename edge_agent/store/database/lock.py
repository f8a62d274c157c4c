"""The lock that the one agent of a database holds."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from edge_agent.core.errors import StoreError
from edge_agent.store.database.sqlite_errors import translate_errors


class DatabaseLock:
    """Held by the one agent of a database.

    Two recorders would count the same seconds twice in the rollups.

    Released by ``release`` and by the end of the process, however it ends.
    """

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        """Let another agent take the database; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> DatabaseLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def lock(path: Path) -> DatabaseLock:
    """Become the agent of the database at ``path``; the lock file lies beside it, named ``….lock``.

    Raises:
        StoreError: another agent has it (its process id is named), or the folder cannot be written.
    """
    file_name = path.with_suffix(".lock")
    with translate_errors(file_name):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(file_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            # The kernel releases it with the process: a crash leaves no lock behind.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(file, 20).decode("ascii", "replace").strip()
            os.close(file)
            raise StoreError(
                f"{path}: another agent records into this "
                f"database{f' (process {holder})' if holder else ''}. Stop that one first, or give "
                "this one a folder of its own with --data."
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode("ascii"))
    return DatabaseLock(file)
