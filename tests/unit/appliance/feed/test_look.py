"""Looking for newer releases: what a server, or who holds the line, can lie about is refused."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.appliance.feed.fetching import Bounds, fetch_file
from edge_agent.appliance.feed.last_look import LastLook, read_look, write_look
from edge_agent.appliance.feed.look import fetch_archive, fetch_index, is_due, look
from edge_agent.appliance.trust import NAMESPACE, Trust
from edge_agent.core.errors import UpdateError
from tests.support.broker import Certificates
from tools.build_release import sign, write_index

NUMBER = 1_795_000_000
NOW_MS = 1_795_400_000_000
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Place:
    """Where releases are published: a folder, and a real server of it.

    Attributes:
        folder: what is published.
        address: of the server.
        key: that signs.
        odd: path → how it is answered otherwise.
    """

    folder: Path
    address: str
    key: Path
    odd: dict[str, Answer] = field(default_factory=dict)

    def publish(self, version: str, number: int = NUMBER, content: bytes = b"program") -> Path:
        """Publish a release; return its archive."""
        archive = self.folder / f"affect-edge-{version}.tar"
        archive.write_bytes(content)
        sign(archive, self.key)
        sign(write_index(archive, version, number), self.key)
        return archive


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls") / "made", "IP:127.0.0.1")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


def make_key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


@pytest.fixture
def trust(tmp_path: Path, key: Path) -> Trust:
    """An installed release that trusts the key."""
    config = tmp_path / "release/config"
    config.mkdir(parents=True)
    line = f'release namespaces="{NAMESPACE}" {key.with_suffix(".pub").read_text()}'
    (config / "release-signers").write_text(line)
    return Trust(tmp_path / "release", tmp_path / "etc")


@pytest.fixture
def place(
    tmp_path: Path, key: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A server with https, whose authority this process trusts."""
    folder = tmp_path / "published"
    folder.mkdir()
    made = Place(folder, "", key)

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
def state(tmp_path: Path) -> Path:
    return tmp_path / "state/last-look.json"


def test_a_newer_release_is_found_and_fetched(
    place: Place, trust: Trust, state: Path, tmp_path: Path
) -> None:
    place.publish("2.0.0")
    found = look(place.address, trust, state, NOW_MS)
    assert found.is_newer_than("1.9.9") and not found.is_newer_than("2.0.0")
    assert read_look(state) == found
    archive = fetch_archive(place.address, fetch_index(place.address, trust), tmp_path)
    assert archive.read_bytes() == b"program"
    trust.check(archive, archive.with_name(f"{archive.name}.sig"))


def test_a_folder_is_a_place_too(place: Place, trust: Trust, state: Path) -> None:
    place.publish("2.0.0")
    assert look(f"{place.folder}/", trust, state, NOW_MS).version == "2.0.0"


def test_a_list_that_somebody_else_signed_is_refused(
    place: Place, trust: Trust, state: Path, tmp_path: Path
) -> None:
    place.publish("2.0.0")
    sign(place.folder / "index.json", make_key(tmp_path / "other"))
    with pytest.raises(UpdateError, match="The list of releases is not trusted, and nothing of it"):
        look(place.address, trust, state, NOW_MS)
    kept = read_look(state)
    assert kept is not None and "not trusted" in kept.problem and not kept.version


def test_a_list_that_was_changed_is_refused(place: Place, trust: Trust, state: Path) -> None:
    place.publish("2.0.0")
    index = place.folder / "index.json"
    index.write_text(index.read_text().replace("2.0.0", "9.0.0"))
    with pytest.raises(UpdateError, match="list of releases is not trusted"):
        look(place.address, trust, state, NOW_MS)


def test_an_older_list_is_refused_and_the_newer_is_remembered(
    place: Place, trust: Trust, state: Path
) -> None:
    place.publish("1.0.0", NUMBER)
    old = {file: file.read_bytes() for file in place.folder.glob("index*")}
    place.publish("2.0.0", NUMBER + 1)
    look(place.address, trust, state, NOW_MS)
    for file, content in old.items():
        file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(UpdateError, match="An old list can hide a release that mends a hole"):
            look(place.address, trust, state, NOW_MS)
    kept = read_look(state)
    assert kept is not None and (kept.number, kept.version) == (NUMBER + 1, "2.0.0")


def test_an_archive_is_no_list_though_it_is_signed(place: Place, trust: Trust, state: Path) -> None:
    archive = place.publish("2.0.0")
    for suffix in ("", ".sig"):
        (place.folder / f"index.json{suffix}").write_bytes(
            archive.with_name(archive.name + suffix).read_bytes()
        )
    with pytest.raises(UpdateError, match="is signed, but no list of releases"):
        look(place.address, trust, state, NOW_MS)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../../etc/passwd"},
        {"file": "/etc/shadow"},
        {"version": "two"},
        {"size": -1},
        {"size": "7"},
        {"sha256": "short"},
        {"number": 0},
        {"kind": "something else"},
    ],
)
def test_a_signed_list_with_nonsense_in_it_is_refused(
    place: Place, trust: Trust, state: Path, changes: dict[str, object]
) -> None:
    place.publish("2.0.0")
    index = place.folder / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | changes))
    sign(index, place.key)
    with pytest.raises(UpdateError, match=next(iter(changes))):
        look(place.address, trust, state, NOW_MS)


def test_a_huge_list_is_refused(place: Place, trust: Trust, state: Path) -> None:
    place.publish("2.0.0")
    (place.folder / "index.json").write_bytes(b" " * 200_000)
    with pytest.raises(UpdateError, match="is larger than the 64,000 bytes"):
        look(place.address, trust, state, NOW_MS)


def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(600):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)  # a server that is slow
    except OSError:
        pass


def drip_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Never come to the end of the header."""
    try:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)  # a server that is slow
    except OSError:
        pass


@pytest.mark.parametrize("slow", [drip, drip_headers])
def test_a_server_that_drips_is_left(place: Place, trust: Trust, state: Path, slow: Answer) -> None:
    place.odd["/index.json"] = slow
    with pytest.raises(UpdateError, match=r"did not arrive within 0\.5 s"):
        look(place.address, trust, state, NOW_MS, Bounds(64_000, 0.5))


def leads_to(address: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/index.json", "ftp://127.0.0.1/x"])
def test_a_way_that_leads_out_of_https_is_not_taken(
    place: Place, trust: Trust, state: Path, address: str
) -> None:
    place.odd["/index.json"] = leads_to(address)
    with pytest.raises(UpdateError, match=r"leads to \w+://127.*which is not https"):
        look(place.address, trust, state, NOW_MS)


def test_a_way_to_another_https_address_is_taken(place: Place, trust: Trust, state: Path) -> None:
    place.publish("2.0.0")
    place.odd["/old/index.json"] = leads_to(f"{place.address}/index.json")
    place.odd["/old/index.json.sig"] = leads_to(f"{place.address}/index.json.sig")
    assert look(f"{place.address}/old", trust, state, NOW_MS).version == "2.0.0"


def test_a_changed_archive_is_refused(place: Place, trust: Trust, tmp_path: Path) -> None:
    place.publish("2.0.0").write_bytes(b"prograM")
    with pytest.raises(UpdateError, match="is not the archive that the signed list names"):
        fetch_archive(place.address, fetch_index(place.address, trust), tmp_path)


def test_an_archive_that_never_ends_is_refused(place: Place, trust: Trust, tmp_path: Path) -> None:
    place.publish("2.0.0").write_bytes(b"program and more")
    with pytest.raises(UpdateError, match="is larger than the 7 bytes"):
        fetch_archive(place.address, fetch_index(place.address, trust), tmp_path)


def test_a_certificate_of_a_stranger_is_refused(
    place: Place, trust: Trust, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish("2.0.0")
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(UpdateError, match="certificate verify failed"):
        look(place.address, trust, state, NOW_MS)


def test_a_place_that_is_away_is_told_and_what_was_known_stays(
    place: Place, trust: Trust, state: Path
) -> None:
    place.publish("2.0.0")
    look(str(place.folder), trust, state, NOW_MS)
    (place.folder / "index.json").unlink()
    with pytest.raises(UpdateError, match=r"index\.json: cannot be read \(.*No such file"):
        look(str(place.folder), trust, state, NOW_MS + 1)
    kept = read_look(state)
    assert kept is not None and kept.version == "2.0.0" and "No such file" in kept.problem


def test_nobody_that_is_trusted_is_said(place: Place, state: Path, tmp_path: Path) -> None:
    place.publish("2.0.0")
    (tmp_path / "empty/config").mkdir(parents=True)
    (tmp_path / "empty/config/release-signers").write_text("# none\n")
    with pytest.raises(UpdateError, match="No key is trusted to sign releases"):
        look(str(place.folder), Trust(tmp_path / "empty", tmp_path / "etc"), state, NOW_MS)


def test_a_look_is_due_once_a_day(state: Path) -> None:
    assert is_due(state, "/srv", NOW_MS), "there was none"
    write_look(state, LastLook(feed="/srv", checked_ms=NOW_MS))
    hour = 3_600_000
    assert not is_due(state, "/srv", NOW_MS + 19 * hour)
    assert is_due(state, "/srv", NOW_MS + 21 * hour)
    assert is_due(state, "/srv", NOW_MS - 1), "the clock was set back"
    assert is_due(state, "/mnt", NOW_MS), "another place"


def test_what_was_kept_and_cannot_be_read_counts_for_nothing(state: Path) -> None:
    state.parent.mkdir()
    for content in (b"", b"{", b'{"feed": 1}', b"\xff" * 100):
        state.write_bytes(content)
        assert read_look(state) is None


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UpdateError, match="cannot be written"):
        write_look(tmp_path / "file/last-look.json", LastLook(feed="/srv", checked_ms=1))


def test_only_https_and_files_are_fetched(tmp_path: Path) -> None:
    for place in ("http://127.0.0.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd"):
        with pytest.raises(UpdateError, match="only https"):
            fetch_file(place, tmp_path / "x", Bounds(10, 1))
    with pytest.raises(UpdateError, match="is no file"):
        fetch_file("/dev/zero", tmp_path / "x", Bounds(10, 1))


def test_an_odd_version_is_newer_than_none() -> None:
    assert not LastLook(feed="/srv", checked_ms=1, version="nonsense").is_newer_than("1.0.0")
