"""The report about a device: what it tells, and that nobody can be known by it."""

from __future__ import annotations

import json
import os
import pwd
import socket
import zipfile
from pathlib import Path

import pytest

from affect_edge.appliance import REPORT_NAME
from edge_agent.appliance import device_report
from edge_agent.appliance.device_report import write_report
from edge_agent.appliance.doctor import diagnose
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.appliance.support_bundle import write_bundle
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import DataFileError
from edge_agent.timeline.database.dashboard_file import write_dashboard
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.integration.appliance.test_running_checks import program
from tests.support.erasure import CODE, NAME, NOTE, hold
from tests.support.timeline import timeline

HOST = "wombat-clinic"
BROKER = "broker.quokka-hospital.invalid"
TELLING = {
    "device": {"name": "room-of-lovelace"},
    "camera": {"source": "opencv", "device": "rtsp://ada:lantern@10.0.0.9/live"},
    "mqtt": {"host": BROKER, "username": "edge-user", "password": "hunter2"},
    "data": {"folder": "/home/lovelace/ward seven/data"},
}
SAID = (
    f"/home/lovelace/my study/{CODE}.db: the session {NAME} of {CODE} is open ({NOTE})",
    f"{BROKER}:8883 (192.168.4.17, fe80::1c2b:3dff) refuses 'edge-user' with hunter2",
    "rtsp://ada:lantern@10.0.0.9/live gives nothing, says grace; strap A0:9E:1A:00:00:01 is away",
    "/media/stick of hopper/copies: its copies hold somebody who was erased",
    f"room-of-lovelace on {HOST}, lovelace@quokka-hospital.invalid, keeps ~/ward/notes.txt",
)
SECRETS = (
    *(CODE, NAME, NOTE, "hunter2", "edge-user", "lantern", "10.0.0.9", "192.168.4.17", "fe80"),
    *(
        "A0:9E:1A",
        BROKER,
        "quokka",
        "lovelace",
        "ward",
        "my study",
        HOST,
        "grace",
        "wombat",
        "hopper",
    ),
)
HEALTH = {
    "device": "room-of-lovelace",
    "uptime_seconds": 61.5,
    "sensors": [{"source": "ble:A0:9E:1A:00:00:01", "kind": "heart_rate", "reason": "silent"}],
    "recorder": {"rows_dropped": 3, "error": SAID[0]},
    "mqtt": {"state": "connected", "outbox": 7, "set_aside": {CODE: 1}},
    "alarms": [{"name": "hot", "text": SAID[-1]}],
}


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, a machine and its programs that all tell who is there."""
    data = tmp_path / "ward seven" / "lovelace"
    data.mkdir(parents=True)
    hold(timeline(data), CODE, 0, NAME, NOTE)
    with write_dashboard(data / DATABASE_NAME) as connection:
        connection.execute(
            "INSERT INTO account (name, password_hash, created) VALUES ('grace', '-', 1)"
        )
    person = pwd.struct_passwd(("ada", "x", 1000, 1000, "Ada Lovelace,,", "/home/ada", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [person])
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.example")
    monkeypatch.setattr(device_report, "agent_health", lambda _: HEALTH)
    program(tmp_path / "vcgencmd", "throttled=0x50005\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return data


def test_report_of_a_device_that_tells_who_is_there_holds_none_of_it(
    telling: Path, tmp_path: Path
) -> None:
    findings = [Finding("camera", Verdict.WARNING, said, f"Look at: {said}") for said in SAID]
    findings += [
        Finding("affect-edge-agent.service", Verdict.PROBLEM, f"failed (exit); its log: {NAME}"),
        Finding(f"model {telling}/own.json", Verdict.OK, "14 of 20 MB, config in /boot/config.txt"),
    ]
    wrong = f"{telling}/a.toml, line 2: dashboard.names = ['grace.quokka.example:1'] is wrong"
    findings.append(Finding("configuration", Verdict.PROBLEM, wrong))
    camera = {"source": "opencv", "device": f"{telling}/door.mp4"}
    settings = load_settings(None, {**TELLING, "camera": camera})
    findings += diagnose(settings, telling)
    file = tmp_path / REPORT_NAME
    write_report(file, load_settings(None, TELLING), telling, findings, frames=2)
    text = file.read_text(encoding="utf-8")
    for word in SECRETS:
        assert word.lower() not in text.lower(), f"{word}: {text}"
    report = json.loads(text)
    assert report["board"]["throttled"] == ["0x50005"]
    assert report["board"]["memory_mb"]["MemTotal"] > 100
    assert report["system"]["packages"]["click"] and report["system"]["kernel"]
    assert report["camera"]["source"] == "opencv" and report["camera"]["width"] == 640
    assert len(report["models"]) == 2 and report["models"][1]["bytes"] > 100_000
    assert report["speed"]["stages"]["read"]["median_ms"] > 0
    assert report["sizes"]["database"] > 10_000
    told = {one["check"]: one for one in report["findings"]}
    assert told["affect-edge-agent.service"]["found"] == "failed (exit)"
    assert "14 of 20 MB, config in /boot/config.txt" in [one["found"] for one in told.values()]
    assert told["configuration"]["found"].endswith(
        "line 2: dashboard.names = [(taken out)] is wrong"
    )
    assert told["database"]["found"].endswith("; sound")
    agent = report["agent"]
    assert (agent["uptime_seconds"], agent["alarms"]) == (61.5, ["hot"])
    assert agent["sensors"][0]["kind"] == "heart_rate" and agent["mqtt"]["outbox"] == 7


def test_report_without_a_readable_database_leaves_the_sentences_out(
    telling: Path, tmp_path: Path
) -> None:
    (telling / DATABASE_NAME).write_text("a shopping list, long enough for a page" * 100)
    file = tmp_path / REPORT_NAME
    finding = Finding("database", Verdict.PROBLEM, f"the session of {CODE} is lost")
    write_report(file, load_settings(), telling, [finding], frames=2)
    (told,) = json.loads(file.read_text(encoding="utf-8"))["findings"]
    assert (told["check"], told["verdict"]) == ("database", "problem")
    assert told["found"].startswith("(left out: ")


def test_report_that_cannot_be_written_says_where_it_can(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"cannot be written .* such as /tmp/report.json"):
        write_report(tmp_path / "none" / "r.json", load_settings(), tmp_path, [], frames=2)


def test_link_where_a_report_or_a_bundle_goes_is_replaced_and_not_followed(tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.write_text("of somebody else", encoding="utf-8")
    report, bundle = tmp_path / REPORT_NAME, tmp_path / "help.zip"
    for file in (report, bundle):
        file.symlink_to(others)
    write_report(report, load_settings(), tmp_path, [], frames=2)
    write_bundle(bundle, load_settings(), tmp_path, [])
    assert others.read_text(encoding="utf-8") == "of somebody else"
    assert json.loads(report.read_text(encoding="utf-8"))["findings"] == []
    assert zipfile.is_zipfile(bundle)
    assert not report.is_symlink() and not bundle.is_symlink()
