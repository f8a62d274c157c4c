"""What the doctor finds of services, broker, certificate and dashboard, with real ones of each."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance import running_checks
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.appliance.running_checks import check_running
from edge_agent.config.loading import load_settings
from tests.integration.appliance.conftest import web_server
from tests.support.broker import Certificates, Mosquitto, free_port, subscribed

STORING = {"recorder": {"unstored_since": None, "error": None}}


def look(
    health: Mapping[str, Any] | None = None, **changes: Mapping[str, Any]
) -> dict[str, Finding]:
    given: dict[str, Mapping[str, Any]] = {
        "mqtt": {"enabled": False},
        "dashboard": {"port": free_port()},
        **changes,
    }
    return {f.check: f for f in check_running(load_settings(None, given), health)}


def test_a_wrong_password_at_the_broker_is_a_problem_and_right_one_is_well(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, users={"edge": "right"}) as broker:
        account = {"enabled": True, "port": broker.port, "username": "edge"}
        right = look(mqtt={**account, "password": "right"})["broker"]
        wrong = look(mqtt={**account, "password": "wrong"})["broker"]
        nobody = look(mqtt={"enabled": True, "port": broker.port})["broker"]
    assert (right.verdict, right.cure) == (Verdict.OK, "")
    assert "lets us in as 'edge'" in right.found
    assert wrong.verdict is nobody.verdict is Verdict.PROBLEM
    assert "refuses user 'edge'" in wrong.found
    assert "right" not in wrong.found


def test_a_look_at_the_broker_takes_over_no_connection_and_tells_nobody(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, subscribed(broker.port) as reader:
        assert look(mqtt={"enabled": True, "port": broker.port})["broker"].verdict is Verdict.OK
        assert reader.messages == []
        log = (tmp_path / "mosquitto.log").read_text(encoding="utf-8")
        assert "affect-edge-doctor-" in log
        assert "already connected" not in log


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_encrypted_broker_is_logged_in_to_and_foreign_authority_is_problem(tmp_path: Path) -> None:
    ours = Certificates.make(tmp_path / "ours", "IP:127.0.0.1")
    other = Certificates.make(tmp_path / "other", "IP:127.0.0.1")
    with Mosquitto(tmp_path / "broker", certificates=ours) as broker:
        tls = {"enabled": True, "port": broker.port, "tls": True}
        assert look(mqtt={**tls, "ca_file": ours.ca})["broker"].verdict is Verdict.OK
        finding = look(mqtt={**tls, "ca_file": other.ca})["broker"]
    assert finding.verdict is Verdict.PROBLEM
    assert "is not trusted" in finding.found


@pytest.mark.parametrize(
    ("days", "verdict", "told"),
    [
        (-2, Verdict.PROBLEM, "ended 2 days ago"),
        (5, Verdict.WARNING, "ends in 5 days"),
        (400, Verdict.OK, "is valid for 400 more days"),
    ],
)
def test_the_days_of_the_certificate_are_counted(
    tmp_path: Path, days: int, verdict: Verdict, told: str
) -> None:
    file = make_certificate(tmp_path, days)
    finding = look(
        dashboard={"port": free_port(), "certificate": file, "key": tmp_path / "key.pem"}
    )["certificate"]
    assert (finding.verdict, told in finding.found) == (verdict, True), finding


@pytest.mark.parametrize(
    ("days", "verdict", "told"),
    [
        (100, Verdict.OK, "valid for"),
        (59, Verdict.WARNING, "more days"),
        (-3, Verdict.PROBLEM, "the broker cannot be used"),
    ],
)
def test_the_end_of_what_is_shown_to_the_broker_is_told_two_months_before(
    tmp_path: Path, days: int, verdict: Verdict, told: str
) -> None:
    file = make_certificate(tmp_path, days)
    mqtt = {"enabled": True, "port": free_port(), "tls": True, "ca_file": file}
    mqtt |= {"client_certificate": file, "client_key": tmp_path / "key.pem"}
    found = look(mqtt=mqtt)
    for setting in ("mqtt.client_certificate", "mqtt.ca_file"):
        assert found[setting].verdict is verdict and told in found[setting].found
    assert "new one" in found["mqtt.ca_file"].cure or verdict is Verdict.OK


def make_certificate(folder: Path, days: int) -> Path:
    """A certificate that ends in so many days, also in the past."""
    file = folder / "cert.pem"
    # openssl's own authority, for ``req -x509`` cannot make one that has ended
    (folder / "index").touch()
    (folder / "serial").write_text("01\n", encoding="ascii")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nserial={folder}/serial\n"
        f"new_certs_dir={folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
        encoding="ascii",
    )
    end = subprocess.run(
        ["date", "-u", "-d", f"{days} days 1 minute", "+%Y%m%d%H%M%SZ"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    key = str(folder / "key.pem")
    request = str(folder / "request.pem")
    for words in (
        ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=x"],
        ["ca", "-batch", "-selfsign", "-config", str(folder / "ca.cnf"), "-keyfile", key, "-in",
         request, "-out", str(file), "-startdate", "20200101000000Z", "-enddate", end],
    ):  # fmt: skip
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    return file


def test_port_that_dashboard_has_is_well_and_one_of_another_program_is_not() -> None:
    with web_server(b'{"status": "ok"}') as port:
        finding = look(dashboard={"port": port})["dashboard port"]
    assert (finding.verdict, "the dashboard answers" in finding.found) == (Verdict.OK, True)
    with web_server(b"<h1>It works!</h1>") as port:
        assert look(dashboard={"port": port})["dashboard port"].verdict is Verdict.WARNING


def test_the_alarms_of_the_running_agent_stand_in_the_doctor() -> None:
    health = {"uptime_seconds": 61.0, "alarms": [{"name": "camera", "text": "No picture."}]}
    findings = look(health | STORING)
    assert findings["alarm camera"].found == "No picture."
    assert findings["agent"].verdict is Verdict.OK


def test_an_agent_that_stores_nothing_is_a_problem_with_time_and_reason() -> None:
    since = "2026-09-21T14:13:20.000Z"
    recorder = {"unstored_since": since, "error": "The disk is full. Free some space."}
    found = look({"uptime_seconds": 61.0, "alarms": [], "recorder": recorder})["agent"]
    assert found.verdict is Verdict.PROBLEM
    assert found.found.endswith(f"stored nothing since {since}: {recorder['error']}")


def test_service_that_has_failed_is_problem_with_last_sentence_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # systemd is not running where tests run: its two programs answer as they do on an appliance
    program(tmp_path / "systemctl", """
Id=affect-edge-agent.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code

Id=affect-edge-dashboard.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success

Id=affect-edge-maintenance.timer
LoadState=not-found
ActiveState=inactive
""")  # fmt: skip
    program(tmp_path / "journalctl", "the camera is gone\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    findings = look()
    agent = findings["affect-edge-agent.service"]
    assert agent.verdict is Verdict.PROBLEM
    assert "the camera is gone" in agent.found
    assert "systemctl restart affect-edge-agent.service" in agent.cure
    assert findings["affect-edge-dashboard.service"].verdict is Verdict.OK
    assert "affect-edge-maintenance.timer" not in findings


def program(file: Path, says: str) -> None:
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{says.lstrip()}END\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_stream_to_a_collector_is_told_and_a_missing_library_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "fleet" not in look()
    on: dict[str, Mapping[str, Any]] = {"fleet": {"enabled": True}, "mqtt": {"port": free_port()}}
    monkeypatch.setattr(running_checks, "find_spec", lambda _name: None)
    missing = look(None, **on)["fleet"]
    assert missing.verdict is Verdict.PROBLEM
    assert "--with fleet" in missing.cure
    monkeypatch.setattr(running_checks, "find_spec", lambda _name: "there")
    assert look(None, **on)["fleet"].found == "the timeline is sent while the agent runs"
    stream = {"state": "connected", "waiting": 7}
    health = {"uptime_seconds": 5.0, "alarms": [], "fleet": stream, **STORING}
    assert look(health, **on)["fleet"].found == "7 changes wait for the collector (connected)"


def test_doctor_tells_since_when_no_stream_of_markers_is_there() -> None:
    asked = {"control": {"lsl_stream": "PsychoPy"}}
    health = {"recorder": STORING["recorder"], "uptime_seconds": 60.0, "alarms": []}
    stream = {"stream": "PsychoPy", "connected": False, "since": "2026-11-20T08:12:10.250Z"}
    away = look({**health, "markers": stream}, **asked)["markers"]
    assert away.verdict is Verdict.WARNING
    assert away.found == (
        "no stream PsychoPy is offered in the network since 2026-11-20T08:12:10.250Z"
    )
    there = look({**health, "markers": {**stream, "connected": True}}, **asked)["markers"]
    assert there.verdict is Verdict.OK
    assert look({**health, "markers": None}, **asked)["markers"].verdict is Verdict.WARNING
    assert "markers" not in look(health)
