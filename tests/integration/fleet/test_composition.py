"""The files of a fleet's server in containers; ``make test-container`` runs the containers."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
import yaml
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

import psycopg

from collector.__main__ import collect
from collector.database.schema import migrate
from tests.support.broker import free_port, wait_until
from tests.support.fleet.postgres import INSTALL, postgres_programs

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "container/fleet"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
COLLECTORS = ("collector-1", "collector-2")
SECRETS = "${AFFECT_EDGE_SECRETS:-./secrets}/"


def make_secrets(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run what makes the secrets, as the container does."""
    return subprocess.run(
        ["sh", str(FOLDER / "fleet-secrets"), *words],
        env={**os.environ, "FLEET_SECRETS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    done = make_secrets(tmp_path, "localhost", "room-1")
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_every_secret_is_a_file_that_is_made_given_to_who_names_it(secrets: Path) -> None:
    for name, one in COMPOSE["secrets"].items():
        assert one == {"file": f"{SECRETS}{name}"}
        assert (secrets / name).stat().st_size
    own = {
        "database": (FOLDER / "start-database").read_text(),
        "broker": (FOLDER / "mosquitto.conf").read_text(),
    }
    for name, service in SERVICES.items():
        text = str(service) + own.get(name, "")
        named = set(re.findall(r"(?:/run/secrets|\$FLEET_SECRETS)/([a-z.]+)", text))
        assert named == set(service["secrets"]), name
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", COLLECTORS)
def test_a_collector_is_started_with_options_that_there_are(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    assert program == "collect"
    options = collect.make_context("collect", words).params
    assert options["tls"] is True
    assert options["hosts"] == ("broker",)
    assert options["database"] == "postgresql://collector@database/fleet"
    asked = SERVICES[name]["healthcheck"]["test"]
    assert asked == ["CMD", "affect-edge", "health", "--collector", str(options["health_file"])]


def test_secrets_go_into_no_image_and_no_repository() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored.index("container/fleet/secrets") > ignored.index("!container")
    assert "/container/fleet/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_folder_of_secrets_is_closed_and_what_is_there_stays(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    for closed in ("ca.key", "appliances/room-1.password"):
        assert (secrets / closed).stat().st_mode & 0o077 == 0
    before = {one: one.read_bytes() for one in secrets.rglob("*") if one.is_file()}
    assert make_secrets(secrets, "localhost", "room-1", "room-2").returncode == 0
    changed = {one.name for one in before if one.read_bytes() != before[one]}
    assert changed == {"accounts"}
    accounts = (secrets / "accounts").read_text().splitlines()
    assert [line.split(":")[0] for line in accounts] == ["collector", "room-1", "room-2"]
    assert accounts[:2] == before[secrets / "accounts"].decode().splitlines()


def test_machine_renamed_gets_another_certificate_of_the_same_authority(secrets: Path) -> None:
    authority = (secrets / "ca.pem").read_bytes()
    for name, asked in (("192.0.2.7", "-checkip"), ("2001:db8::7", "-checkip")):
        assert make_secrets(secrets, name).returncode == 0
        certificate = (secrets / "broker.pem").read_bytes()
        shown = ["openssl", "x509", "-in", str(secrets / "broker.pem"), "-noout", asked, name]
        done = subprocess.run(shown, capture_output=True, text=True, check=True)
        assert "does match" in done.stdout
        assert make_secrets(secrets, name).returncode == 0
        assert (secrets / "broker.pem").read_bytes() == certificate
    assert (secrets / "ca.pem").read_bytes() == authority


def test_a_password_that_was_lost_is_made_anew_with_its_account(secrets: Path) -> None:
    before = (secrets / "accounts").read_text()
    (secrets / "appliances/room-1.password").unlink()
    assert make_secrets(secrets, "localhost", "room-1").returncode == 0
    after = (secrets / "accounts").read_text()
    assert after.count("room-1:") == 1
    assert after != before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "say by which name or address"),
        (("a/b",), "'a/b' is neither the name nor the address"),
        (("host", "room 1"), "'room 1' is no name of an appliance"),
        (("host", "room\nuser eve"), "is no name of an appliance"),
        (("host", "+"), "'+' is no name of an appliance"),
        (("host", "../x"), "'../x' is no name of an appliance"),
        (("host", "x" * 41), "at most 40"),
        (("host", "collector"), "no appliance can be called 'collector'"),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_is_made(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    done = make_secrets(tmp_path, *words)
    assert done.returncode == 2
    assert text in done.stderr
    assert list(tmp_path.iterdir()) == []


@contextmanager
def broker(secrets: Path, port: int) -> Iterator[None]:
    """mosquitto by the configuration of the container, with other paths and another port."""
    text = (FOLDER / "mosquitto.conf").read_text()
    text = re.sub(r"/tmp/(?!rules)|/run/secrets/", f"{secrets}/", text)
    text = text.replace("/tmp/rules", str(FOLDER / "rules"))
    text = text.replace("/messages/", f"{secrets}/").replace("listener 8883", f"listener {port}")
    config = secrets / "mosquitto.conf"
    config.write_text(f"user {pwd.getpwuid(os.getuid()).pw_name}\n{text}")
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "mosquitto is not installed; on Debian: apt install mosquitto"
    with (secrets / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(config)], stderr=log)
    try:
        wait_until(lambda: "running" in (secrets / "log").read_text(), "the broker")
        yield
    finally:
        process.terminate()
        process.wait(60)


def answer_to(client: paho.Client, port: int, topic: str) -> str:
    """Publish a message; return what the broker says of it, or why it took none."""
    said: list[str] = []
    client.on_publish = lambda _client, _data, _mid, reason, _properties: said.append(str(reason))

    def connected(_client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            said.append(f"refused: {reason}")
        else:
            client.publish(topic, "x", qos=1)

    client.on_connect = connected
    try:
        client.connect("localhost", port)
        until_s = time.monotonic() + 60
        while not said and time.monotonic() < until_s:
            if client.loop(0.2) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                said.append("no connection")
    except OSError as error:
        return f"no connection: {error}"
    finally:
        client.disconnect()
    return said[0]


@pytest.mark.broker
def test_the_broker_speaks_tls_alone_and_lets_each_account_write_its_own(secrets: Path) -> None:
    port = free_port()

    def publish(topic: str, account: str = "", *, tls: bool = True) -> str:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if tls:
            client.tls_set(str(secrets / "ca.pem"))
        if account:
            folder = secrets / ("" if account == "collector" else "appliances")
            password = (folder / f"{account}.password").read_text().strip()
            client.username_pw_set(account, password)
        return answer_to(client, port, topic)

    with broker(secrets, port):
        # nobody reads what is written here: the broker says so, and that it was taken
        taken = {"Success", "No matching subscribers"}
        assert publish("affect-edge/room-1/timeline", "room-1") in taken
        assert publish("affect-edge/room-1/timeline/confirmed", "collector") in taken
        assert publish("affect-edge/room-2/timeline", "room-1") == "Not authorized"
        assert publish("affect-edge/room-1/timeline", "collector") == "Not authorized"
        assert publish("affect-edge/room-1/timeline") == "refused: Not authorized"
        assert publish("affect-edge/room-1/timeline", "room-1", tls=False) == "no connection"
        certificate = ssl.get_server_certificate(
            ("localhost", port), ca_certs=str(secrets / "ca.pem")
        )
        assert certificate == (secrets / "broker.pem").read_text()


@contextmanager
def database(folder: Path, secrets: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """PostgreSQL as the container starts it, by whichever version is installed."""
    programs = postgres_programs()
    assert programs is not None
    settings = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGPORT": str(port),
        "FLEET_DATA": str(folder),
        "FLEET_SECRETS": str(secrets),
    }
    # the checkout may lie below a folder that another user may not enter
    program = shutil.copy(FOLDER / "start-database", secrets)
    command = ["sh", program, "-c", "listen_addresses=127.0.0.1"]
    if os.getuid() == 0:
        command = ["runuser", "-u", "nobody", "--", *command]
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    with (secrets / "database.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=settings, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
def test_a_first_start_that_is_broken_off_is_begun_again(
    secrets: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pg", numbered=True)
    ours = {secrets, *secrets.parents, *folder.parents} - set(Path(gettempdir(), "_").parents)
    for each in ours:
        each.chmod(each.stat().st_mode | 0o055)  # another user reads it, as in the container
    port = free_port()

    def connected(account: str) -> psycopg.Connection:
        password = (secrets / f"{account}.database").read_text().strip()
        return psycopg.connect(
            host="127.0.0.1",
            port=port,
            dbname="fleet",
            user=account,
            password=password,
            autocommit=True,
        )

    def answers() -> bool:
        try:
            connected("collector").close()
        except psycopg.OperationalError:
            return False
        return True

    with database(folder, secrets, port) as process:
        wait_until((folder / "17.new").exists, "the beginning of a first start")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    assert not (folder / "17").exists()
    for _ in range(2):
        with database(folder, secrets, port):
            wait_until(answers, "the database", 120)
            with connected("collector") as writer:
                migrate(writer)
            with connected("reader") as reader:
                assert reader.execute("SELECT count(*) FROM fleet.device").fetchone() == (0,)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute("DELETE FROM fleet.device")
            with pytest.raises(psycopg.OperationalError, match=r"pg_hba|password"):
                psycopg.connect(host="127.0.0.1", port=port, dbname="fleet", user="nobody")
    assert [one.name for one in folder.iterdir()] == ["17"]
