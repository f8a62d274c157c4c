"""Network streams (RTSP, RTMP, HTTP) and still-picture addresses of IP cameras.

Many IP cameras have a stream that is hard to reach, and an address that returns the present
picture. The standard library fetches the address, on a helper thread with a deadline: a name
service or a server that hangs cannot block the agent.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
from base64 import b64encode
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from edge_agent.camera.base import GRACE_S, Camera, Helper, Pace, closed_error
from edge_agent.camera.decoder import START_S, Decoder
from edge_agent.camera.pixels import LiveCamera
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.addresses import Address
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.pictures import MAX_BYTES, MAX_PIXELS, jpeg_size

if TYPE_CHECKING:
    from edge_agent.core.expression import Image


log = logging.getLogger(__name__)

PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "http": 80, "https": 443}
"""Kinds of address that are taken, with their usual ports."""
_REDIRECTIONS = 4
CONTENT_TYPES = frozenset({"image/jpeg", "image/jpg", "image/pjpeg"})
_TOO_MANY_BYTES = f"more than {MAX_BYTES // 1024**2} MiB"
_PIECE_BYTES = 64 * 1024
_CLOSED_POLL_S = 0.1
_EXAMPLE = "Write camera.device like http://user:password@192.168.1.20/snapshot.jpg."


class StreamCamera(LiveCamera):
    """A network stream: RTSP, RTMP, or HTTP (MJPEG and others that FFmpeg reads).

    Raises:
        CameraError: the address is wrong, there is no answer, or the answer is no video.

    Example::

        with StreamCamera(Address("rtsp://192.0.2.7/live")) as camera:
            frame = camera.read()
    """

    sets_pace = True
    starts_within_s = START_S

    def __init__(
        self, address: Address, *, rotate: Rotation = 0, stall_seconds: float = 5.0
    ) -> None:
        self._decoder: Decoder | None = None

        def open_capture() -> Decoder:
            begun = clock.boot_seconds()
            number = _checked_host(address, stall_seconds)
            left = max(0.5, stall_seconds - (clock.boot_seconds() - begun))
            # only now: for a camera that is away no process is started, again and again
            self._decoder = decoder = Decoder(address.shown, network=True)
            if self._closed.is_set():
                decoder.release()
            opened = _open_stream(
                decoder, _by_number(address.reveal(), number), address, (left, stall_seconds)
            )
            if not opened:
                raise _no_video(address, stall_seconds)
            return decoder

        def lost_error(waited: float) -> CameraError:
            if waited >= 0.9 * stall_seconds:
                what = f"{address}: no frame for {waited:.1f} s."
            else:
                what = f"{address}: the stream ended after waiting {waited:.1f} s."
            return CameraError(CameraReason.STALLED, what, "Check the network; it is opened again.")

        try:
            super().__init__(f"opencv:{address}", open_capture, lost_error, stall_seconds, rotate)
        except BaseException:
            self._closed.set()
            self._end_decoder()
            raise

    def hung_error(self, seconds: float) -> CameraError:
        """Return a plain error: the network hangs, and the stream can be opened again."""
        return CameraError(
            CameraReason.STALLED,
            f"{self.name}: the network has not answered for {seconds:.1f} s.",
            "Check the network and its name service; it is opened again.",
        )

    def _release(self) -> None:
        self._end_decoder()  # whoever waits for it has an error now
        super()._release()

    def _end_decoder(self) -> None:
        if self._decoder is not None:
            self._decoder.release()


def _open_stream(
    decoder: Decoder, place: tuple[str, str], shown: Address, waits: tuple[float, float]
) -> bool:
    """Open a stream, and return whether it is a video.

    ``_by_number`` gives the place; waits are for it and for each frame.

    Raises:
        CameraError: nothing came in time.
    """
    begun = clock.boot_seconds()
    # OpenCV's own time-outs are 30 s, for which this thread would hang.
    if decoder.open(*place, *(round(1000 * wait) for wait in waits)):
        return True
    if clock.boot_seconds() - begun >= 0.9 * waits[0]:
        raise CameraError(
            CameraReason.STALLED,
            f"{shown}: the server took the connection but sent no video for {waits[1]:.1f} s.",
            "Check that the camera is on and not at its limit of viewers; it is opened again.",
        )
    return False


@dataclass(frozen=True, slots=True)
class _WebAnswer:
    """The answer of a web server.

    Attributes:
        status: HTTP status.
        kind: type of its content.
        start: its first bytes.
        boundary: what separates the parts of the content; empty: it has none.
        at: the address that gave it; ``None``: the one that was asked.
    """

    status: int
    kind: str
    start: bytes
    boundary: str
    at: Address | None


def _no_video(address: Address, seconds: float) -> CameraError:
    """Return why a server gives no video: FFmpeg does not tell, so a web server is asked again."""
    begins = f"{address}: the server answers, but not with a video"
    answer = _asked_again(address, seconds) if address.scheme.startswith("http") else None
    if answer is None:
        return CameraError(
            CameraReason.UNREADABLE,
            f"{address}: the server answers, but not with a video.",
            "Check the path, user and password in camera.device.",
        )
    where = f" after a redirection to {answer.at}" if answer.at else ""
    if answer.status in {401, 403}:
        return CameraError(
            CameraReason.NO_PERMISSION,
            f"{begins}: it asks for a user and a password{where} (HTTP {answer.status}).",
            "Write both into camera.device (http://user:password@host/path), with the address "
            "behind the redirection if there is one.",
        )
    if answer.status != 200:
        return CameraError(
            CameraReason.UNREADABLE,
            f"{begins}: HTTP {answer.status}{where}.",
            "Check the path in camera.device; the camera's manual names it.",
        )
    if answer.kind in CONTENT_TYPES:
        return CameraError(
            CameraReason.UNREADABLE,
            f"{begins}: it gives a still picture{where}.",
            'Set camera.source = "snapshot".',
        )
    mark = f"--{answer.boundary.removeprefix('--')}".encode()
    if answer.boundary and answer.start.strip() and not answer.start.lstrip().startswith(mark):
        return CameraError(
            CameraReason.UNREADABLE,
            f"{begins}: its MJPEG stream does not begin with its boundary{where}.",
            'Take the camera\'s address of still pictures with camera.source = "snapshot", or its '
            "rtsp:// address.",
        )
    return CameraError(
        CameraReason.UNREADABLE,
        f"{begins}: {answer.kind}{where}.",
        "Take the camera's address of its stream; its manual names it.",
    )


def _asked_again(address: Address, seconds: float) -> _WebAnswer | None:
    """Return the answer of a web server, whose redirections are followed; ``None`` without one.

    User and password go to the first address only.
    """
    first = url = address.reveal()
    at: Address | None = None
    try:
        for _ in range(_REDIRECTIONS):
            parts = urlsplit(url)
            kind: type[http.client.HTTPConnection] = http.client.HTTPSConnection
            if parts.scheme == "http":
                kind = http.client.HTTPConnection
            elif parts.scheme != "https":
                return None
            with closing(kind(parts.hostname or "", parts.port, timeout=seconds)) as connection:
                path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
                connection.request("GET", path, headers=_login(parts) if url == first else {})
                answer = connection.getresponse()
                target = answer.headers.get("Location", "")
                if 300 <= answer.status < 400 and target:
                    url = urljoin(url, target)
                    at = Address(url)
                    continue
                return _WebAnswer(
                    answer.status,
                    answer.headers.get_content_type(),
                    answer.read1(_PIECE_BYTES) if answer.status == 200 else b"",
                    answer.headers.get_boundary() or "",
                    at,
                )
    except (OSError, http.client.HTTPException, ValueError):
        pass  # what there is to say is said without it
    return None


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


def _by_number(address: str, number: str) -> tuple[str, str]:
    """Return an address with the number of its host, and the name by which a web server is asked.

    The process that opens the stream cannot ask for names: that takes files.

    Example:
        >>> _by_number("http://me:secret@camera.local:8080/live", "192.0.2.7")
        ('http://me:secret@192.0.2.7:8080/live', 'camera.local:8080')
    """
    parts = urlsplit(address)
    login, at, host = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    shown = f"[{number}]" if ":" in number else number
    named = parts.hostname != number.partition("%")[0] and parts.scheme.startswith("http")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{shown}{port}")), host if named else ""


def _checked_host(address: Address, seconds: float) -> str:
    """Return the number of the host; raise unless a server accepts connections there."""
    example = (
        "Write camera.device like rtsp://user:password@host:554/path or http://host:8080/stream."
    )
    try:
        parts = urlsplit(address.reveal())
        host = parts.hostname
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{address}: is no address ({address.hide_in(str(error))}).",
            example,
        ) from error
    if not host or parts.scheme not in PORTS:
        known = ", ".join(f"{scheme}://" for scheme in PORTS)
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{address}: does not begin with one of {known} and a host.",
            example,
        )
    try:
        # FFmpeg reports a wrong host, a closed port and a wrong path alike; this tells them apart.
        with socket.create_connection((host, port), timeout=seconds) as connection:
            number: str = connection.getpeername()[0]
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, TimeoutError):
            reason = "no answer"
        # parts of a password, where a / in it was not encoded
        place = address.hide_in(f"{host}, port {port}")
        raise CameraError(
            CameraReason.NOT_FOUND,
            f"{address}: nobody answers at {place} ({reason}).",
            "Check that the camera is on, in this network, and that host and port are right.",
        ) from error
    return number


class SnapshotCamera(Camera):
    """Fetches a JPEG picture from an address, again and again.

    A user and a password in the address are sent only when the camera asks for them, by the method
    that it asks for (Basic or Digest).

    Args:
        address: ``http://`` or ``https://`` with a host; certificates are checked.
        interval_s: seconds from one picture to the next; a slower camera sets the pace itself.
        rotate: clockwise rotation of every picture, degrees.
        stall_seconds: a picture that is not complete after this long counts as ``stalled``.

    Raises:
        CameraError: the address cannot be used, nobody answers there, the user is refused, or the
            answer is no whole JPEG picture of at most 16 MiB.

    Example:
        Read one picture::

            address = Address("http://192.168.1.20/snapshot.jpg")
            with SnapshotCamera(address, interval_s=1.0) as camera:
                frame = camera.read()
    """

    sets_pace = True

    def __init__(
        self,
        address: Address,
        *,
        interval_s: float,
        rotate: Rotation = 0,
        stall_seconds: float = 5.0,
    ) -> None:
        parts = _check_address(address)
        self._shown = address
        super().__init__(f"snapshot:{address}", rotate)
        host = parts.netloc.rpartition("@")[2]  # without user and password
        self._url = urlunsplit(parts._replace(netloc=host, fragment=""))
        self._opener = _opener(self._url, parts)
        self._seconds = stall_seconds
        self._pace = Pace(1.0 / interval_s, self._closed)
        self._decoder: Decoder | None = None
        self._helper = Helper(f"camera {self.name}")
        try:
            self._first: tuple[Image, Instant] | None = self._fetch_in_time()
        except BaseException:
            self._closed.set()
            self._release()
            raise
        log.info("camera %s opened", self.name)

    def _next_frame(self) -> tuple[Image, Instant]:
        if not self._pace.wait():
            raise closed_error(self.name)
        first = self._first
        self._first = None
        if first is not None:
            return first
        return self._fetch_in_time()

    def _release(self) -> None:
        if self._decoder is not None:
            self._decoder.release()
        self._helper.stop()

    def _fetch_in_time(self) -> tuple[Image, Instant]:
        """Fetch a picture on the helper thread; give up at the deadline or when closed."""
        answer: Future[tuple[Image, Instant]] = self._helper.submit(self._fetch)
        starts_s = START_S if self._decoder is None else 0.0
        deadline_s = clock.boot_seconds() + self._seconds + GRACE_S + starts_s
        while True:
            try:
                return answer.result(_CLOSED_POLL_S)
            except TimeoutError:
                if self._closed.is_set():
                    raise closed_error(self.name) from None
                if clock.boot_seconds() > deadline_s:
                    raise self._too_late() from None

    def _fetch(self) -> tuple[Image, Instant]:
        """Return the present picture, and the time when its answer began."""
        deadline_s = clock.boot_seconds() + self._seconds
        try:
            with self._opener.open(self._url, timeout=self._seconds) as response:
                at = clock.now()
                self._check_headers(response)
                content = self._read(response, deadline_s)
        except HTTPError as error:
            error.close()  # it holds the connection
            raise self._status_error(error) from error
        except TimeoutError as error:
            raise self._too_late() from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._connection_error(error) from error
        return self._decode(content), at

    def _decode(self, content: bytes) -> Image:
        """Return the picture; what it says of itself is checked before a decoder sees it."""
        size = jpeg_size(content)
        if size is not None and size[0] * size[1] > MAX_PIXELS:
            most = f"more than {MAX_PIXELS // 1_000_000} million"
            raise self._too_large(f"{size[0]} × {size[1]} pixels, {most}")
        image = None if size is None else self._running_decoder().decode(content)
        if image is None:
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{self._shown}: the picture is no JPEG, broken or cut off.",
                "Check camera.device and the network; it is fetched again.",
            )
        return image

    def _running_decoder(self) -> Decoder:
        """Return the process that decodes, which starts with the first picture."""
        if self._decoder is None:
            self._decoder = Decoder(self._shown.shown, network=False)
            if self._closed.is_set():
                self._decoder.release()
        return self._decoder

    def _check_headers(self, response: http.client.HTTPResponse) -> None:
        kind = response.headers.get_content_type()
        if kind not in CONTENT_TYPES:
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{self._shown}: the server answers with {kind}, not with a JPEG picture.",
                "Take the camera's address of still pictures; for a stream set camera.source = "
                '"opencv".',
            )
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MAX_BYTES:
            raise self._too_large(_TOO_MANY_BYTES)

    def _read(self, response: http.client.HTTPResponse, deadline_s: float) -> bytes:
        """Read the whole body without relying on the length that the server announces."""
        content = bytearray()
        # read1: what has arrived, so that a server that sends byte by byte meets the deadline, too
        while piece := response.read1(_PIECE_BYTES):
            content += piece
            if len(content) > MAX_BYTES:
                raise self._too_large(_TOO_MANY_BYTES)
            if clock.boot_seconds() > deadline_s:
                raise self._too_late()
        return bytes(content)

    def _too_late(self) -> CameraError:
        return CameraError(
            CameraReason.STALLED,
            f"{self._shown}: no whole picture within {self._seconds:.1f} s.",
            "Check the camera and the network; it is fetched again.",
        )

    def _too_large(self, size: str) -> CameraError:
        return CameraError(
            CameraReason.UNREADABLE,
            f"{self._shown}: the picture has {size}.",
            "Set a smaller picture in the camera's own settings.",
        )

    def _status_error(self, error: HTTPError) -> CameraError:
        """Translate an HTTP status that is an error."""
        status = f"(HTTP {error.code})"
        if error.code in {401, 403}:
            return CameraError(
                CameraReason.NO_PERMISSION,
                f"{self._shown}: the camera refuses the user {status}.",
                "Check user and password in camera.device.",
            )
        if error.code in {404, 410}:
            return CameraError(
                CameraReason.NOT_FOUND,
                f"{self._shown}: there is no picture at this path {status}.",
                "Check the path in camera.device; the camera's manual names it.",
            )
        return CameraError(
            CameraReason.UNREADABLE,
            f"{self._shown}: the camera answers with an error {status}.",
            "Restart the camera if that does not end; it is fetched again.",
        )

    def _connection_error(self, error: Exception) -> CameraError:
        """Translate an error of the connection."""
        cause = error
        if isinstance(error, URLError) and isinstance(error.reason, Exception):
            cause = error.reason
        if isinstance(cause, TimeoutError):
            return self._too_late()
        if isinstance(cause, ssl.SSLError):
            return CameraError(
                CameraReason.UNREADABLE,
                f"{self._shown}: no trusted encryption "
                f"({self._shown.hide_in(str(cause.reason or cause))}).",
                "Let this machine trust the camera's certificate, or use http:// inside your "
                "own network.",
            )
        if isinstance(cause, OSError) and not isinstance(cause, http.client.HTTPException):
            reason = cause.strerror or self._shown.hide_in(str(cause))
            return CameraError(
                CameraReason.NOT_FOUND,
                f"{self._shown}: nobody answers ({reason}).",
                "Check that the camera is on, in this network, and that host and port are right.",
            )
        # the text of other errors may contain the address: only their kind is shown
        return CameraError(
            CameraReason.UNREADABLE,
            f"{self._shown}: the answer cannot be understood ({type(cause).__name__}).",
            _EXAMPLE,
        )


def _check_address(address: Address) -> SplitResult:
    """Return the parts of an address; raise unless it is HTTP or HTTPS with a host."""
    try:
        parts = urlsplit(address.reveal())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # a port that is no number raises
    except ValueError:
        usable = False
    if not usable:
        raise CameraError(
            CameraReason.UNREADABLE, f"{address}: is no http:// or https:// address.", _EXAMPLE
        )
    return parts


class _RefusalCloser(request.BaseHandler):
    """Closes the answer that asks for a password: the handlers that send it leave it open."""

    handler_order = 480  # before those handlers, which have 490

    def http_error_401(
        self, _request: request.Request, answer: IO[bytes], *_details: object
    ) -> None:
        """Close the answer; the next handler goes on."""
        answer.close()


def _opener(url: str, parts: SplitResult) -> request.OpenerDirector:
    """Return the opener for ``url``: HTTP and HTTPS only, and no proxy.

    A camera is in the local network, where a proxy cannot reach it. A redirection to a file or
    another protocol is an error, and the password is sent to no other host.
    """
    passwords = request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        user = unquote(parts.username)
        passwords.add_password(None, url, user, unquote(parts.password or ""))
    # Not build_opener(), which adds handlers for files, FTP and proxies.
    opener = request.OpenerDirector()
    for handler in (
        _RefusalCloser(),
        request.HTTPHandler(),
        request.HTTPSHandler(context=ssl.create_default_context()),
        request.HTTPDigestAuthHandler(passwords),
        request.HTTPBasicAuthHandler(passwords),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
        request.HTTPDefaultErrorHandler(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "affect-edge"), ("Accept", "image/jpeg")]
    return opener
