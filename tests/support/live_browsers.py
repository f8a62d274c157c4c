"""Many browsers with the live page open: some read, some never do."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dashboard.accounts.accounts import Accounts, create_login_link
from dashboard.web.authentication import LOGIN_COOKIE, cookie_name
from dashboard.web.event_streams import AT_MOST
from dashboard.web.options import DashboardOptions

OFFLINE = b'"state":"offline"'
ONLINE = b'"state":"online"'


def log_in(database: Path, port: int) -> str:
    """Return the request of an event stream, with a login of its own."""
    accounts = Accounts(database, 1)
    link = create_login_link(database).removeprefix("/login?link=")
    token = accounts.log_in(accounts.follow_link(link))
    name = cookie_name(LOGIN_COOKIE, DashboardOptions(database.parent, port=port))
    return f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {name}={token}\r\n\r\n"


def log_ins(database: Path, port: int, browsers: int) -> list[str]:
    """Return requests of as many logins as so many browsers need: each holds a few streams."""
    return [log_in(database, port) for _ in range(browsers // (AT_MOST // 2) + 1)]


@dataclass(eq=False)
class Browser:
    """One open event stream.

    Attributes:
        connection: its socket.
        events: how many events it was sent so far.
        offline_at, online_at: when it was told so last, monotonic clock; ``None``: never.
        is_online: what it was told last; ``None``: neither.
        ended: whether the dashboard closed the stream.
    """

    connection: socket.socket
    events: int = 0
    offline_at: float | None = None
    online_at: float | None = None
    is_online: bool | None = None
    ended: bool = False
    _tail: bytes = field(default=b"", repr=False)

    def read(self) -> None:
        """Take in what has come."""
        try:
            data = self.connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        text = self._tail + data
        now = time.monotonic()
        self.events += text.count(b"\nevent: ") - self._tail.count(b"\nevent: ")
        if OFFLINE in text:
            self.offline_at = now
        if ONLINE in text:
            self.online_at = now
        if OFFLINE in text or ONLINE in text:
            self.is_online = text.rfind(ONLINE) > text.rfind(OFFLINE)
        self._tail = text[-len(OFFLINE) + 1 :]


class LiveBrowsers:
    """Opens event streams for the length of a ``with`` block; one thread reads them all.

    Args:
        port: of the dashboard.
        requests: what ``log_in`` returned, taken in turn.
        reading: how many read what comes.
        silent: how many never read a byte.
    """

    def __init__(self, port: int, requests: Sequence[str], reading: int, silent: int = 0) -> None:
        def opened(number: int, receive_bytes: int | None = None) -> Browser:
            request = requests[number % len(requests)]
            return Browser(_open(port, request, number, receive_bytes))

        self.reading = [opened(number) for number in range(reading)]
        self.silent = [opened(number, 4096) for number in range(silent)]
        self._selector = selectors.DefaultSelector()
        for browser in self.reading:
            self._selector.register(browser.connection, selectors.EVENT_READ, browser)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.1):
                key.data.read()
                if key.data.ended:
                    self._selector.unregister(key.fileobj)

    @property
    def told_offline(self) -> int:
        """How many were ever told that the agent is offline."""
        return sum(browser.offline_at is not None for browser in self.reading)

    @property
    def offline(self) -> int:
        """Number of browsers that were told last that the agent is offline."""
        return sum(browser.is_online is False for browser in self.reading)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
        self._selector.close()
        for browser in (*self.reading, *self.silent):
            browser.connection.close()


def _open(port: int, request: str, number: int, receive_bytes: int | None = None) -> socket.socket:
    connection = socket.socket()
    # The dashboard counts per address: 50 browsers to each.
    connection.bind((f"127.0.5.{1 + number // 50}", 0))
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request.encode())
    return connection
