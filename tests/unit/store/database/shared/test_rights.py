"""Agent and dashboard as two users of one group: what the folder says decides who may write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.store.database.lock import lock, lock_for_reading
from edge_agent.store.database.schema import DATABASE_NAME, connect, copy_database
from edge_agent.store.database.schema import migrate as make_database
from edge_agent.store.database.set_aside_files import delete_set_aside
from edge_agent.store.database.shared.rights import put_in_place, remove, share
from edge_agent.store.upkeep.copy_report import Attempt, read_report, write_attempt


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o1770)
    return folder


@pytest.fixture(autouse=True)
def _as_under_systemd() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_database_copies_locks_and_report_belong_to_the_group_in_a_shared_folder(
    shared: Path,
) -> None:
    database = shared / DATABASE_NAME
    make_database(database)
    with lock(database), lock_for_reading(database):
        connection = connect(database, readonly=False)
        connection.execute("INSERT INTO setting (key, value) VALUES ('a', 'b')")
        connection.commit()
        copy_database(connection, shared / f"{DATABASE_NAME}.backup-2026-11-22")
        write_attempt(database, Attempt(1))
        files = sorted(file for file in shared.iterdir())
        assert {file.name: mode_of(file) for file in files} == {file.name: 0o660 for file in files}
        assert len(files) >= 7, "the log, too"
        connection.close()


def test_nothing_is_the_groups_in_a_folder_of_one_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    database = tmp_path / DATABASE_NAME
    make_database(database)
    assert mode_of(database) == 0o600


def test_a_file_of_somebody_else_stays_as_it_is(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shared / "theirs"
    file.touch(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    share(file)
    assert mode_of(file) == 0o600


@pytest.fixture
def sticky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody delete or replace anything, as in a sticky folder of somebody else."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.usefixtures("sticky")
def test_a_copy_that_cannot_be_deleted_is_emptied(shared: Path) -> None:
    copy = shared / f"{DATABASE_NAME}.backup-2026-11-22"
    copy.write_text("somebody's readings")
    remove(copy)
    assert copy.read_bytes() == b""


def test_a_database_set_aside_is_emptied_with_its_log(
    shared: Path, request: pytest.FixtureRequest
) -> None:
    database = shared / f"{DATABASE_NAME}.damaged.20261122T000000Z"
    log = shared / f"{database.name}-wal"
    for file in (database, log):
        file.write_text("somebody's readings")
    (shared / f"{database.name}-shm").touch()
    request.getfixturevalue("sticky")
    delete_set_aside(database)
    assert database.read_bytes() + log.read_bytes() == b""


@pytest.mark.usefixtures("sticky")
def test_the_report_of_copies_is_written_into_the_file_of_somebody_else(shared: Path) -> None:
    database = shared / DATABASE_NAME
    (shared / f"{DATABASE_NAME}.copies.json").write_text("{}")
    write_attempt(database, Attempt(7, "full"))
    assert read_report(database).attempt == Attempt(7, "full")


def test_a_complete_file_takes_the_place_of_another(tmp_path: Path) -> None:
    fresh, file = tmp_path / "fresh", tmp_path / "file"
    fresh.write_text("new")
    file.write_text("old")
    put_in_place(fresh, file)
    assert file.read_text() == "new"
    assert not fresh.exists()
