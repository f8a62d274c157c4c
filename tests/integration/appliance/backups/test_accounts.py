"""Accounts in archives: they come back, for the dashboard's user alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge_agent.appliance.database_checks import check_database
from edge_agent.config.settings import Settings
from edge_agent.timeline.database.dashboard_file import FOLDER, dashboard_file, write_dashboard
from tests.support.backups.whole_appliance import WholeAppliance, backed_up
from tests.support.timeline import query_dashboard

ADD = "INSERT INTO account (name, password_hash, created) VALUES ('ada', '$argon2id$…', 1)"


@pytest.mark.parametrize("has_own_folder", [False, True], ids=["one user", "two users"])
def test_an_archive_brings_accounts_back_and_daily_copies_hold_none(
    appliance: WholeAppliance, tmp_path: Path, has_own_folder: bool
) -> None:
    if has_own_folder:
        (appliance.data / FOLDER).mkdir()
    with write_dashboard(appliance.database) as connection:
        connection.execute(ADD)
    archive = backed_up(appliance, tmp_path / "backup.zip")
    assert " 1 accounts, " in appliance.run("restore", archive, "--list").output
    copy = Path(appliance.run("backup").output.strip())
    assert "accounts" not in appliance.run("restore", copy, "--list").output
    assert b"$argon2id$" not in copy.read_bytes()
    file = dashboard_file(appliance.database)
    file.unlink()
    done = appliance.run("restore", archive, "--yes")
    assert done.exit_code == 0, done.output
    assert query_dashboard(appliance.database, "SELECT name FROM account") == [("ada",)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_doctor_tells_how_the_accounts_are(appliance: WholeAppliance) -> None:
    def found() -> str:
        findings = check_database(Settings(), appliance.data, deep=False)
        return next(one.found for one in findings if one.check == "accounts")

    file = dashboard_file(appliance.database)
    file.unlink(missing_ok=True)
    assert found() == "none yet: the dashboard prints a code for the first one"
    with write_dashboard(appliance.database) as connection:
        connection.execute(ADD)
    assert found() == "1 in dashboard.db; sound"
    file.write_bytes(b"no database" * 500)
    assert "dashboard.db: is damaged, and nobody can log in" in found()
