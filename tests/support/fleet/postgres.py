"""A real PostgreSQL in a folder of its own, as an ordinary user, reached by a socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

INSTALL = "PostgreSQL is not installed; on Debian: sudo apt install postgresql"


def postgres_programs() -> Path | None:
    """Return the folder with ``initdb`` and ``pg_ctl``; ``None`` where they are not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class Postgres:
    """A server that can be stopped, killed and started again on the same data.

    PostgreSQL refuses to run as root: there it runs as ``nobody``.

    Args:
        folder: where its files go; short, for the name of a socket has 107 bytes at the most.
        synced: whether it waits for the disk; a test that never cuts the power needs none of it.
    """

    def __init__(self, folder: Path, *, synced: bool = True) -> None:
        programs = postgres_programs()
        assert programs is not None, INSTALL
        self._programs = programs
        self.folder = folder
        self._data = folder / "data"
        self._settings = "" if synced else "-c fsync=off -c full_page_writes=off"
        self.port = 5432  # it only names the socket, and each server has a folder of its own
        self._user: str | None = "nobody" if os.getuid() == 0 else None
        if self._user is not None:
            nobody = pwd.getpwnam(self._user)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        words = ["-U", "fleet", "-A", "trust", "-E", "UTF8", "--no-sync", "--wal-segsize=1"]
        self._run("initdb", "-D", str(self._data), *words)

    @property
    def address(self) -> str:
        return f"postgresql://fleet@/postgres?host={self.folder}&port={self.port}"

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        if self._user is not None:
            command = ["runuser", "-u", self._user, "--", *command]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def start(self) -> None:
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses='' -c shared_buffers=64MB "
            f"-c max_connections=30 {self._settings}"
        )
        log = str(self.folder / "log")
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-t", "300", "-l", log, "-o", options, "start"
        )

    def stop(self, how: str = "fast") -> None:
        """End it: ``fast`` in good order, ``immediate`` as a power cut would."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def empty(self) -> None:
        """Take away what an earlier test left: tables, connections, or a server that is down."""
        # here, for other files are collected without the extra too
        import psycopg

        try:
            connection = psycopg.connect(self.address, autocommit=True)
        except psycopg.OperationalError:
            self.start()
            connection = psycopg.connect(self.address, autocommit=True)
        with connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA IF EXISTS fleet CASCADE")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")


@contextmanager
def running_postgres(*, synced: bool = True) -> Iterator[Postgres]:
    """A server for the length of a ``with`` block."""
    with (
        tempfile.TemporaryDirectory(prefix="ae-pg-") as folder,
        Postgres(Path(folder), synced=synced) as server,
    ):
        yield server
