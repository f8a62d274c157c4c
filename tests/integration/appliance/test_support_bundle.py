"""The archive for those who help: what is in it, and that nobody's code is."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from pathlib import Path

import pytest

from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.appliance.support_bundle import write_bundle
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import DataFileError
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.integration.appliance.test_running_checks import program
from tests.support.erasure import CODE, NAME, NOTE, hold
from tests.support.timeline import timeline

SETTINGS = {
    "mqtt": {"username": "edge-user", "password": "hunter2"},
    "camera": {"source": "opencv", "device": "rtsp://ada:lantern@10.0.0.9/live"},
}


def parts_of(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_no_code_name_note_password_or_address_is_in_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "grandmas-kitchen.lan")
    path = timeline(tmp_path)
    hold(path, CODE, 0, NAME, NOTE)
    programs = tmp_path / "bin"
    programs.mkdir()
    program(
        programs / "journalctl",
        f"10:00 INFO session of {CODE.lower()} began, strap A0:9E:1A:00:00:01\n10:01 INFO {NAME}\n"
        f"10:02 INFO letter to ada@example.org from grandmas-kitchen\n",
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    finding = Finding("agent", Verdict.WARNING, f"the session of {CODE} is open", "End it.")
    broker = Finding("broker", Verdict.OK, "127.0.0.1:1883 lets us in as 'edge-user'", "")
    file = tmp_path / "help.zip"
    write_bundle(file, load_settings(None, SETTINGS), tmp_path, [finding, broker])
    parts = parts_of(file)
    text = "\n".join(parts.values())
    for word in (
        CODE,
        NAME,
        NOTE,
        "hunter2",
        "edge-user",
        "lantern",
        "A0:9E:1A",
        "ada@",
        socket.gethostname(),
    ):
        assert word.lower() not in text.lower(), word
    assert "session of (taken out) began" in parts["affect-edge-agent.service.log"]
    assert json.loads(parts["doctor.json"])[0]["found"] == "the session of (taken out) is open"
    assert json.loads(parts["database.json"])["rows"]["expression"] > 50
    assert "CREATE TABLE" in parts["database.json"]
    assert json.loads(parts["configuration.json"])["mqtt"]["port"] == 1883
    assert json.loads(parts["versions.json"])["packages"]["click"]


def test_the_log_is_left_out_when_nobody_can_tell_which_codes_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / DATABASE_NAME).write_text("a shopping list, long enough for a page" * 100)
    program(tmp_path / "journalctl", "session of P-01 began\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = tmp_path / "help.zip"
    write_bundle(file, load_settings(), tmp_path, [])
    assert "P-01" not in "".join(parts_of(file).values())
    assert "file is not a database" in parts_of(file)["database.json"]


def test_an_archive_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="none/help.zip: cannot be written"):
        write_bundle(tmp_path / "none" / "help.zip", load_settings(), tmp_path, [])
