"""Restoring an appliance: all of it or nothing, whatever comes between."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.appliance.restore import Places, restore_database
from edge_agent.core.errors import BackupError, StoreError
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import PROTOCOLS, own_folder
from edge_agent.timeline.database.lock import DatabaseLock, lock, lock_for_reading
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.backups.whole_appliance import (
    WholeAppliance,
    backed_up,
    change,
    codes,
    open_to_others,
)
from tests.support.first_release import first_database, rows_in
from tests.support.studies import add_session, heart
from tests.support.timeline import query


def test_everything_comes_back_and_what_was_there_is_set_aside_with_log(
    appliance: WholeAppliance, archive: Path
) -> None:
    before = appliance.files()
    change(appliance)
    changed = appliance.files()
    done = appliance.run("restore", archive, "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert appliance.files() == before
    assert codes(appliance.database) == ["P00", "P01", "P02"]
    told = json.loads(done.stdout)
    aside = {Path(name).name.split(".replaced.")[0]: Path(name) for name in told["replaced"]}
    assert codes(aside["affect-edge.db"]) == ["LATER", "P00", "P01", "P02"]
    for name in ("affect-edge.toml", "mqtt-password", "films.toml"):
        assert aside[name].read_bytes() == changed[name]
    assert set(aside) == {"affect-edge.db", "affect-edge.toml", "mqtt-password", "films.toml"}
    assert told["contents"]["participants"] == 3 and told["contents"]["newest"]


def test_the_database_begins_a_new_stream_and_is_no_verified_copy(
    appliance: WholeAppliance, archive: Path
) -> None:
    epochs = set()
    for _ in range(2):
        assert appliance.run("restore", archive, "--yes").exit_code == 0
        ((epoch,),) = query(
            appliance.database, "SELECT value FROM setting WHERE key = 'stream_epoch'"
        )
        epochs.add(epoch)
    assert len(epochs) == 2 and all(len(epoch) == 16 for epoch in epochs)
    copy = appliance.run("backup").output.strip()
    assert appliance.run("restore", copy, "--yes").exit_code == 0
    assert query(appliance.database, "SELECT 1 FROM setting WHERE key = 'copy_verified'") == []
    assert query(appliance.database, "PRAGMA journal_mode") == [("wal",)]


def test_unconfirmed_restore_changes_nothing(appliance: WholeAppliance, archive: Path) -> None:
    before = {path: path.read_bytes() for path in appliance.data.glob("*") if path.is_file()}
    listed = appliance.run("restore", archive, "--list")
    assert listed.exit_code == 0 and "3 participants, 3 sessions" in listed.output
    asked = appliance.run("restore", archive)
    assert asked.exit_code == 1 and "Restore? [y/N]" in asked.output
    assert {p: p.read_bytes() for p in appliance.data.glob("*") if p.is_file()} == before


def test_restore_says_first_which_keys_of_the_configuration_change(
    appliance: WholeAppliance, archive: Path
) -> None:
    text = appliance.config.read_text().replace("ward-3", "ward-4")
    appliance.config.write_text(text + '[alerts]\nnotify = ["ntfy://hush-hush"]\n')
    said = appliance.run("restore", archive, "--yes").output
    assert "  device.name: 'ward-4' becomes 'ward-3'\n" in said
    assert "  alerts.notify: another value\n" in said and "hush-hush" not in said
    assert said.index("becomes") < said.index("Restored:")


@pytest.mark.parametrize("runs", [lock, lock_for_reading])
def test_beside_an_agent_or_a_dashboard_nothing_is_restored(
    appliance: WholeAppliance, archive: Path, runs: Callable[[Path], DatabaseLock]
) -> None:
    with runs(appliance.database):
        done = appliance.run("restore", archive, "--yes")
    assert isinstance(done.exception, StoreError)
    # With the socket alive a question of the dashboard would start the service again.
    stopped = "affect-edge-agent affect-edge-dashboard affect-edge-database.socket"
    assert f"systemctl stop {stopped} affect-edge-database " in str(done.exception)
    assert not list(appliance.data.glob("*restoring*"))


def test_person_erased_after_the_backup_is_erased_again(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    open_session = add_session(appliance.database, "P03", heart(anger=90.0))
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("UPDATE session SET ended = NULL WHERE id = ?", (open_session,))
        connection.execute("INSERT INTO participant (code, created) VALUES ('NONE-1', 77)")
    archive = backed_up(appliance, tmp_path / "backup.zip")
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("UPDATE session SET ended = started + 1000000 WHERE ended IS NULL")
    for code in ("P01", "P03", "NONE-1"):
        erase_participant(appliance.database, code, actor="ada")
    done = appliance.run("restore", archive, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (told["erased_again"], told["unclear"]) == (3, 0)
    assert codes(appliance.database) == ["P00", "P02"]
    assert query(appliance.database, "SELECT count(*) FROM session") == [(2,)]
    assert b"NONE-1" not in appliance.database.read_bytes()
    # and again, for the restored database knows it as well
    done = appliance.run("restore", archive, "--yes", "--json")
    assert json.loads(done.stdout)["erased_again"] == 3


def test_restore_erases_one_of_several_people_made_at_one_time(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.executemany(
            "INSERT INTO participant (code, created) VALUES (?, 77)",
            [("TWIN-A",), ("TWIN-B",), ("TWIN-C",)],
        )
    erase_participant(appliance.database, "TWIN-C", actor="ada")
    archive = backed_up(appliance, tmp_path / "backup.zip")
    assert json.loads(appliance.run("restore", archive, "--yes", "--json").stdout)["unclear"] == 0
    erase_participant(appliance.database, "TWIN-A", actor="ada")
    told = json.loads(appliance.run("restore", archive, "--yes", "--json").stdout)
    assert (told["erased_again"], told["unclear"]) == (0, 1)
    assert codes(appliance.database) == ["P00", "P01", "P02", "TWIN-A", "TWIN-B"]


def test_over_a_damaged_database_it_says_that_erasures_are_not_known(
    appliance: WholeAppliance, archive: Path
) -> None:
    appliance.database.write_bytes(b"damaged " * 1000)
    done = appliance.run("restore", archive, "--yes")
    assert done.exit_code == 0 and "No database here could tell" in done.output
    assert codes(appliance.database) == ["P00", "P01", "P02"]
    (aside,) = appliance.data.glob("*.db.replaced.*[0-9Z]")
    assert aside.read_bytes() == b"damaged " * 1000


@pytest.mark.parametrize("version", [33, 99])
def test_a_copy_of_another_version_is_refused(
    appliance: WholeAppliance, tmp_path: Path, version: int
) -> None:
    other = tmp_path / "other.db"
    migrate(other)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    done = appliance.run("restore", other, "--yes")
    assert isinstance(done.exception, BackupError) and f"schema {version}" in str(done.exception)
    assert codes(appliance.database) == ["P00", "P01", "P02"]


def test_restore_of_a_copy_of_the_first_release_is_upgraded_by_next_start(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    other = first_database(tmp_path / "other.db")
    before = rows_in(other)
    done = appliance.run("restore", other, "--yes")
    assert done.exit_code == 0, done.output
    migrate(appliance.database)
    assert codes(appliance.database) == ["P01"]
    rows = rows_in(appliance.database)
    assert {table for table in before if rows[table] != before[table]} <= {
        *("audit", "setting", "outbox_seq")
    }


def test_the_database_is_no_copy_of_itself(appliance: WholeAppliance) -> None:
    places = Places(appliance.data, appliance.config)
    with pytest.raises(BackupError, match="is the database itself"):
        restore_database(appliance.database, places)


def test_without_a_file_the_copies_are_listed_with_what_is_in_them(
    appliance: WholeAppliance,
) -> None:
    assert "no copy beside" in appliance.run("restore").output
    copy = Path(appliance.run("backup").output.strip())
    (appliance.data / "affect-edge.db.backup-2020-01-01").write_text("not a database\n" * 100)
    bad, good = json.loads(appliance.run("restore", "--json").stdout)
    assert Path(good["file"]) == copy and good["contents"]["sessions"] == 3
    assert bad["contents"] is None and "not a database" in bad["error"]
    assert "affect-edge restore FILE" in appliance.run("restore").output


def test_an_erasure_reaches_what_a_restore_set_aside(
    appliance: WholeAppliance, archive: Path
) -> None:
    change(appliance)
    assert appliance.run("restore", archive, "--yes").exit_code == 0
    (aside,) = appliance.data.glob("affect-edge.db.replaced.*[0-9Z]")
    erase_participant(appliance.database, "P01", actor="ada")
    assert codes(aside) == ["LATER", "P00", "P02"]
    erase_participant(appliance.database, "P02", actor="ada")
    assert codes(aside) == ["LATER", "P00"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root restores for another user")
def test_what_root_restores_belongs_to_those_whose_folders_they_are(
    appliance: WholeAppliance, archive: Path
) -> None:
    change(appliance)
    for path in (appliance.data, *appliance.data.rglob("*")):
        os.chown(path, 12345, 12345)
    open_to_others(appliance.data)
    os.chown(appliance.settings, 0, 12345)
    os.chown(appliance.settings / "mqtt-password", 0, 23456)
    (appliance.settings / "mqtt-password").chmod(0o640)
    shutil.rmtree(appliance.data / "tls")
    appliance.config.unlink()
    assert appliance.run("restore", archive, "--yes").exit_code == 0

    def owner(path: Path) -> tuple[int, int, int]:
        found = path.stat()
        return found.st_uid, found.st_gid, found.st_mode & 0o777

    assert owner(appliance.data / "tls") == (12345, 12345, 0o750)
    assert owner(appliance.data / "tls" / "key.pem") == (12345, 12345, 0o600)
    assert owner(appliance.config) == (0, 12345, 0o640)
    assert owner(appliance.settings / "mqtt-password") == (0, 23456, 0o640)
    for lock_file in appliance.data.glob("*.lock"):
        is_shown = lock_file.name == "affect-edge.dashboard.lock"
        assert owner(lock_file) == (12345, 12345, 0o640 if is_shown else 0o600)


def test_a_database_on_another_disk_is_restored_there(
    appliance: WholeAppliance, archive: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.move(appliance.database, disk / "real.db")
    appliance.database.symlink_to(disk / "real.db")
    erase_participant(appliance.database, "P01", actor="ada")
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("INSERT INTO participant (code, created) VALUES ('LATER', 5)")
    assert appliance.run("restore", archive, "--yes").exit_code == 0
    assert appliance.database.is_symlink() and codes(disk / "real.db") == ["P00", "P02"]
    (aside,) = disk.glob("real.db.replaced.*[0-9Z]")
    assert codes(aside) == ["LATER", "P00", "P02"]
    erase_participant(appliance.database, "P02", actor="ada")
    assert codes(aside) == ["LATER", "P00"]


def test_on_an_installed_appliance_everything_goes_where_it_was_installed(
    appliance: WholeAppliance, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.config.loading.SYSTEM_FILE", appliance.config)
    before = appliance.files()
    change(appliance)
    assert CliRunner().invoke(cli, ["restore", str(archive), "--yes"]).exit_code == 0
    assert appliance.files() == before and "LATER" not in codes(appliance.database)
    appliance.config.write_text("[camera]\nsource = 'mind'\n")
    done = CliRunner().invoke(cli, ["restore", str(archive), "--yes"])
    assert f"--config {appliance.config} --data DIR" in str(done.exception)
    assert appliance.run("restore", archive, "--yes").exit_code == 0
    assert appliance.files() == before


@pytest.mark.parametrize("file", ["/dev/zero", "/dev"])
def test_a_device_is_no_archive(appliance: WholeAppliance, file: str) -> None:
    done = appliance.run("restore", file, "--yes")
    assert isinstance(done.exception, BackupError) and "is not a file" in str(done.exception)


def test_restore_brings_the_protocols_that_were_made_in_the_browser(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    made = own_folder(appliance.data) / PROTOCOLS / "films"
    made.mkdir(parents=True)
    (made / "films.toml").write_text('title = "Films"\n')
    (made / "b.png").write_bytes(b"picture")
    (made / "link.png").symlink_to("/etc/passwd")
    archive = backed_up(appliance, tmp_path / "backup.zip")
    shutil.rmtree(made.parent)
    assert appliance.run("restore", archive, "--yes").exit_code == 0
    assert sorted(path.name for path in made.iterdir()) == ["b.png", "films.toml"]
    assert (made / "b.png").read_bytes() == b"picture"
