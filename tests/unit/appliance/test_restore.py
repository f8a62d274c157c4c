"""Restoring an appliance: all of it or nothing, whatever comes between."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.appliance.restore import Places, finish_restore, restore_database
from edge_agent.cli import cli
from edge_agent.config import load_settings
from edge_agent.core.errors import BackupError, StoreError
from edge_agent.runtime.agent import Agent
from edge_agent.store.database.lock import DatabaseLock, lock, lock_for_reading
from edge_agent.store.database.replacement import (
    finish_replacement,
    is_half_replaced,
    prepared_path,
)
from edge_agent.store.database.schema import MIGRATIONS, connect, copies_beside, migrate
from edge_agent.store.upkeep.erasure import erase_participant
from tests.support.agent import WITHOUT_BROKER
from tests.support.killed import killed_at
from tests.support.studies import add_session, heart
from tests.support.timeline import query
from tests.support.whole_appliance import WholeAppliance, whole_appliance

CODES = "SELECT code FROM participant ORDER BY code"


@pytest.fixture
def appliance(tmp_path: Path) -> WholeAppliance:
    return whole_appliance(tmp_path)


@pytest.fixture
def archive(appliance: WholeAppliance) -> Path:
    file = appliance.settings.parent / "backup.zip"
    done = appliance.run("backup", file)
    assert done.exit_code == 0, done.output
    return file


def codes(database: Path) -> list[str]:
    return [code for (code,) in query(database, CODES)]


def change(appliance: WholeAppliance) -> None:
    """Another participant, whose rows lie in the log only, and other files."""

    def record() -> None:
        with closing(connect(appliance.database, readonly=False)) as connection:
            connection.execute("INSERT INTO participant (code, created) VALUES ('LATER', 5)")
            os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at(0, record)
    assert appliance.database.with_name("affect-edge.db-wal").stat().st_size > 0
    (appliance.settings / "mqtt-password").write_text("another secret\n")
    (appliance.settings / "protocols" / "films.toml").write_text('title = "Other films"\n')
    appliance.config.write_text(appliance.config.read_text().replace("ward-3", "ward-4"))


def test_everything_comes_back_and_what_was_there_is_set_aside_with_its_log(
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


def test_somebody_who_is_not_sure_changes_nothing(appliance: WholeAppliance, archive: Path) -> None:
    before = {path: path.read_bytes() for path in appliance.data.glob("*") if path.is_file()}
    listed = appliance.run("restore", archive, "--list")
    assert listed.exit_code == 0 and "3 participants, 3 sessions" in listed.output
    asked = appliance.run("restore", archive)
    assert asked.exit_code == 1 and "Restore? [y/N]" in asked.output
    assert {p: p.read_bytes() for p in appliance.data.glob("*") if p.is_file()} == before


@pytest.mark.parametrize("runs", [lock, lock_for_reading])
def test_beside_an_agent_or_a_dashboard_nothing_is_restored(
    appliance: WholeAppliance, archive: Path, runs: Callable[[Path], DatabaseLock]
) -> None:
    with runs(appliance.database):
        done = appliance.run("restore", archive, "--yes")
    assert isinstance(done.exception, StoreError)
    assert "systemctl stop affect-edge-agent affect-edge-dashboard" in str(done.exception)
    assert not list(appliance.data.glob("*restoring*"))


class States:
    """What an appliance may be after a restore that was killed."""

    def __init__(self, appliance: WholeAppliance, archive: Path) -> None:
        self.appliance = appliance
        self.archive = archive
        self.new = appliance.files()
        change(appliance)
        self.old = appliance.files()
        self.template = appliance.data.parent / "template"
        shutil.copytree(appliance.data.parent, self.template, ignore=shutil.ignore_patterns("tem*"))

    def begin_again(self) -> None:
        for folder in (self.appliance.data, self.appliance.settings):
            shutil.rmtree(folder)
            shutil.copytree(self.template / folder.name, folder)

    def restore(self) -> None:
        done = self.appliance.run("restore", self.archive, "--yes")
        assert done.exit_code == 0, done.output

    def kill_half_way(self) -> None:
        """Kill a restore when some of the files have changed places."""
        step = 1
        while not is_half_replaced(self.appliance.database):
            self.begin_again()
            assert killed_at(step, self.restore)
            step += 2

    def is_old(self) -> bool:
        return self.appliance.files() == self.old and "LATER" in codes(self.appliance.database)

    def is_new(self) -> bool:
        return self.appliance.files() == self.new and "LATER" not in codes(self.appliance.database)


def test_killed_at_each_step_it_is_the_old_or_the_new_appliance(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    states.restore()
    outcomes = []
    step = 1
    while True:
        states.begin_again()
        if not killed_at(step, states.restore):
            break
        half = is_half_replaced(appliance.database)
        if half:
            with pytest.raises(StoreError, match="a restore was interrupted"):
                migrate(appliance.database)
            assert finish_restore(Places(appliance.data, appliance.config))
            assert states.is_new(), step
            (aside,) = appliance.data.glob("affect-edge.db.replaced.*[0-9Z]")
            assert "LATER" in codes(aside)
        else:
            assert states.is_old() or states.is_new(), step
        outcomes.append("half" if half else "old" if states.is_old() else "new")
        step += 1
    assert states.is_new()
    assert outcomes == sorted(outcomes, key=["old", "half", "new"].index)
    assert outcomes.count("old") > 20 and outcomes.count("half") > 10
    assert not list(appliance.data.glob("*restoring*"))


def test_a_disk_that_fails_while_files_change_places_loses_none_of_them(
    appliance: WholeAppliance, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = States(appliance, archive)
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path == prepared_path(appliance.database):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fails)
        done = appliance.run("restore", archive, "--yes")
    assert isinstance(done.exception, StoreError) and "interrupted" in str(done.exception)
    assert prepared_path(appliance.database).exists() and not appliance.database.exists()
    done = appliance.run("restore")
    assert done.exit_code == 0 and "is complete now" in done.output
    assert states.is_new()


def test_what_a_killed_restore_prepared_goes_at_the_next_one(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    prepared = prepared_path(appliance.database)
    step = 1
    while not prepared.exists():
        states.begin_again()
        assert killed_at(step, states.restore)
        step += 1
    assert prepared in copies_beside(appliance.database)  # where an erasure finds it
    states.restore()
    assert states.is_new() and not prepared.exists()


def test_the_agent_completes_a_restore_that_was_interrupted(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    states.kill_half_way()
    settings = load_settings(None, WITHOUT_BROKER)
    with pytest.raises(StoreError, match="interrupted is complete now"):
        Agent(settings, appliance.data, {})
    assert states.is_new() and not is_half_replaced(appliance.database)
    Agent(settings, appliance.data, {})._lock.release()


def test_who_was_erased_since_is_erased_again(appliance: WholeAppliance, tmp_path: Path) -> None:
    open_session = add_session(appliance.database, "P03", heart(anger=90.0))
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("UPDATE session SET ended = NULL WHERE id = ?", (open_session,))
        connection.execute("INSERT INTO participant (code, created) VALUES ('NONE-1', 77)")
    archive = tmp_path / "backup.zip"
    assert appliance.run("backup", archive).exit_code == 0
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


def test_nobody_else_is_erased_where_several_were_made_at_one_time(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.executemany(
            "INSERT INTO participant (code, created) VALUES (?, 77)",
            [("TWIN-A",), ("TWIN-B",), ("TWIN-C",)],
        )
    erase_participant(appliance.database, "TWIN-C", actor="ada")
    archive = tmp_path / "backup.zip"
    assert appliance.run("backup", archive).exit_code == 0
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


@pytest.mark.parametrize("version", [1, len(MIGRATIONS) - 1])
def test_a_copy_of_an_older_version_is_brought_to_the_present_one(
    appliance: WholeAppliance, tmp_path: Path, version: int
) -> None:
    older = tmp_path / "older.db"
    migrate(older, MIGRATIONS[:version])
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("INSERT INTO participant (code, created) VALUES ('OLD', 1)")
        connection.commit()
    assert appliance.run("restore", older, "--yes").exit_code == 0
    assert codes(appliance.database) == ["OLD"]
    assert not list(appliance.data.glob("*before*"))


def test_a_copy_of_a_newer_version_is_refused(appliance: WholeAppliance, tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    migrate(newer)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    done = appliance.run("restore", newer, "--yes")
    assert isinstance(done.exception, BackupError) and "schema 99" in str(done.exception)
    assert codes(appliance.database) == ["P00", "P01", "P02"]


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
    os.chown(appliance.data, 12345, 12345)
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
        assert owner(lock_file) == (12345, 12345, 0o640)


def test_the_user_of_the_agent_completes_what_it_may_and_says_who_does_the_rest(
    appliance: WholeAppliance, archive: Path
) -> None:
    """The service may not write below /etc, where root restores to."""
    states = States(appliance, archive)
    states.kill_half_way()
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for path in (appliance.data, *appliance.data.rglob("*")):
        os.chown(path, 12345, 12345)
    for folder in appliance.data.parents:
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o001)

    def as_the_agent() -> None:
        os.setgid(12345)
        os.setuid(12345)
        with pytest.raises(StoreError, match="sudo"):
            finish_replacement(appliance.database)
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at(0, as_the_agent)
    os.chown(appliance.database.with_name("affect-edge.db.replacing"), 0, 12345)
    assert finish_restore(Places(appliance.data, appliance.config))
    assert states.is_new()


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
    monkeypatch.setattr("edge_agent.config.SYSTEM_FILE", appliance.config)
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
    assert isinstance(done.exception, BackupError) and "is no file" in str(done.exception)
