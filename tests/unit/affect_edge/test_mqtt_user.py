"""``affect-edge mqtt-user`` at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.appliance import broker_accounts as room
from edge_agent.appliance.broker_accounts import BrokerFiles
from edge_agent.core.errors import BrokerAccountError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A broker as ``install.sh`` leaves it, which does not run."""
    files = BrokerFiles(tmp_path / "conf", tmp_path / "acl", tmp_path / "passwd")
    files.settings.write_text("listener 1883\n")
    files.access.write_text("user affect-edge\ntopic readwrite affect-edge/#\n")
    files.passwords.write_text("affect-edge:$7$101$AAAA$BBBB\n")
    (tmp_path / "settings.toml").write_text('[device]\nname = "pi"\n')
    monkeypatch.setattr(room, "BrokerFiles", lambda: files)
    monkeypatch.setattr(room, "reload_broker", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda *_, **__: None)
    return tmp_path


def run(folder: Path, *words: str, typed: str | None = None) -> Result:
    config = ["--config", str(folder / "settings.toml")]
    return CliRunner().invoke(cli, ["mqtt-user", *words, *config], input=typed)


def test_an_account_is_made_listed_changed_and_removed(folder: Path) -> None:
    made = run(folder, "add", "watch", "--may", "readings")
    assert made.exit_code == 0, made.output
    assert "shown this once" in made.output and "holds from its next start" in made.output
    assert "topic write affect-edge/pi/ingest/vitals" in (folder / "acl").read_text()
    assert run(folder, "change", "watch", "--may", "read", "--may", "commands").exit_code == 0
    listed = run(folder, "list").output.splitlines()
    assert listed == ["affect-edge: the agent's own account", "watch: read, commands"]
    assert json.loads(run(folder, "list", "--json").output)[1] == {
        "name": "watch",
        "may": ["read", "commands"],
        "more_rules": False,
        "of_the_agent": False,
    }
    assert run(folder, "remove", "watch", typed="n\n").exit_code == 1
    assert run(folder, "remove", "watch", typed="y\n").exit_code == 0
    assert run(folder, "list").output == "affect-edge: the agent's own account\n"


def test_rules_that_no_right_has_are_reported(folder: Path) -> None:
    with (folder / "acl").open("a") as rules:
        rules.write("user old\ntopic read affect-edge/#\n")
    with (folder / "passwd").open("a") as passwords:
        passwords.write("old:x\nidle:x\n")
    listed = run(folder, "list").output.splitlines()
    assert listed[1:] == ["old: other rules in the access file", "idle: nothing"]


def test_only_root_may(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = run(folder, "list")
    assert isinstance(done.exception, BrokerAccountError)
    assert "put sudo before" in str(done.exception)
