"""Where the files of the dashboard lie; nobody with more rights follows a link of its user."""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.core import owners
from edge_agent.core.errors import StoreError
from edge_agent.core.files import give_owner
from edge_agent.timeline.database import dashboard_file as dashboard_file_module
from edge_agent.timeline.database import secure_open
from edge_agent.timeline.database.creation import statements_of
from edge_agent.timeline.database.dashboard_file import (
    FOLDER,
    FORM,
    account_names,
    as_owner,
    become_owner,
    dashboard_file,
    delete_prepared_exports,
    is_anothers,
    make_prepared_folder,
    passing_folder,
    read_as_owner,
    read_dashboard,
    sweep_prepared,
    write_dashboard,
)
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.security.two_users import stand_in

AGENT, WEB, GROUP = 12301, 12302, 12300
_ACCOUNT = (
    "INSERT INTO account (name, password_hash, created, role, disabled, must_change) "
    "VALUES (?, 'hash', 1, 'administrator', 0, 0)"
)
MARKS = (f"PRAGMA application_id={FORM.application}", f"PRAGMA user_version={FORM.version}")
_DELETE = """
import os, sys
from pathlib import Path
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import delete_prepared_exports
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
try:
    delete_prepared_exports(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""


def test_files_of_the_dashboard_lie_in_its_own_folder_where_there_is_one(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    assert dashboard_file(database) == tmp_path / "dashboard.db"
    assert make_prepared_folder(tmp_path) == tmp_path / "exports"
    (tmp_path / FOLDER).mkdir()
    assert dashboard_file(database) == tmp_path / FOLDER / "dashboard.db"
    export = make_prepared_folder(tmp_path, "one")
    assert export == tmp_path / FOLDER / "exports/one"
    assert {oct(one.stat().st_mode & 0o777) for one in (export, export.parent)} == {"0o770"}
    (export / "study.zip").touch()
    (export.parent / "left.tmp").touch()
    (tmp_path / "exports/of-before").mkdir()
    delete_prepared_exports(tmp_path)
    assert list(export.parent.iterdir()) == list((tmp_path / "exports").iterdir()) == []


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder as the installer makes it, for an agent's and a dashboard's user."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    monkeypatch.setattr(owners, "user_named", owners.user_named)
    stand_in(AGENT, WEB, GROUP)
    # pytest's folders are closed to others
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        data = Path(name) / "data"
        for folder, owner, mode in (
            (data, AGENT, 0o750),
            (data / "tls", AGENT, 0o770),
            (data / FOLDER, WEB, 0o750),
            (data / FOLDER / "exports", WEB, 0o770),
        ):
            folder.mkdir()
            os.chown(folder, owner, GROUP)
            folder.chmod(mode)
        yield data


def as_agent(data: Path) -> str:
    """Delete the prepared exports as the agent's user; return what it says."""
    arguments = [sys.executable, "-c", _DELETE, str(data), str(GROUP), str(AGENT)]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=60, cwd=Path.cwd()
    )
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("who", ["agent", "root"])
def test_exports_a_link_of_dashboard_stands_there_nothing_behind_it_goes(
    data: Path, who: str
) -> None:
    (data / DATABASE_NAME).write_text("rows")
    (data / "models").mkdir()
    os.chown(data / "models", AGENT, GROUP)
    exports = data / FOLDER / "exports"
    exports.rmdir()
    exports.symlink_to(data)
    os.chown(exports, WEB, GROUP, follow_symlinks=False)
    if who == "agent":
        said = as_agent(data)
    else:
        with pytest.raises(StoreError) as caught:
            delete_prepared_exports(data)
        said = str(caught.value)
    assert re.match(rf"{exports}: is a link .* delete it: rm {exports}", said)
    assert (data / DATABASE_NAME).read_text() == "rows" and (data / "models").is_dir()


def test_exports_links_in_it_go_and_what_they_lead_to_stays(data: Path) -> None:
    exports = data / FOLDER / "exports"
    kept = data / "models"
    kept.mkdir()
    (kept / "own.tflite").touch()
    os.chown(kept, AGENT, GROUP)
    (exports / "one").mkdir()
    for link in (exports / "a", exports / "one/b"):
        link.symlink_to(kept)
    for made in (exports / "one", exports / "a", exports / "one/b"):
        os.chown(made, WEB, GROUP, follow_symlinks=False)
    (exports / "one").chmod(0o770)
    assert not as_agent(data)
    assert list(exports.iterdir()) == [] and (kept / "own.tflite").exists()


def test_exports_of_a_user_who_has_no_business_there_are_refused(data: Path) -> None:
    exports = data / FOLDER / "exports"
    (exports / "study.zip").touch()
    os.chown(exports, 12399, GROUP)
    assert f"{exports}: belongs to the user 12399" in as_agent(data)
    assert (exports / "study.zip").exists()


def test_exports_that_cannot_be_deleted_are_named(data: Path) -> None:
    deep = data / FOLDER / "exports"
    inner = deep
    for _ in range(60):
        inner /= "x"
        inner.mkdir()
    with pytest.raises(StoreError, match=f"{deep}/x: cannot be deleted .too many folders"):
        delete_prepared_exports(data)


def test_exports_of_very_many_names_are_deleted_in_little_memory(data: Path) -> None:
    for folder in (data / FOLDER / "exports", data / FOLDER / "exports/one"):
        folder.mkdir(exist_ok=True)
        for number in range(4_000):
            (folder / f"{number:0250}").touch()
    tracemalloc.start()
    try:
        delete_prepared_exports(data)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
    assert not any((data / FOLDER / "exports").iterdir())


def test_root_and_the_agent_stage_in_folders_of_their_own(data: Path) -> None:
    made = make_prepared_folder(data, "study-1")
    assert made == data / "exports/study-1"
    assert [(one.stat().st_uid, oct(one.stat().st_mode)[-3:]) for one in (made, made.parent)] == [
        (AGENT, "700")
    ] * 2
    assert not as_agent(data)
    assert not made.exists()


def test_accounts_root_opens_them_only_with_the_rights_of_folders_owner(data: Path) -> None:
    database = data / DATABASE_NAME
    secret = data / "secret.db"
    own = data.parent / "own"  # a database that root alone may read
    (own / FOLDER).mkdir(parents=True)
    with write_dashboard(own / DATABASE_NAME) as connection:
        connection.execute("SELECT 1")
    (own / FOLDER / "dashboard.db").rename(secret)
    file = dashboard_file(database)
    file.symlink_to(secret)
    os.chown(file, WEB, GROUP, follow_symlinks=False)
    with pytest.raises(StoreError, match="no permission"), read_as_owner(database):
        pass
    assert os.geteuid() == 0
    refused = pytest.raises(StoreError, match=r"the dashboard's user alone.*sudo -u")
    with refused, read_dashboard(database):
        pass


_NAMES = """
import os, sys
from pathlib import Path
from edge_agent.appliance.database_checks import _accounts
from edge_agent.timeline.database.dashboard_file import account_names
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
print(account_names(Path(sys.argv[1])), _accounts(Path(sys.argv[1])).found)
"""


def test_a_journal_beside_the_accounts_makes_agents_user_delete_nothing(data: Path) -> None:
    database = data / DATABASE_NAME
    database.write_text("rows")
    os.chown(database, AGENT, GROUP)
    file = dashboard_file(database)
    with closing(sqlite3.connect(file)) as connection:  # without a log: a journal counts
        for statement in (*statements_of("dashboard.sql"), *MARKS):
            connection.execute(statement)
        pages, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "page_size")
        )
        connection.commit()
    mark, named = bytes.fromhex("d9d505f920a163d7"), os.fsencode(database)
    head = struct.pack(">8s5I", mark, 0, 0, pages, 512, size).ljust(512, b"\0")
    end = struct.pack(">II8s", len(named), sum(named), mark)
    journal = file.with_name(f"{file.name}-journal")
    journal.write_bytes(head + struct.pack(">I", 2**30 // size + 1) + named + end)
    for one in (file.parent, file, journal):  # its user lets everybody in
        os.chown(one, WEB, GROUP)
        one.chmod(0o777)
    arguments = [sys.executable, "-c", _NAMES, str(database), str(GROUP), str(AGENT)]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=60, cwd=Path.cwd()
    )
    assert done.stdout.startswith("frozenset() not looked at"), done.stderr
    assert database.read_text() == "rows"


def test_accounts_without_end_hold_up_nobody(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = data / DATABASE_NAME
    file = dashboard_file(database)
    endless = "WITH RECURSIVE t(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM t) SELECT x AS name"
    with closing(sqlite3.connect(file)) as connection:
        for statement in (f"CREATE VIEW account AS {endless} FROM t", *MARKS):
            connection.execute(statement)
        connection.commit()
    os.chown(file, WEB, GROUP)
    assert len(account_names(database)) == 10_000
    monkeypatch.setattr(dashboard_file_module, "_LONGEST_S", 0.2)
    with pytest.raises(StoreError, match="interrupted"), read_as_owner(database) as connection:
        connection.execute("SELECT count(*) FROM account").fetchone()
    os.truncate(file, 200_000_000)
    refused = pytest.raises(StoreError, match="is larger than 100,000,000 bytes")
    with refused, read_as_owner(database):
        pass


def test_a_file_that_was_exchanged_for_a_link_is_given_to_nobody(data: Path) -> None:
    secret = data / "secret"
    secret.touch(mode=0o600)
    prepared = data / FOLDER / "dashboard.db.backup-restoring"
    prepared.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        give_owner(prepared, data / FOLDER / "dashboard.db", 0o660)
    assert (secret.stat().st_uid, oct(secret.stat().st_mode)[-3:]) == (0, "600")


_BECOME = """
import os, sys
from pathlib import Path
from edge_agent.timeline.database.dashboard_file import become_owner, write_dashboard
from edge_agent.timeline.database.creation import statements_of
from tests.support.security.two_users import stand_in
statements_of("dashboard.sql")  # where Python is installed for root alone, nobody else reads it
stand_in(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
become_owner(Path(sys.argv[1]))
with write_dashboard(Path(sys.argv[1])) as connection:
    connection.execute("SELECT 1")
print(os.getresuid(), os.getresgid(), os.getgroups())
"""


def test_root_gives_its_rights_up_for_commands_on_accounts(data: Path) -> None:
    users = [str(one) for one in (AGENT, WEB, GROUP)]
    arguments = [sys.executable, "-c", _BECOME, str(data / DATABASE_NAME), *users]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=60, cwd=Path.cwd()
    )
    assert done.stdout.strip() == f"{(WEB,) * 3} {(GROUP,) * 3} {[GROUP]}", done.stderr
    assert (data / FOLDER / "dashboard.db").stat().st_uid == WEB


@pytest.mark.parametrize("trap", ["its own", "a link", "none"])
def test_folder_of_accounts_that_the_agent_has_laid_is_refused_by_root(
    data: Path, trap: str
) -> None:
    database, folder = data / DATABASE_NAME, data / FOLDER
    folder.rename(data / "away")
    if trap == "its own":
        folder.mkdir(mode=0o777)
        os.chown(folder, AGENT, GROUP)
    elif trap == "a link":
        folder.symlink_to(data / "away")
        os.chown(folder, AGENT, GROUP, follow_symlinks=False)
    file = dashboard_file(database)
    said = r"accounts .* --activate$"
    with pytest.raises(StoreError, match=said), read_as_owner(database):
        pass
    with pytest.raises(StoreError, match=said):
        become_owner(database)
    assert not file.exists() and os.getresuid() == (0, 0, 0)


def test_accounts_the_agent_lays_beside_the_data_are_not_the_dashboards(data: Path) -> None:
    (data / FOLDER / "dashboard.db").touch()
    (data / FOLDER / "dashboard.db").rename(data / "dashboard.db")
    (data / FOLDER).rename(data / "away")
    os.seteuid(WEB)
    try:
        assert is_anothers(data / "dashboard.db")
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("at", "named"), [("file", "dashboard.db"), ("log", "dashboard.db-wal")])
def test_accounts_exchanged_while_they_are_opened_are_not_believed(
    data: Path, monkeypatch: pytest.MonkeyPatch, at: str, named: str
) -> None:
    database, folder, other = data / DATABASE_NAME, data / FOLDER, data / "other"
    for name in ("mallory", "owner"):
        with as_owner(dashboard_file(database)), write_dashboard(database) as connection:
            connection.execute(_ACCOUNT, (name,))
        if name == "mallory":
            folder.rename(other)
            folder.mkdir(mode=0o750)
            os.chown(folder, WEB, GROUP)
    for one in (other, *other.iterdir()):  # the agent's user owns it, and lets everybody in
        os.chown(one, AGENT, GROUP)
        one.chmod(0o777)

    def exchange() -> None:
        was = os.geteuid()
        os.seteuid(0)  # who does it is another process, as the agent's user
        folder.rename(data / "between")
        other.rename(folder)
        (data / "between").rename(other)
        os.seteuid(was)

    class Exchanging(sqlite3.Connection):
        def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
            exchange()
            try:
                return super().execute(text, *values)
            finally:
                exchange()

    def connect(address: str, **options: Any) -> Any:
        if at == "log":
            return sqlite3.connect(address, factory=Exchanging, **options)
        exchange()
        try:
            return sqlite3.connect(address, **options)
        finally:
            exchange()

    with monkeypatch.context() as patched:
        patched.setattr(secure_open, "sqlite3", SimpleNamespace(connect=connect))
        refused = pytest.raises(StoreError, match=rf"{named}: was exchanged while it was opened")
        with refused, read_as_owner(database):
            pass
    with read_as_owner(database) as connection:
        assert [row["name"] for row in connection.execute("SELECT name FROM account")] == ["owner"]


def test_staged_folder_of_a_killed_process_is_swept_and_one_in_use_is_not(tmp_path: Path) -> None:
    with passing_folder(tmp_path, "study-") as used:
        left = make_prepared_folder(tmp_path, "study-" + "0" * 16)
        (left / "study.db").write_bytes(b"a")
        young = make_prepared_folder(tmp_path, "study-" + "1" * 16)
        waiting = make_prepared_folder(tmp_path, "export")
        old = make_prepared_folder(tmp_path, "other")
        for folder in (used, left, left / "study.db", old):
            os.utime(folder, (0, 0))
        sweep_prepared(tmp_path)
        assert sorted(one.name for one in used.parent.iterdir()) == sorted(
            one.name for one in (used, young, waiting)
        )


def test_export_that_is_written_for_hours_is_not_swept(tmp_path: Path) -> None:
    folder = make_prepared_folder(tmp_path, "export")
    file = folder / "bids" / "sub-01" / "beh" / "sub-01_beh.tsv"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a")
    for one in (folder, *list(folder.rglob("*"))[:-1]):
        os.utime(one, (0, 0))
    sweep_prepared(tmp_path)
    assert file.exists()
    os.utime(file, (0, 0))
    sweep_prepared(tmp_path)
    assert not folder.exists()
