"""Ends the wait of a thread that listens to a socket."""

from __future__ import annotations

import socket


class WakeSignal:
    """A pair of sockets: ``set`` makes one of them readable, which ends a wait in ``select``.

    A thread that waits for the broker's bytes cannot also wait for a ``threading.Event``; with
    these sockets one ``select`` waits for both.

    Example:
        >>> wake = WakeSignal()
        >>> wake.set()
        >>> wake.clear()
        >>> wake.close()
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable, for ``select``."""
        return self._reader.fileno()

    def set(self) -> None:
        """End the wait, or the next one; may be called from any thread, also after ``close``."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            return  # the buffer is full: the reader will wake up anyway
        except OSError:
            return  # the worker has ended and closed the sockets

    def clear(self) -> None:
        """Read everything, so that the next wait lasts until the next ``set``."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close both sockets."""
        self._reader.close()
        self._writer.close()
