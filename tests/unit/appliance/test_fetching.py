"""Fetching a release: lies of a server, or of whoever holds the line, are refused."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.appliance.fetching import DownloadBounds, fetch_file
from edge_agent.core.errors import UpdateError
from tests.support.broker import Certificates

BOUNDS = DownloadBounds(64, 60.0)
NAME = "release.tar"
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Place:
    """A real server of a folder.

    Attributes:
        folder: what is published.
        address: of the server.
        odd: path → how it is answered otherwise.
    """

    folder: Path
    address: str
    odd: dict[str, Answer] = field(default_factory=dict)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "made", "IP:127.0.0.1")


@pytest.fixture
def place(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A server with https, whose authority this process trusts."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / NAME).write_bytes(b"program")
    made = Place(folder, "")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words: object) -> None:
            super().__init__(*words, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            odd = made.odd.get(self.path)
            if odd is None:
                super().do_GET()
            else:
                odd(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        made.address = f"https://127.0.0.1:{server.server_address[1]}"
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


def test_a_file_is_fetched_from_an_address_and_from_a_folder(place: Place, target: Path) -> None:
    for source in (f"{place.address}/{NAME}", str(place.folder / NAME)):
        fetch_file(source, target, BOUNDS)
        assert target.read_bytes() == b"program"
        target.unlink()


def test_a_huge_file_is_refused(place: Place, target: Path) -> None:
    (place.folder / NAME).write_bytes(b" " * 65)
    with pytest.raises(UpdateError, match="is larger than the limit of 64 bytes"):
        fetch_file(f"{place.address}/{NAME}", target, BOUNDS)


@pytest.mark.parametrize("begun", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: "])
def test_a_server_that_drips_is_left(place: Place, target: Path, begun: bytes) -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        """Send a byte of the file or of the header now and then, for ever."""
        with suppress(OSError):
            handler.wfile.write(begun)
            for _ in range(600):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)  # a server that is slow

    place.odd[f"/{NAME}"] = drip
    with pytest.raises(UpdateError, match=r"did not arrive within 0\.5 s"):
        fetch_file(f"{place.address}/{NAME}", target, DownloadBounds(64_000, 0.5))


def leads_to(address: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/release.tar", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_https_is_refused(place: Place, target: Path, address: str) -> None:
    place.odd[f"/{NAME}"] = leads_to(address)
    with pytest.raises(UpdateError, match=r"redirects to \w+://127.*which is not https"):
        fetch_file(f"{place.address}/{NAME}", target, BOUNDS)


def test_a_redirect_to_another_https_address_is_followed(place: Place, target: Path) -> None:
    place.odd["/old"] = leads_to(f"{place.address}/{NAME}")
    fetch_file(f"{place.address}/old", target, BOUNDS)
    assert target.read_bytes() == b"program"


def test_a_certificate_of_a_stranger_is_refused(
    place: Place, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(UpdateError, match="certificate verify failed"):
        fetch_file(f"{place.address}/{NAME}", target, BOUNDS)


def test_only_https_and_files_are_fetched(tmp_path: Path) -> None:
    for place in ("http://127.0.0.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd"):
        with pytest.raises(UpdateError, match="give an https"):
            fetch_file(place, tmp_path / "x", DownloadBounds(10, 1))
    with pytest.raises(UpdateError, match="is not a file"):
        fetch_file("/dev/zero", tmp_path / "x", DownloadBounds(10, 1))
    with pytest.raises(UpdateError, match=r"cannot be read \(.*No such file"):
        fetch_file(str(tmp_path / "away"), tmp_path / "x", DownloadBounds(10, 1))
