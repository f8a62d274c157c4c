"""What a broker can refuse, and what settings cannot work: each with its cure."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.errors import MqttError
from edge_agent.mqtt import connection
from edge_agent.mqtt.broker import MqttState, read_password, tls_context
from tests.support.broker import Certificates, Mosquitto, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start, wait_for_state

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_wrong_password_is_called_unauthorised_and_tried_again(
    tmp_path: Path, start: Start, protocol: str
) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"pi": "right"}) as mosquitto:
        client = start(mosquitto.port, username="pi", password="wrong", protocol=protocol)
        text = wait_for_state(client, MqttState.UNAUTHORISED)
        assert "'pi'" in text
        assert "mqtt.username" in text
        assert "wrong" not in text
        mosquitto.change_password("pi", "wrong")
        assert wait_for_state(client, MqttState.CONNECTED) == ""
    assert "wrong" not in repr(MqttSettings(username="pi", password="wrong"))


def test_a_broker_that_wants_a_user_says_so_to_one_without_a_name(
    tmp_path: Path, start: Start
) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"pi": "right"}) as mosquitto:
        text = wait_for_state(start(mosquitto.port), MqttState.UNAUTHORISED)
    assert "refuses visitors without a name" in text
    assert "mqtt.username" in text


def test_messages_that_the_access_rules_forbid_stay_until_they_are_allowed(
    tmp_path: Path, outbox: MemoryOutbox, start: Start
) -> None:
    rules = "user other\ntopic write affect-edge/other/#\n"
    with Mosquitto(tmp_path / "mosquitto", users={"other": "y"}, acl=rules) as mosquitto:
        outbox.add()
        client = start(mosquitto.port, username="other", password="y")
        text = wait_for_state(client, MqttState.UNAUTHORISED)
        assert "'other'" in text
        assert "affect-edge/pi/#" in text
        client.wake()
        assert outbox.deleted == []
        mosquitto.change_rules(f"{rules}topic write affect-edge/pi/#\n")
        wait_until(lambda: outbox.deleted == [1], "the outbox to drain")
        assert wait_for_state(client, MqttState.CONNECTED) == ""


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_tls_with_the_right_authority_connects_and_delivers(
    tmp_path: Path, outbox: MemoryOutbox, start: Start, protocol: str
) -> None:
    certificates = Certificates.make(tmp_path / "tls", "IP:127.0.0.1")
    with Mosquitto(tmp_path / "mosquitto", certificates=certificates) as mosquitto:
        client = start(mosquitto.port, tls=True, ca_file=certificates.ca, protocol=protocol)
        for _ in range(200):
            outbox.add(filler="x" * 2000)
        client.wake()
        wait_until(lambda: len(outbox.deleted) == 200, "the outbox to drain")
        assert client.state is MqttState.CONNECTED


# paho leaves the socket of a failed handshake
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("name", "own_authority"), [("DNS:elsewhere.example", True), ("IP:127.0.0.1", False)]
)
def test_a_certificate_of_another_host_or_authority_is_not_trusted(
    tmp_path: Path, start: Start, name: str, own_authority: bool
) -> None:
    certificates = Certificates.make(tmp_path / "tls", name)
    other = Certificates.make(tmp_path / "other", name)
    with Mosquitto(tmp_path / "mosquitto", certificates=certificates) as mosquitto:
        authority = certificates.ca if own_authority else other.ca
        client = start(mosquitto.port, tls=True, ca_file=authority)
        text = wait_for_state(client, MqttState.UNTRUSTED)
        assert "mqtt.ca_file" in text
        assert "mqtt.host" in text


# paho leaves the socket of a failed handshake
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_to_a_port_without_it_asks_whether_this_is_the_tls_port(
    tmp_path: Path, start: Start
) -> None:
    certificates = Certificates.make(tmp_path / "tls", "IP:127.0.0.1")
    with Peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as peer:
        client = start(peer.port, tls=True, ca_file=certificates.ca)
        assert "TLS port" in wait_for_state(client, MqttState.UNTRUSTED)


def test_a_missing_or_wrong_authority_file_is_refused_at_once_and_named(
    tmp_path: Path, start: Start
) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(
        MqttError,
        match=r"mqtt\.ca_file .*ca\.pem: cannot be read \(No such file.*leave ca_file out",
    ):
        start(1, tls=True, ca_file=missing)
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate", encoding="ascii")
    with pytest.raises(MqttError, match=r"junk\.pem: holds no certificate.*PEM"):
        start(1, tls=True, ca_file=junk)


def test_tls_without_an_authority_file_trusts_the_systems() -> None:
    assert tls_context(None).check_hostname


def test_a_password_file_gives_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pass word \nsecond line\n", encoding="utf-8")
    assert read_password(file) == "pass word "


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"cannot be read \(No such file"),
        (b"", "first line is empty"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_an_unusable_password_file_is_named_with_its_cure(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MqttError, match=f"mqtt.password_file .*password: .*{said}"):
        read_password(file)


def test_two_appliances_of_one_name_are_told_apart_from_a_broken_line(
    mosquitto: Mosquitto, start: Start
) -> None:
    first = start(mosquitto.port)
    wait_for_state(first, MqttState.CONNECTED)
    second = start(mosquitto.port)
    hint = "same device.name"
    wait_until(lambda: hint in (first.last_error or ""), "the hint at the name")
    wait_until(lambda: hint in (second.last_error or ""), "the hint at the name")


class Peer:
    """Something that is no mosquitto: reads a greeting and says fixed bytes, or nothing."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(caller)
            caller.recv(1024)
            if self._answer:
                with contextlib.suppress(OSError):
                    caller.sendall(self._answer)
                    caller.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for caller in self._open:
            caller.close()


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (b"\x20\x02\x00\x01", MqttState.REFUSED, "3.1.1 was tried in vain"),
        (b"\x20\x03\x00\x88\x00", MqttState.REFUSED, "Server unavailable"),
        (b"\x20\x03\x00\x00\x00\xe0\x01\x8e", MqttState.REFUSED, "its own device.name"),
        (
            b"\x20\x02\x00",
            MqttState.UNREACHABLE,
            "mqtt.port its port without TLS (else set mqtt.tls = true)",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x05\x00\x00\x02\x7f\x01", MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x05\x00\x00\x02\x22\x01", MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x04\x00\x03\x01\x02", MqttState.UNREACHABLE, "Is it a broker"),
    ],
)
def test_a_peer_that_is_no_broker_or_refuses_is_named(
    start: Start, answer: bytes, state: MqttState, said: str
) -> None:
    with Peer(answer) as peer:
        text = wait_for_state(start(peer.port), state)
        assert f"127.0.0.1:{peer.port}" in text
        assert said in text


def test_a_peer_that_never_answers_is_left_after_a_while(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    with Peer(b"") as peer:
        assert "did not answer" in wait_for_state(start(peer.port), MqttState.UNREACHABLE)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
def test_a_host_that_does_not_exist_is_unreachable(start: Start, host: str) -> None:
    assert host in wait_for_state(start(1883, host=host), MqttState.UNREACHABLE)
