"""Participants from the command line: added, consent, withdrawal, erasure after confirmation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from dashboard.__main__ import serve_command
from edge_agent.appliance.database_checks import check_database
from edge_agent.config.settings import Settings
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.commands import affect_edge
from tests.support.timeline import query

CODES = "SELECT code FROM participant ORDER BY code"


def run(folder: Path, *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, [*words, "--data", str(folder)], input=typed)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that `participant add` made, with P-1."""
    done = run(tmp_path, "participant", "add", "P-1")
    assert (done.exit_code, done.stdout) == (0, "P-1\n"), done.output
    return tmp_path / DATABASE_NAME


def test_consent_names_the_text_that_was_read(database: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "participant", "consent", "P-1")
    assert done.exit_code == 2
    assert "--text" in done.stderr
    assert query(database, "SELECT count(*) FROM consent") == [(0,)]


def test_withdrawing_is_noted_and_deletes_the_exports_that_wait(
    database: Path, tmp_path: Path
) -> None:
    made = json.loads(run(tmp_path, "participant", "add", "--json").stdout)
    assert made["simulated"] is False
    assert query(database, CODES) == sorted([("P-1",), (made["code"],)])
    run(tmp_path, "participant", "consent", "P-1", "--text", "3")
    waiting = tmp_path / "exports" / "token" / "bundle.zip"
    waiting.parent.mkdir(parents=True)
    waiting.write_text("P-1")
    assert run(tmp_path, "participant", "withdraw", "P-1").exit_code == 0
    assert not waiting.exists()
    assert query(database, "SELECT actor, action FROM audit WHERE detail = 'P-1' ORDER BY id") == [
        ("command line", "participant_create"),
        ("command line", "consent_give"),
        ("command line", "consent_withdraw"),
    ]


def test_code_typed_again_confirms_the_erasure(database: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "participant", "erase", "P-1", "--json", typed="p-1\n")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["rows"]["session"] == 0
    assert "This cannot be undone" in done.stderr
    assert query(database, CODES) == []


def test_an_erasure_that_is_not_finished_ends_with_1_and_night_finishes_it(
    database: Path, tmp_path: Path
) -> None:
    exports = tmp_path / "exports"
    exports.symlink_to(tmp_path)
    done = run(tmp_path, "participant", "erase", "P-1", "--confirm", "P-1")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"Not finished; the nightly maintenance tries again: {exports}:")
    assert query(database, CODES) == []

    def doctor() -> str:
        found = check_database(Settings(), tmp_path, deep=False)
        return next(one.found for one in found if one.check == "erasures")

    assert f"something is left of somebody who was erased: {exports}: is a link" in doctor()
    night = run(tmp_path, "maintenance")
    assert night.exit_code == 1 and f"erasures: {exports}: is a link" in night.output
    exports.unlink()
    assert "erasures: 1 unfinished step was done" in run(tmp_path, "maintenance").output
    assert doctor() == "nothing is left of anybody who was erased"


@pytest.mark.parametrize("typed", ["P-2\n", ""])
def test_wrong_or_empty_confirmation_erases_nothing(
    database: Path, tmp_path: Path, typed: str
) -> None:
    done = run(tmp_path, "participant", "erase", "P-1", typed=typed)
    assert done.exit_code == 2
    assert "othing was erased" in done.stderr
    assert query(database, CODES) == [("P-1",)]


def test_a_script_that_nobody_watches_is_told_of_the_option(database: Path, tmp_path: Path) -> None:
    assert database.exists()
    done = affect_edge("participant", "erase", "P-1", "--data", tmp_path)
    assert done.code == 2
    assert "In scripts, use --confirm CODE" in done.err
    wrong = affect_edge("participant", "erase", "P-1", "--confirm", "P-2", "--data", tmp_path)
    assert wrong.code == 2
    assert "'P-2' is not 'P-1'. Nothing was erased." in wrong.err
    right = affect_edge("participant", "erase", "P-1", "--confirm", "P-1", "--data", tmp_path)
    assert right.code == 0
    assert query(database, CODES) == []


def test_the_dashboard_command_takes_every_option_of_the_dashboard() -> None:
    def options(command: click.Command) -> set[str]:
        return {word for parameter in command.params for word in parameter.opts}

    assert options(cli.commands["dashboard"]) == options(serve_command)


def affect_edge_process(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command as the process that it is."""
    command = [sys.executable, "-m", "edge_agent", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_dashboard_command_passes_its_options_on(tmp_path: Path) -> None:
    words = ("--data", tmp_path, "--host", "0.0.0.0", "--certificate", tmp_path / "none.pem")
    done = affect_edge_process("dashboard", *words, "--key", tmp_path / "none.key", "--login-link")
    assert done.returncode == 2
    assert "none.pem" in done.stderr


def test_analyse_calls_itself_by_the_name_that_people_type() -> None:
    assert affect_edge_process("analyse", "--help").stdout.startswith("Usage: affect-edge analyse ")
