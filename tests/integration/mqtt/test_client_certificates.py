"""The certificate that the agent shows to a broker, and the words where it shows the wrong one."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.errors import MqttError
from edge_agent.mqtt.broker import MqttState, encryption
from tests.support.broker import Certificates, Mosquitto, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start, wait_for_state

pytestmark = [
    pytest.mark.broker,
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made by the authority that the broker trusts; broker and agent share it here."""
    return Certificates.make(tmp_path_factory.mktemp("ours") / "tls", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("foreign") / "tls", "IP:127.0.0.1")


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
    return {
        "tls": True,
        "ca_file": broker_ca.ca,
        "client_certificate": own.certificate,
        "client_key": own.key,
    }


def test_a_certificate_of_the_brokers_authority_opens_the_door(
    strict: Mosquitto, ours: Certificates, outbox: MemoryOutbox, start: Start
) -> None:
    outbox.add()
    client = start(strict.port, **shown(ours, ours))
    wait_until(lambda: outbox.deleted == [1], f"the outbox to drain; {client.last_error}")


def test_a_broker_that_wants_a_certificate_and_gets_none_names_both_settings(
    strict: Mosquitto, ours: Certificates, start: Start
) -> None:
    client = start(strict.port, tls=True, ca_file=ours.ca)
    wait_until(lambda: client.last_error is not None, "the words")
    assert "mqtt.client_certificate and mqtt.client_key" in str(client.last_error)
    wait_for_state(client, MqttState.UNAUTHORISED)
    assert "wants a certificate and gets none" in str(client.last_error)


def test_a_certificate_of_another_authority_is_named(
    strict: Mosquitto, ours: Certificates, foreign: Certificates, start: Start
) -> None:
    client = start(strict.port, **shown(ours, foreign))
    wait_for_state(client, MqttState.UNAUTHORISED)
    assert str(foreign.certificate) in str(client.last_error)
    assert "unknown ca" in str(client.last_error)


def test_files_that_cannot_be_used_are_named_with_their_cure(
    tmp_path: Path, ours: Certificates, foreign: Certificates
) -> None:
    def problem(certificate: Path, key: Path) -> str:
        with pytest.raises(MqttError) as raised:
            encryption(MqttSettings(tls=True, client_certificate=certificate, client_key=key))
        return str(raised.value)

    missing, junk, locked = tmp_path / "missing", tmp_path / "junk", tmp_path / "locked"
    junk.write_text("no certificate", encoding="ascii")
    subprocess.run(
        ["openssl", "pkey", "-in", ours.key, "-aes128", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    broken = tmp_path / "broken"
    text = ours.certificate.read_text(encoding="ascii")
    broken.write_text(text[:100] + "!" + text[101:], encoding="ascii")
    assert "mqtt.client_certificate" in problem(missing, ours.key)
    assert "cannot be read (No such file" in problem(missing, ours.key)
    assert "mqtt.client_key" in problem(ours.certificate, tmp_path)
    assert "let the agent's user read it" in problem(ours.certificate, tmp_path)
    assert "holds not a certificate" in problem(junk, ours.key)
    assert "holds not a private key" in problem(ours.certificate, ours.certificate)
    assert "does not belong to" in problem(ours.certificate, foreign.key)
    assert "passphrase" in problem(ours.certificate, locked)
    assert "is damaged" in problem(broken, ours.key)


def test_a_key_that_everybody_can_read_is_warned_of(
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
