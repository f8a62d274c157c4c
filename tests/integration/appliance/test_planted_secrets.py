"""Secrets planted in configuration, addresses and commands stand in nothing that a program says.

Each is looked for whole, in the pieces into which a parser cuts it, percent-encoded, and as the
base64 of a header.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psutil
import pytest

from edge_agent.alerts.sending import AlertOptions
from edge_agent.appliance.findings import run_check
from edge_agent.appliance.running_checks import agent_health
from edge_agent.camera.factory import open_camera
from edge_agent.config.editing import ConfigFile, check_settings
from edge_agent.config.loading import load_settings
from edge_agent.core.addresses import Address
from edge_agent.core.errors import CameraError, ConfigError
from edge_agent.live.feed import SOCKET_NAME
from tests.integration.appliance.test_running_checks import program
from tests.support.appliance import Appliance, toml_of
from tests.support.broker import free_port, wait_until
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import timeline
from tests.support.vision.cameras import VideoServer

PORT = free_port()
CLOSED = f"127.0.0.1:{PORT}"

# What is planted, and where: ([camera] source, device, the secrets in it)
CAMERAS = [
    ("opencv", f"rtsp://ada9:geheim41@{CLOSED}/live", "ada9 geheim41"),
    ("opencv", f"rtsp://ada9:ge@heim42@{CLOSED}/live", "ada9 ge@heim42"),
    ("opencv", f"rtsp://ada9:ge:heim43@{CLOSED}/live", "ada9 ge:heim43"),
    ("opencv", f"rtsp://ada9:ge/heim44@{CLOSED}/live", "ada9 ge/heim44"),
    ("opencv", f"rtsp://localhost:{PORT}/heim45@{CLOSED}/live", "heim45"),
    ("opencv", f"rtsp://ada9:ge?heim46@{CLOSED}/live", "ada9 ge?heim46"),
    ("opencv", f"rtsp://ada9:ge#heim47@{CLOSED}/live", "ada9 ge#heim47"),
    ("opencv", f"rtsp://ada9:ge@h/eim48@{CLOSED}/live", "ada9 ge@h/eim48"),
    ("opencv", f"rtsp://ada9:ge%40heim49@{CLOSED}/live", "ada9 ge@heim49"),
    ("opencv", f"rtmp://token50@{CLOSED}/live", "token50"),
    ("opencv", f"http://{CLOSED}/live?user=ada9&pwd=geheim51", "ada9 geheim51"),
    ("opencv", f"rtsp://{CLOSED}/user=ada9&password=geheim52&channel=1", "ada9 geheim52"),
    ("opencv", "ada9:geheim53@127.0.0.1/live", "ada9 geheim53"),
    ("opencv", f"rtsp:/ada9:geheim54@{CLOSED}/live", "ada9 geheim54"),
    ("opencv", "http://ada9:geheim55@[::1/live", "ada9 geheim55"),
    ("snapshot", f"http://ada9:ge@heim56@{CLOSED}/a.jpg", "ada9 ge@heim56"),
    ("snapshot", f"http://ada9:ge/heim57@{CLOSED}/a.jpg", "ada9 ge/heim57"),
    ("snapshot", f"https://{CLOSED}/a.jpg?token=geheim58", "geheim58"),
    ("snapshot", f"ftp://ada9:geheim59@{CLOSED}/a.jpg", "ada9 geheim59"),
]

# A wrong configuration, and the secrets in it.
WRONG = [
    ("[mqtt]\npassword = ['geheim60']", "geheim60"),
    ("[mqtt]\nhost = 'mqtt://ada9:ge@heim61@broker'", "ada9 ge@heim61"),
    ("[mqtt]\nwebsocket_path = '/mqtt#token=geheim62'", "geheim62"),
    ("mqtt = [{ password = 'geheim63' }]", "geheim63"),
    ("[alerts]\nnotify = 'tgram://geheim64/1'", "geheim64"),
    ("[alerts]\nnotify = [['tgram://geheim65/1']]", "geheim65"),
    ("[camera]\ndevice = ['rtsp://ada9:geheim66@h/1']", "ada9 geheim66"),
    ("camera = 'rtsp://ada9:geheim67@h/1'", "ada9 geheim67"),
    ("[camera]\npassword = 'geheim68'", "geheim68"),
    ("[dashboard]\nsource = 'postgresql://ada9:geheim69@db/fleet'", "ada9 geheim69"),
    ("[dashboard]\nsource = 'postgresql://ada9:ge/heim70@db/fleet'", "ada9 ge/heim70"),
    ("[dashboard]\nsource = 'mysql://db/fleet?sslkey=geheim71'", "geheim71"),
    ("[dashboard]\nnames = ['https://ada9:geheim72@host']", "ada9 geheim72"),
    ("[dashboard]\nproxy_header = 'Authorization: Bearer geheim73'", "geheim73"),
    ("[mqtt]\npassword = 'geheim74", "geheim74"),
    ("[camera]\n'rtsp://ada9:geheim75@h/1' = 1", "ada9 geheim75"),
]

# A command that is refused, and the secrets in its words.
COMMANDS = [
    (("config", "set", "mqtt.pasword=geheim80"), "geheim80"),
    (("config", "set", "rtsp://ada9:geheim81@h/1"), "ada9 geheim81"),
    (("analyse", "--source", "mysql://ada9:geheim82@db/fleet"), "ada9 geheim82"),
    (("update", "http://ada9:geheim83@host/a.tar.gz"), "ada9 geheim83"),
    (("update", f"https://ada9:ge/heim84@{CLOSED}/a.tar.gz"), "ada9 ge/heim84"),
    (("collect", "--database", "postgresql://ada9:ge@heim85@db/fleet?no=1"), "ada9 ge@heim85"),
    (("collect", "--database", "host=db password=geheim86 heim87"), "geheim86"),
]


def found_of(secrets: str, said: str) -> list[str]:
    """Return which of some secrets, or what pieces of them, stand in a text."""
    forms = {form for secret in secrets.split() for form in _forms(secret)}
    return sorted(form for form in forms if form.lower() in said.lower())


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote(quote(secret, safe=""), safe=""))
    yield from (piece for piece in re.split(r"[@:/?#]", unquote(secret)) if len(piece) > 3)
    yield b64encode(f"ada9:{secret}".encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("source", "device", "secrets"), CAMERAS, ids=map(str, range(len(CAMERAS)))
)
def test_camera_that_fails_says_nothing_of_its_secrets(
    source: str, device: str, secrets: str
) -> None:
    camera = load_settings(None, {"camera": {"source": source}}).camera
    # One that leads nowhere is refused before; here it has come all the same.
    camera = camera.model_copy(update={"device": Address(device)})
    finding = run_check("camera", lambda: pytest.fail(open_camera(camera).name))
    with pytest.raises(CameraError) as failed:
        open_camera(camera)
    error = failed.value
    said = f"{finding} {error} {error.problem} {error.cure} {camera} {camera.model_dump_json()}"
    assert found_of(secrets, said) == []
    assert "camera.device" in said or "Check that the camera is on" in said


LEADING_NOWHERE = [one for one in CAMERAS if Address(one[1]).problem]


@pytest.mark.parametrize(
    ("source", "device", "secrets"), LEADING_NOWHERE, ids=map(str, range(len(LEADING_NOWHERE)))
)
def test_camera_that_leads_nowhere_is_refused_without_its_secrets(
    source: str, device: str, secrets: str, tmp_path: Path
) -> None:
    # A service starts with it: `config check` refuses it.
    text = f"[camera]\nsource = {json.dumps(source)}\ndevice = {json.dumps(device)}\n"
    with pytest.raises(ConfigError) as refused:
        check_settings(ConfigFile(tmp_path / "affect-edge.toml", text))
    assert found_of(secrets, str(refused.value)) == []
    assert "camera.device" in str(refused.value)


@pytest.mark.parametrize(("text", "secrets"), WRONG, ids=map(str, range(len(WRONG))))
def test_wrong_configuration_is_refused_without_its_secrets(
    text: str, secrets: str, tmp_path: Path
) -> None:
    file = tmp_path / "affect-edge.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_settings(file)
    checked = affect_edge("config", "check", file)
    assert checked.code == 2 and str(refused.value) in checked.err
    assert found_of(secrets, checked.err + checked.out + repr(refused.value)) == []


@pytest.mark.parametrize(("words", "secrets"), COMMANDS, ids=map(str, range(len(COMMANDS))))
def test_refused_command_repeats_no_secret(
    words: tuple[str, ...], secrets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "affect-edge.toml"
    file.touch()
    place = ("--config", str(file)) if words[0] in {"config", "analyse"} else ()
    monkeypatch.setenv("AFFECT_EDGE_DATA__FOLDER", str(tmp_path))
    done = affect_edge(*words, *place)
    assert done.code != 0
    assert found_of(secrets, done.err + done.out) == []


def test_wrong_variable_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECT_EDGE_ALERTS__NOTIFY", "tgram://geheim88/1")
    monkeypatch.setenv("AFFECT_EDGE_MQTT__PORT", "geheim89")
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert found_of("geheim88", str(refused.value)) == []


PLANTED = "ada9 ge@h/eim90 geheim91 geheim92 geheim93 geheim94 geheim95 geheim96 reader97"
NOBODY = free_port()
SETTINGS: dict[str, dict[str, Any]] = {
    "mqtt": {"port": NOBODY, "username": "edge", "password": "geheim91", "home_assistant": True},
    "alerts": {
        "notify": [f"ntfy://ada9:geheim92@127.0.0.1:{NOBODY}/geheim93", "tgram://geheim94/1"]
    },
    "dashboard": {"source": "postgresql://reader97@db/fleet"},
    "data": {"folder": "data"},
}


def settings_of(server: VideoServer) -> dict[str, dict[str, Any]]:
    """Return a valid configuration in which all is planted, with a camera that never answers."""
    device = f"http://ada9:ge%40h%2Feim90@127.0.0.1:{server.server_port}/silent?token=geheim95"
    camera = {"source": "opencv", "device": device, "stall_seconds": 1}
    return {**SETTINGS, "camera": camera}


def test_running_agent_shows_no_secret_in_log_health_and_process_list(tmp_path: Path) -> None:
    planted = {"AFFECT_EDGE_DEVICE__NAME": "hall", "PGPASSWORD": "geheim96"}
    with VideoServer() as server:
        settings = settings_of(server)
        with Appliance(tmp_path, settings, environment=planted) as agent:
            agent.wait_for("the agent runs")
            words: list[str] = []

            def decodes() -> bool:
                for one in psutil.Process(agent.pid).children(recursive=True):
                    words.extend([*one.cmdline(), *one.environ().values()])
                return any("decoder_worker" in word for word in words)

            wait_until(decodes, "a process that decodes")
            agent.wait_for("no frames: ")
            words += psutil.Process(agent.pid).cmdline()
            feed = agent.data / SOCKET_NAME
            wait_until(lambda: "sent no video" in str(agent_health(feed)), "the health")
            health = agent_health(feed)
            assert agent.stop() == 0
    assert found_of(PLANTED, f"{agent.said} {health} {words}") == []
    kept = b"".join(path.read_bytes() for path in agent.data.glob("affect-edge.db*"))
    assert found_of(PLANTED, kept.decode("latin-1")) == []


def test_doctor_archive_and_export_hold_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program(
        tmp_path / "journalctl",
        "ERROR rtsp://old:geheim99@cam/1 and ge@h/eim90, Basic " + "YWRhOTpnZUBoL2VpbTkw\n",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "data").mkdir()
    timeline(tmp_path / "data")
    with VideoServer() as server:
        settings = settings_of(server)
        file = tmp_path / "affect-edge.toml"
        file.write_text(toml_of(settings), encoding="utf-8")
        place = ("--config", file, "--data", tmp_path / "data")
        doctor = affect_edge("doctor", "--json", "--bundle", "help.zip", *place)
        changed = affect_edge(
            "config", "set", "camera.device=rtsp://ada9:geheim95@h/1", "--dry-run", "--config", file
        )
        exported = affect_edge("export", "--out", "out.zip", *place)
    assert "sent no video" in doctor.out and exported.code == 0 and "device" in changed.out
    texts = [one.out + one.err for one in (doctor, changed, exported)]
    for name in ("help.zip", "out.zip"):
        content = (tmp_path / name).read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts += [archive.read(one).decode("utf-8", "replace") for one in archive.namelist()]
    assert found_of(PLANTED + " old:geheim99", "\n".join(texts)) == []


PAGES = [
    "/settings",
    "/settings/file",
    "/api/v1/settings",
    "/health",
    "/alerts",
    "/audit",
    "/metrics",
]


def test_dashboard_shows_no_secret_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "affect-edge.toml"
    with VideoServer() as server:
        file.write_text(toml_of(settings_of(server)), encoding="utf-8")
    alerts = load_settings(file).alerts
    with client_of(tmp_path / "data", config=file, alerts=AlertOptions(alerts)) as client:
        set_up(client, tmp_path / "data")
        answers = [client.get(page) for page in PAGES]
    assert {answer.status_code for answer in answers} == {200}
    assert found_of(PLANTED, "\n".join(answer.text for answer in answers)) == []
    assert "http://…@127.0.0.1" in answers[1].text
