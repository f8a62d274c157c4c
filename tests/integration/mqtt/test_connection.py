"""What a broker can refuse, and what settings cannot work: each with its cure."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.appliance.findings import Verdict
from edge_agent.appliance.running_checks import check_running
from edge_agent.config.loading import load_settings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.errors import MqttError
from edge_agent.mqtt import connection
from edge_agent.mqtt.broker import MqttState, encryption, read_password, tls_context
from tests.support.broker import Certificates, Mosquitto, free_port, subscribed, wait_until
from tests.support.mqtt_clients import Start, wait_for_state
from tests.support.outbox_rows import OutboxRows
from tests.support.transports.door import Door
from tests.support.transports.older_broker import OlderBroker
from tests.support.transports.web_socket import WebSocketDoor

pytestmark = [
    pytest.mark.broker,
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets only one user in."""
    with Mosquitto(tmp_path / "locked", users={"pi": "right"}) as mosquitto:
        yield mosquitto


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made by the authority that the broker trusts; broker and agent share it here."""
    return Certificates.make(tmp_path_factory.mktemp("ours") / "tls", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("foreign") / "tls", "IP:127.0.0.1")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_password_wrong_is_unauthorised_and_tried_again(
    locked: Mosquitto, start: Start, protocol: str
) -> None:
    client = start(locked.port, username="pi", password="wrong", protocol=protocol)
    text = wait_for_state(client, MqttState.UNAUTHORISED)
    assert "'pi'" in text and "mqtt.username" in text and "wrong" not in text
    locked.change_password("pi", "wrong")
    assert wait_for_state(client, MqttState.CONNECTED) == ""
    assert "wrong" not in repr(MqttSettings(username="pi", password="wrong"))


def test_user_missing_is_unauthorised_and_named(locked: Mosquitto, start: Start) -> None:
    text = wait_for_state(start(locked.port), MqttState.UNAUTHORISED)
    assert "refuses visitors without a name" in text and "mqtt.username" in text


def test_message_forbidden_by_access_rules_waits_until_it_is_allowed(
    tmp_path: Path, outbox: OutboxRows, start: Start
) -> None:
    rules = "user other\ntopic write affect-edge/other/#\n"
    with Mosquitto(tmp_path / "mosquitto", users={"other": "y"}, acl=rules) as mosquitto:
        outbox.add()
        client = start(mosquitto.port, username="other", password="y")
        text = wait_for_state(client, MqttState.UNAUTHORISED)
        assert "'other'" in text and "affect-edge/pi/#" in text
        client.wake()
        assert outbox.count() == 1
        mosquitto.change_rules(f"{rules}topic write affect-edge/pi/#\n")
        wait_until(outbox.is_empty, "the outbox to drain")
        assert wait_for_state(client, MqttState.CONNECTED) == ""


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_tls_right_authority_delivers_the_outbox(
    tmp_path: Path, outbox: OutboxRows, start: Start, ours: Certificates, protocol: str
) -> None:
    with Mosquitto(tmp_path / "mosquitto", certificates=ours) as mosquitto:
        outbox.add_all(*({"filler": "x" * 2000} for _ in range(200)))
        client = start(mosquitto.port, tls=True, ca_file=ours.ca, protocol=protocol)
        wait_until(outbox.is_empty, "the outbox to drain")
        assert client.state is MqttState.CONNECTED


@pytest.mark.parametrize(
    ("name", "own_authority"), [("DNS:elsewhere.example", True), ("IP:127.0.0.1", False)]
)
def test_certificate_of_another_host_or_authority_is_not_trusted(
    tmp_path: Path, start: Start, foreign: Certificates, name: str, own_authority: bool
) -> None:
    certificates = Certificates.make(tmp_path / "tls", name)
    with Mosquitto(tmp_path / "mosquitto", certificates=certificates) as mosquitto:
        authority = certificates.ca if own_authority else foreign.ca
        text = wait_for_state(
            start(mosquitto.port, tls=True, ca_file=authority), MqttState.UNTRUSTED
        )
    assert "mqtt.ca_file" in text and "mqtt.host" in text


@pytest.fixture(scope="module", params=["tlsv1.2", "tlsv1.3"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ours: Certificates
) -> Iterator[Mosquitto]:
    """A broker that lets nobody in without a certificate, for each version of TLS."""
    rules = {"require_certificate": "true", "cafile": ours.ca, "tls_version": request.param}
    folder = tmp_path_factory.mktemp("strict")
    with Mosquitto(folder, certificates=ours, limits=rules) as mosquitto:
        yield mosquitto


def shown(broker_ca: Certificates, own: Certificates) -> dict[str, object]:
    certificate = {"client_certificate": own.certificate, "client_key": own.key}
    return {"tls": True, "ca_file": broker_ca.ca, **certificate}


def test_broker_requiring_a_certificate_takes_only_one_of_its_authority(
    strict: Mosquitto, ours: Certificates, foreign: Certificates, outbox: OutboxRows, start: Start
) -> None:
    text = wait_for_state(start(strict.port, tls=True, ca_file=ours.ca), MqttState.UNAUTHORISED)
    assert "mqtt.client_certificate and mqtt.client_key" in text
    assert "requires a certificate and gets none" in text
    text = wait_for_state(start(strict.port, **shown(ours, foreign)), MqttState.UNAUTHORISED)
    assert str(foreign.certificate) in text and "unknown ca" in text
    outbox.add()
    client = start(strict.port, **shown(ours, ours))
    wait_until(outbox.is_empty, f"the outbox to drain; {client.last_error}")


def test_certificate_file_unusable_is_named_with_the_remedy(
    tmp_path: Path, ours: Certificates, foreign: Certificates
) -> None:
    def problem(certificate: Path, key: Path) -> str:
        with pytest.raises(MqttError) as raised:
            encryption(MqttSettings(tls=True, client_certificate=certificate, client_key=key))
        return str(raised.value)

    missing, junk, locked = tmp_path / "missing", tmp_path / "junk", tmp_path / "locked"
    junk.write_text("no certificate", encoding="ascii")
    lock = f"openssl pkey -in {ours.key} -aes128 -passout pass:x -out {locked}"
    subprocess.run(lock.split(), check=True, capture_output=True)
    broken = tmp_path / "broken"
    text = ours.certificate.read_text(encoding="ascii")
    broken.write_text(text[:100] + "!" + text[101:], encoding="ascii")
    assert "mqtt.client_certificate" in problem(missing, ours.key)
    assert "cannot be read (No such file" in problem(missing, ours.key)
    assert "mqtt.client_key" in problem(ours.certificate, tmp_path)
    assert "let the agent's user read it" in problem(ours.certificate, tmp_path)
    assert "does not contain a certificate" in problem(junk, ours.key)
    assert "does not contain a private key" in problem(ours.certificate, ours.certificate)
    assert "does not belong to" in problem(ours.certificate, foreign.key)
    assert "passphrase" in problem(ours.certificate, locked)
    assert "is damaged" in problem(broken, ours.key)


def test_client_key_readable_by_everybody_is_warned_of(
    tmp_path: Path, ours: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key"
    key.write_bytes(ours.key.read_bytes())
    broker = MqttSettings(tls=True, client_certificate=ours.certificate, client_key=key)
    with caplog.at_level(logging.WARNING):
        key.chmod(0o640)
        assert encryption(broker) is not None
        assert not caplog.records
        key.chmod(0o644)
        assert encryption(broker) is not None
    assert f"chmod o-rwx {key}" in caplog.text


def test_authority_file_missing_or_wrong_is_refused_at_once(tmp_path: Path, start: Start) -> None:
    missing = r"mqtt\.ca_file .*ca\.pem: cannot be read \(No such file.*leave ca_file out"
    with pytest.raises(MqttError, match=missing):
        start(1, tls=True, ca_file=tmp_path / "ca.pem")
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate", encoding="ascii")
    with pytest.raises(MqttError, match=r"junk\.pem: contains no certificate.*PEM"):
        start(1, tls=True, ca_file=junk)
    assert tls_context(None).check_hostname


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"cannot be read \(No such file"),
        (b"", "first line is empty"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_password_file_gives_its_first_line_or_is_named_with_the_remedy(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MqttError, match=f"mqtt.password_file .*password: .*{said}"):
        read_password(file)
    file.write_text("pass word \nsecond line\n", encoding="utf-8")
    assert read_password(file) == "pass word "


def test_two_appliances_of_one_name_get_a_hint_at_the_name(
    mosquitto: Mosquitto, start: Start
) -> None:
    first = start(mosquitto.port)
    wait_for_state(first, MqttState.CONNECTED)
    for client in (first, start(mosquitto.port)):
        wait_until(
            lambda one=client: "same device.name" in (one.last_error or ""),  # type: ignore[misc]
            "the hint at the name",
        )


class Peer(Door):
    """Something that is no mosquitto: reads a greeting and says fixed bytes, or nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def _serve(self, caller: socket.socket) -> None:
        self.sockets.append(caller)
        caller.recv(1024)
        if self._answer:
            with contextlib.suppress(OSError):
                caller.sendall(self._answer)
                caller.shutdown(socket.SHUT_WR)


NO_BROKER = b"HTTP/1.1 400 Bad Request\r\n\r\n"


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
        (NO_BROKER, MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x05\x00\x00\x02\x7f\x01", MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x05\x00\x00\x02\x22\x01", MqttState.UNREACHABLE, "Is it a broker"),
        (b"\x20\x04\x00\x03\x01\x02", MqttState.UNREACHABLE, "Is it a broker"),
    ],
)
def test_peer_that_is_no_broker_or_refuses_is_named(
    start: Start, answer: bytes, state: MqttState, said: str
) -> None:
    with Peer(answer) as peer:
        text = wait_for_state(start(peer.port), state)
    assert f"127.0.0.1:{peer.port}" in text and said in text


def test_tls_at_a_port_without_it_asks_for_the_tls_port(start: Start, ours: Certificates) -> None:
    with Peer(NO_BROKER) as peer:
        client = start(peer.port, tls=True, ca_file=ours.ca)
        assert "TLS port" in wait_for_state(client, MqttState.UNTRUSTED)


def test_peer_never_answering_is_unreachable(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    with Peer(b"") as peer:
        assert "did not answer" in wait_for_state(start(peer.port), MqttState.UNREACHABLE)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
def test_host_unknown_is_unreachable(start: Start, host: str) -> None:
    assert host in wait_for_state(start(1883, host=host), MqttState.UNREACHABLE)


REFUSAL = b"\x20\x02\x00\x01"
"""CONNACK of MQTT 3.1.1: unacceptable protocol version (3.2.2.3)."""


@pytest.mark.parametrize(
    ("answer", "levels", "said"),
    [(REFUSAL, [5, 4], "does not speak MQTT 5"), (b"", [5, 5, 4], "hangs up at MQTT 5")],
)
def test_broker_without_mqtt_5_gets_everything_by_the_older_version(
    mosquitto: Mosquitto,
    outbox: OutboxRows,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    levels: list[int],
    said: str,
) -> None:
    outbox.add()
    with OlderBroker(mosquitto.port, answer) as older:
        client = start(older.port)
        wait_until(outbox.is_empty, f"the outbox to drain; {client.last_error}")
        assert client.state is MqttState.CONNECTED
        assert older.levels == levels
        assert f"127.0.0.1:{older.port}: {said}; 3.1.1 is used" in str(client.last_error)
        assert 'set mqtt.protocol to "3.1.1"' in str(client.last_error)
        assert sum("3.1.1 is used" in record.getMessage() for record in caplog.records) == 1
        settings = {"mqtt": {"port": older.port}, "dashboard": {"port": free_port()}}
        findings = check_running(load_settings(None, settings), None)
        broker = next(finding for finding in findings if finding.check == "broker")
        assert (broker.verdict, said in broker.found) == (Verdict.WARNING, True), broker
        client.stop()
        assert client.join(60)


def test_older_broker_wrong_password_is_unauthorised(locked: Mosquitto, start: Start) -> None:
    with OlderBroker(locked.port, REFUSAL) as older:
        client = start(older.port, username="pi", password="wrong")
        assert "refuses user 'pi'" in wait_for_state(client, MqttState.UNAUTHORISED)


@pytest.mark.parametrize(("tls", "protocol"), [(False, "5"), (True, "5"), (True, "3.1.1")])
def test_web_sockets_deliver_the_outbox(
    mosquitto: Mosquitto,
    outbox: OutboxRows,
    start: Start,
    ours: Certificates,
    tls: bool,
    protocol: str,
) -> None:
    path = "/broker?as=mqtt"
    outbox.add_all(*({"filler": "x" * 5000} for _ in range(20)))
    with (
        WebSocketDoor(mosquitto.port, path, ours if tls else None) as door,
        subscribed(mosquitto.port) as reader,
    ):
        given: dict[str, object] = {"tls": True, "ca_file": ours.ca} if tls else {}
        given |= {"transport": "websockets", "websocket_path": path, "protocol": protocol}
        client = start(door.port, **given)
        wait_until(outbox.is_empty, "the outbox to drain")
        assert client.state is MqttState.CONNECTED
        wait_until(lambda: len(reader.on("summary")) == 20, "all summaries")
        client.stop()
        assert reader.wait_for("status", lambda said: said["state"] == "offline")
        assert client.join(60)
    assert len(door.requests) == 1


def test_web_sockets_wrong_path_or_port_names_both_settings(
    mosquitto: Mosquitto, start: Start
) -> None:
    with WebSocketDoor(mosquitto.port) as door:
        for port in (door.port, mosquitto.port):
            client = start(port, transport="websockets", websocket_path="/elsewhere")
            wait_until(lambda one=client: bool(one.last_error), "the words")  # type: ignore[misc]
            assert client.state is MqttState.UNREACHABLE
            assert f"127.0.0.1:{port}: opens no WebSocket at /elsewhere" in str(client.last_error)
            assert "mqtt.websocket_path" in str(client.last_error)
