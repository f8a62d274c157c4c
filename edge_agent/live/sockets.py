"""Local sockets at a path: listening, replacing the file of a dead process, serving.

Their files are readable and writable for user and group only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_agent.core.errors import ServerError
from edge_agent.core.threads import Worker

WAITING = 32
"""Most connections that wait to be accepted."""
# The kernel's limit for the address of a local socket, without the closing zero byte.
_LONGEST_ADDRESS = 107


def is_served(path: Path) -> bool:
    """Return whether an agent accepts readers at its socket; one that hangs still does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with socket_address(path) as address:
                probe.connect(address)
        except BlockingIOError:  # it exists, and its queue is full
            return True
        except OSError:
            return False
    return True


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``; replace the file of a dead agent.

    Raises:
        ServerError: another agent serves it, or it cannot be created.
    """
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            listener.bind(address)
        path.chmod(0o660)
        listener.listen(WAITING)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ServerError(
            f"local socket {path}: cannot be made ({error.strerror or error}). The folder must "
            "exist on a local disk and be writable for the agent."
        ) from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a dead process.

    Raises:
        ServerError: a running process serves it, or it is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # missing, or unreadable: then bind() raises the error
    if not stat.S_ISSOCK(mode):
        raise ServerError(f"local socket {path}: something else has this name. Move it away.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            with socket_address(path) as address:
                probe.connect(address)
        # Refused means that the file is there and no process listens: what a killed agent leaves
        # behind.
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ServerError(
                f"local socket {path}: cannot be taken over ({error}). Remove it."
            ) from error
    raise ServerError(
        f"local socket {path}: another agent serves it. Stop that one, or choose "
        "another data folder."
    )


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address for the socket: its path, or a shorter one if that is too long."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    # sun_path has 108 bytes (unix(7)); a path through /proc/self/fd has the folder in a few of
    # them.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class SocketWorker(Worker):
    """A thread that serves a local socket, and removes its file at the end.

    Args:
        name: of the thread.
        path: of the socket; readable and writable for user and group.
    """

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._path = path
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen, then serve in the thread.

        Raises:
            ServerError: another agent serves the socket, or it cannot be made there.
        """
        self._listener = listen(self._path)
        super().start()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """Give what listens; then close it, and remove its file unless another agent made it."""
        assert self._listener is not None, "start() listens"
        mine = self._path.stat()
        try:
            with self._listener:
                yield self._listener
        finally:
            with contextlib.suppress(OSError):
                if self._path.stat().st_ino == mine.st_ino:
                    self._path.unlink()
