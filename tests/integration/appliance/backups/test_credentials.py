"""Secrets of second factors in archives: they come back, for their owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

from edge_agent.appliance.database_checks import check_database
from edge_agent.config import Settings
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.write.accounts.credentials import (
    Credentials,
    SecondFactorRow,
    credentials_file,
)
from tests.support.backups.whole_appliance import whole_appliance


def test_an_archive_brings_the_secrets_back_and_daily_copies_hold_none(tmp_path: Path) -> None:
    appliance = whole_appliance(tmp_path)
    kept = Credentials(appliance.database)
    with write_transaction(appliance.database):
        key = kept.keep_second_factor(SecondFactorRow(secret="GEZDGNBVGY3TQOJQ"))
    archive = tmp_path / "backup.zip"
    assert appliance.run("backup", archive).exit_code == 0
    copy = Path(appliance.run("backup").output.strip())
    assert b"GEZDGNBVGY3TQOJQ" not in copy.read_bytes()
    file = credentials_file(appliance.database)
    file.unlink()
    done = appliance.run("restore", archive, "--yes")
    assert done.exit_code == 0, done.output
    row = kept.second_factor(key)
    assert row and row.secret == "GEZDGNBVGY3TQOJQ"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_who_has_no_password_after_a_restore_is_named_with_what_to_do(tmp_path: Path) -> None:
    appliance = whole_appliance(tmp_path)
    with write_transaction(appliance.database) as connection:
        key = Credentials(appliance.database).keep_password("$argon2id$…")
        connection.execute(
            "INSERT INTO account (name, password_hash, created) VALUES ('ada', ?, 1)", (key,)
        )
    copy = Path(appliance.run("backup").output.strip()).rename(tmp_path / "copy.db")
    done = appliance.run("restore", copy, "--yes")
    assert done.exit_code == 0 and "credentials.json" not in done.output
    file = credentials_file(appliance.database)
    file.unlink()
    done = appliance.run("restore", copy, "--yes")
    assert done.exit_code == 0 and "passwords of ada" in done.output, done.output
    assert _passwords(appliance.data).startswith("credentials.json does not have those of ada")
    file.write_text("{")
    file.chmod(0o600)
    done = appliance.run("restore", copy, "--yes")
    assert done.exit_code == 0 and "credentials.json: is damaged" in done.output, done.output


def _passwords(data: Path) -> str:
    found = check_database(Settings(), data, deep=False)
    return next(one.found for one in found if one.check == "passwords")
