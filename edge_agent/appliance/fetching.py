"""Downloads from untrusted places: https only, with limits on size, time and redirects."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from edge_agent.core import clock
from edge_agent.core.addresses import Address
from edge_agent.core.errors import UpdateError
from edge_agent.core.files import LAST_BYTES, write_piece

LARGEST_BYTES = 2 * 10**9
"""Largest size of an archive."""
_SILENCE_S = 15.0
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class DownloadBounds:
    """The limits of one download.

    Attributes:
        size: most bytes.
        seconds: most time, from the request to the last byte.
    """

    size: int
    seconds: float


def fetch_file(place: str, target: Path, bounds: DownloadBounds) -> None:
    """Copy a file, or the content of an https address, into a new file.

    Raises:
        UpdateError: it is missing, too large or too slow, or redirects away from https.
    """
    shown = Address(place)
    if "://" in place and not place.startswith("https://"):
        raise UpdateError(f"{shown}: give an https:// address or a file; others are not taken.")
    # The alarm ends the read somewhere, with one of many errors; the time tells that it was the
    # alarm.
    end = clock.boot_seconds() + bounds.seconds
    try:
        with _open(place, bounds) as stream, target.open("wb") as file:
            _copy(stream, file, shown, bounds, target.parent)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if clock.boot_seconds() >= end:
            raise _too_slow(shown, bounds) from error
        reason = getattr(error, "reason", None) or error
        raise UpdateError(f"{shown}: cannot be read ({shown.hide_in(str(reason))}).") from error
    # A connection that was shut down may look like the regular end of the content.
    if clock.boot_seconds() >= end:
        raise _too_slow(shown, bounds)


def _copy(
    stream: Any, file: BinaryIO, place: Address, bounds: DownloadBounds, folder: Path
) -> None:
    taken = 0
    while chunk := stream.read(_CHUNK):
        taken += len(chunk)
        if taken > bounds.size:
            raise UpdateError(
                f"{place}: is larger than the limit of {bounds.size:,} bytes. Nothing of it was "
                "used."
            )
        # A release closes holes, and may use the reserve.
        if not write_piece(file, chunk, folder, is_needed=True):
            raise no_room_error(str(place))


def no_room_error(what: str) -> UpdateError:
    """Return why a release is not used: the space that is reserved would not stay free."""
    return UpdateError(
        f"{what}: less than {LAST_BYTES / 1e6:.0f} MB would stay free on the disk. Free space. "
        "Nothing of it was used."
    )


def _too_slow(place: Address, bounds: DownloadBounds) -> UpdateError:
    return UpdateError(
        f"{place}: did not arrive within {bounds.seconds:g} s. Nothing of it was used."
    )


@contextmanager
def _open(place: str, bounds: DownloadBounds) -> Iterator[Any]:
    if not place.startswith("https://"):
        if Path(place).exists() and not Path(place).is_file():
            raise UpdateError(f"{place}: is not a file. Name the archive of a release.")
        with Path(place).open("rb") as file:
            yield file
        return
    sockets: list[socket.socket] = []
    opener = urllib.request.build_opener(_Connections(sockets), _HttpsRedirects())
    # A server that sends a byte now and then is never silent, and would hold us up for ever.
    alarm = threading.Timer(bounds.seconds, _hang_up, [sockets])
    alarm.daemon = True
    alarm.start()
    try:
        # This time-out is for a single read or write, not for the whole answer.
        with opener.open(place, timeout=min(_SILENCE_S, bounds.seconds)) as answer:
            yield answer
    finally:
        alarm.cancel()


def _hang_up(sockets: list[socket.socket]) -> None:
    # A copy: a redirect may add another connection meanwhile.
    for one in list(sockets):
        with suppress(OSError):
            # shutdown, not close: closing a socket does not wake another thread that reads from it.
            one.shutdown(socket.SHUT_RDWR)


class _Connections(urllib.request.HTTPSHandler):
    """Opens connections with the system's authorities, and remembers them."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection that can be ended from outside."""
        sockets = self._sockets

        # do_open makes the connection itself and takes a class, so the list comes by the closure.
        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        return self.do_open(Connection, req, context=ssl.create_default_context())


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https addresses only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse a redirect to an address without encryption."""
        if not newurl.startswith("https://"):
            raise UpdateError(
                f"{req.full_url}: redirects to {newurl[:200]}, which is not https. Nothing was "
                "fetched."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
