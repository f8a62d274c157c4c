"""The commands that look after an installed appliance."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_agent.cli import cli
from edge_agent.core.errors import UpdateError
from edge_agent.store.database.schema import DATABASE_NAME, migrate


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def settings(folder: Path, *, own_certificate: bool) -> Path:
    file = folder / "settings.toml"
    tls = folder / "tls"
    lines = [f'certificate = "{tls}/cert.pem"', f'key = "{tls}/key.pem"'] if own_certificate else []
    file.write_text("\n".join(["[dashboard]", *lines, ""]))
    return file


@pytest.mark.parametrize("own_certificate", [True, False])
def test_a_night_renews_deletes_copies_and_checks(tmp_path: Path, own_certificate: bool) -> None:
    migrate(tmp_path / DATABASE_NAME)
    done = run(
        "maintenance",
        "--config",
        settings(tmp_path, own_certificate=own_certificate),
        "--data",
        tmp_path,
    )
    assert done.exit_code == 0, done.output
    assert (
        "certificate: renewed" if own_certificate else "certificate: none of its own"
    ) in done.output
    assert "retention: 0 rows older than 90 days deleted" in done.output
    assert re.search(
        r"budget: 0 rows deleted, 0 MB given back; the database has 0 of 1667 MB", done.output
    )
    assert "sound" in done.output and list(tmp_path.glob("*.backup-*"))
    assert (tmp_path / "tls" / "cert.pem").exists() == own_certificate


def test_a_step_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("no database at all, but a long enough text " * 30)
    done = run(
        "maintenance", "--config", settings(tmp_path, own_certificate=True), "--data", tmp_path
    )
    assert done.exit_code == 1
    assert "certificate: renewed" in done.output
    assert (
        "retention:" in done.output
        and "copy:" in done.output
        and "is not a database" in done.output
    )


def test_before_the_first_start_only_the_certificate_is_due(tmp_path: Path) -> None:
    done = run(
        "maintenance", "--config", settings(tmp_path, own_certificate=True), "--data", tmp_path
    )
    assert done.exit_code == 0 and "copy" not in done.output


def test_a_copy_by_hand_is_named(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    done = run("backup", "--data", tmp_path)
    assert done.exit_code == 0
    assert Path(done.output.strip()).exists()


def test_the_certificate_is_shown_with_its_fingerprint(tmp_path: Path) -> None:
    first, second = (run("certificate", "--data", tmp_path).output for _ in range(2))
    assert "made" in first and "good" in second
    assert first.splitlines()[1] == second.splitlines()[1]
    assert first.count(":") > 31


@pytest.mark.parametrize("words", [["update", "release.tar"], ["rollback"]])
def test_only_root_may_change_the_program(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = run(*words)
    assert isinstance(done.exception, UpdateError) and "put sudo before the command" in str(
        done.exception
    )


@pytest.mark.parametrize("words", [["update", "release.tar"], ["rollback"]])
def test_where_nothing_is_installed_that_is_said(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    done = run(*words)
    assert isinstance(done.exception, UpdateError) and "install.sh" in str(done.exception)
