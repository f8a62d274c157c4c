"""A device joins by a code, with a real broker and a real service: all of it, or nothing."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from edge_agent.appliance.enrolment import fleet as enrolling
from edge_agent.appliance.enrolment import joining
from edge_agent.appliance.enrolment.asking import JoinServer
from edge_agent.appliance.enrolment.code import JoinCode
from edge_agent.appliance.enrolment.service import TRIES, Guessers
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import EnrolmentError
from edge_agent.mqtt.connecting.log_in import log_in
from edge_agent.mqtt.connecting.states import ConnectionEndedError
from edge_agent.runtime.mqtt_setup import configured_broker
from tests.support.broker import free_port
from tests.support.fleet.enrolment import CONFIG, FleetHere, JoiningDevice, fleet_here

pytestmark = [pytest.mark.deep, pytest.mark.broker]


@pytest.fixture(params=[False, True], ids=["accounts", "certificates"])
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FleetHere]:
    with fleet_here(tmp_path / "server", certificates=request.param) as running:
        yield running


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[FleetHere]:
    with fleet_here(tmp_path / "server") as running:
        yield running


@pytest.fixture
def device(tmp_path: Path) -> JoiningDevice:
    return JoiningDevice(tmp_path / "room-1")


def refused(
    device: JoiningDevice, here: FleetHere, code: JoinCode, **how: object
) -> EnrolmentError:
    """Return why a device is refused; nothing of it is left on the device."""
    before = device.config.read_text(encoding="utf-8")
    folders = device.folders
    with pytest.raises(EnrolmentError) as raised:
        device.join(here, code, **how)  # type: ignore[arg-type]
    assert device.config.read_text(encoding="utf-8") == before
    assert device.folders == folders
    return raised.value


def may_enter(device: JoiningDevice) -> bool:
    try:
        log_in(configured_broker(device.settings.mqtt), "look")
    except ConnectionEndedError:
        return False
    return True


def test_a_device_joins_and_its_configuration_keeps_what_its_owner_wrote(
    here: FleetHere, device: JoiningDevice
) -> None:
    code = here.code("room-1")
    assert here.states() == {"room-1": "invited"}
    with here.serving():
        joined = device.join(here, code)
    assert here.states() == {"room-1": "joined"}
    assert here.events()[-3:] == ["code made", "account made", "joined"]
    text = device.config.read_text(encoding="utf-8")
    assert "# how room 1 is set up" in text
    assert "# its first name" in text
    settings = device.settings
    assert (settings.device.name, settings.mqtt.username) == ("room-1", "room-1")
    assert settings.fleet.enabled
    assert settings.mqtt.tls
    assert not settings.mqtt.home_assistant
    assert joined.before.read_text(encoding="utf-8") == CONFIG
    assert any(line.startswith('+name = "room-1"') for line in device.shown)
    (folder,) = device.folders
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o400 for file in folder.iterdir())
    wants = here.options.certificates
    assert (settings.mqtt.client_key == folder / "device.key") == wants
    assert may_enter(device)


def test_the_server_keeps_no_code_no_password_and_no_key_of_a_device(
    here: FleetHere, device: JoiningDevice
) -> None:
    code = here.code("room-1")
    with here.serving():
        device.join(here, code)
    (folder,) = device.folders
    secrets = [code.secret.encode(), (folder / "password").read_bytes().strip()]
    if here.options.certificates:
        secrets.append((folder / "device.key").read_bytes().splitlines()[1])
    for file in here.place.folder.iterdir():
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file
        assert file.stat().st_mode & 0o077 == 0 or file.name == "authority.pem"


def test_a_code_is_good_once(here: FleetHere, device: JoiningDevice, tmp_path: Path) -> None:
    code = here.code("room-1")
    other = JoiningDevice(tmp_path / "other")
    with here.serving():
        device.join(here, code)
        error = refused(other, here, code)
        assert error.refusal == "used"
        assert "This code was used, 20" in str(error)
        assert refused(device, here, code).refusal == "used"
    assert may_enter(device)
    with pytest.raises(EnrolmentError, match="has joined already"):
        here.code("room-1")


def test_a_wrong_code_an_expired_one_and_a_replaced_one_are_refused(
    plain: FleetHere, device: JoiningDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plain.code("room-1")
    second = plain.code("room-1")
    with plain.serving():
        assert refused(device, plain, first).refusal == "wrong"
        unknown = JoinCode("ZZZZZ", second.secret, second.pin)
        assert refused(device, plain, unknown).refusal == "wrong"
        later = clock.now().shifted(3_601)
        monkeypatch.setattr(clock, "now", lambda: later)
        error = refused(device, plain, second)
        assert error.refusal == "expired"
        assert "Have another one made" in str(error)
        assert plain.states() == {"room-1": "expired"}
    assert "refused: expired" in plain.events()


def test_five_wrong_secrets_end_a_code(plain: FleetHere, device: JoiningDevice) -> None:
    code = plain.code("room-1")
    wrong = JoinCode(code.id, "0" * 10, code.pin)
    with plain.serving():
        for _ in range(enrolling.WRONG_TRIES):
            assert refused(device, plain, wrong).refusal == "wrong"
        assert refused(device, plain, code).refusal == "closed"
        again = plain.code("room-1")
        device.join(plain, again)
    assert plain.states() == {"room-1": "joined"}


def test_who_guesses_is_not_listened_to(plain: FleetHere, device: JoiningDevice) -> None:
    code = plain.code("room-1")
    at = [0.0]
    with plain.serving(Guessers(lambda: at[0])):
        for number in range(TRIES):
            unknown = JoinCode(f"ZZZ{number:02d}", code.secret, code.pin)
            assert refused(device, plain, unknown).refusal == "wrong"
        error = refused(device, plain, code)
        assert error.refusal == "too_many"
        assert "Try again in 600 s" in str(error)
        at[0] = 601.0
        device.join(plain, code)
    assert plain.events().count("refused: unknown code") == TRIES


def test_nothing_is_sent_to_another_server(
    plain: FleetHere, device: JoiningDevice, tmp_path: Path
) -> None:
    code = plain.code("room-1")
    with fleet_here(tmp_path / "stranger") as stranger, stranger.serving():
        error = refused(device, plain, code, server=stranger.server)
        assert error.refusal == "fingerprint"
        assert "Nothing was sent" in str(error)
        assert not [event for event in stranger.events() if event.startswith("refused")]


def test_a_server_that_is_away_and_one_that_is_none(
    plain: FleetHere, device: JoiningDevice
) -> None:
    code = plain.code("room-1")
    away = refused(device, plain, code, server=JoinServer("127.0.0.1", free_port()))
    assert "fleet-enrol serve" in str(away)
    broker = JoinServer("127.0.0.1", plain.options.local_port)
    assert refused(device, plain, code, server=broker).refusal == "unreachable"
    tls = JoinServer("127.0.0.1", plain.options.port)  # the broker itself: the same key, no HTTP
    assert refused(device, plain, code, server=tls).refusal == "unreachable"


def test_a_wrong_clock_is_told_and_the_code_stays_good(
    plain: FleetHere, device: JoiningDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = plain.code("room-1")
    check = joining._check_clock
    with plain.serving():
        monkeypatch.setattr(joining, "_check_clock", lambda ms: check(ms - 400_000))
        error = refused(device, plain, code)
        assert error.refusal == "clock"
        assert "timedatectl" in str(error)
        monkeypatch.undo()
        device.join(plain, code)


def test_a_broker_that_is_away_leaves_everything_as_it_was(
    here: FleetHere, device: JoiningDevice
) -> None:
    code = here.code("room-1")
    with here.serving():
        here.broker.stop()
        error = refused(device, here, code)
        assert error.refusal == "broker"
        assert "the code can be used again" in str(error)
        assert here.states() == {"room-1": "joining"}
        here.broker.start()
        device.join(here, code)
    assert may_enter(device)


def test_who_does_not_agree_can_use_the_code_again(plain: FleetHere, device: JoiningDevice) -> None:
    code = plain.code("room-1")
    with plain.serving():
        assert refused(device, plain, code, agree=False).refusal == "declined"
        device.join(plain, code)


def test_a_confirmation_that_does_not_arrive_takes_the_configuration_back(
    plain: FleetHere, device: JoiningDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = plain.code("room-1")

    def lost(*_: object) -> None:
        raise EnrolmentError("The line is dead.", "unreachable")

    with plain.serving():
        with monkeypatch.context() as patch:
            patch.setattr(joining, "CONFIRM_PAUSES_S", (0.01, 0.0))
            patch.setattr(JoinServer, "confirm", lost)
            assert refused(device, plain, code).refusal == "unreachable"
        assert device.config.read_text(encoding="utf-8") == CONFIG
        device.join(plain, code)
    assert plain.states() == {"room-1": "joined"}


def test_two_devices_with_one_code_one_of_them_joins(
    plain: FleetHere, device: JoiningDevice, tmp_path: Path
) -> None:
    code = plain.code("room-1")
    other = JoiningDevice(tmp_path / "other")

    def meanwhile(_lines: object) -> bool:
        other.join(plain, code)
        return True

    with plain.serving():
        join = joining.FleetJoin(device.config, plain.server, code, print, meanwhile)
        with pytest.raises(EnrolmentError, match="Another device fetched") as raised:
            join.run()
    assert raised.value.refusal == "overtaken"
    assert device.config.read_text(encoding="utf-8") == CONFIG
    assert may_enter(other)


def test_what_is_not_confirmed_in_time_has_no_account(
    here: FleetHere, device: JoiningDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = here.code("room-1")
    with here.serving():
        assert refused(device, here, code, agree=False).refusal == "declined"
    assert "room-1:" in here.place.passwords.read_text(encoding="utf-8")
    later: Instant = clock.now().shifted(3_601)
    monkeypatch.setattr(clock, "now", lambda: later)
    here.fleet.tick()
    assert "room-1" not in here.place.passwords.read_text(encoding="utf-8")
    assert "room-1" not in here.place.rules.read_text(encoding="utf-8")
    assert here.states() == {"room-1": "expired"}


def test_a_stranger_gets_a_short_answer_and_a_short_connection(
    plain: FleetHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_agent.appliance.enrolment import service

    monkeypatch.setattr(service, "CONNECTION_S", 1.0)
    with plain.serving():
        for body in (b"", b"{}", b"\xff", b'{"id": 1}', b"[" * 10_000, b"x" * 20_000):
            assert b"bad_request" in answer_to(plain, b"POST /join", body)
        assert b"404" in answer_to(plain, b"GET /", b"")
        assert b"405" in answer_to(plain, b"GET /join", b"")
        # many who say nothing: they are cut off, and whoever has a code gets in
        silent = [opened(plain) for _ in range(20)]
        assert all(one.recv(100) == b"" for one in silent)
        for one in silent:
            one.close()


def opened(here: FleetHere) -> ssl.SSLSocket:
    import socket

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    line = socket.create_connection(("127.0.0.1", here.options.service_port), timeout=10)
    return context.wrap_socket(line)


def answer_to(here: FleetHere, start: bytes, body: bytes) -> bytes:
    with opened(here) as line:
        head = f" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall(start + head.encode() + body)
        answer = b""
        while part := line.recv(65_536):
            answer += part
        return answer
