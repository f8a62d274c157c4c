"""Creating, opening and refusing databases."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dashboard.accounts.roles import TOKEN_ROLES, Role
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS, RejectReason
from edge_agent.core.study import AttributeUse, MarkerKind, Purpose, SessionSetting
from edge_agent.timeline.database import creation
from edge_agent.timeline.database.connection import connect, read_transaction, write_transaction
from edge_agent.timeline.database.lock import lock
from edge_agent.timeline.database.schema import NONE_OF_THESE, VERSION
from edge_agent.timeline.database.setting import stream_epoch
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader
from tests.support.timeline import query, query_dashboard, timeline

TRY_EVERYTHING = """
import json, os, sys
from pathlib import Path
from edge_agent.core.errors import StoreError
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.database.lock import lock
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
path = Path(sys.argv[1])
if os.getuid() == 0:  # permissions do not bind root: become nobody
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
calls = {"migrate": lambda: migrate(path), "lock": lambda: lock(path)}
calls["read"] = lambda: Reader(path).counts()
calls["write"] = lambda: Study(path).create_participant("P1")
said = {}
for name, call in calls.items():
    try:
        call()
        said[name] = "no error"
    except StoreError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


NO_PERMISSION = "no permission to read or write here. Run as the user that owns the folder"


def as_a_stranger(path: Path) -> dict[str, str]:
    """What a process that owns nothing here is told, for each thing it tries with the database."""
    ended = subprocess.run(
        [sys.executable, "-c", TRY_EVERYTHING, str(path)],
        capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    said: dict[str, str] = json.loads(ended.stdout)
    return said


def test_a_new_database_has_its_schema_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1? ü & more" / "affect-edge.db"
    migrate(path)
    assert query(path, "SELECT version, name FROM migration") == [(VERSION, "schema.sql")]
    assert query(path, "PRAGMA user_version") == [(VERSION,)]
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, "others may not read it"
    loose = "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict"
    assert query(path, f"{loose} AND name NOT LIKE 'sqlite_%'") == []
    with pytest.raises(StoreError, match="no permission"), read_transaction(path) as connection:
        connection.execute("INSERT INTO setting VALUES ('a', 'b')")
    with suppress(ZeroDivisionError), write_transaction(path) as connection:
        connection.execute("INSERT INTO setting VALUES ('a', 'b')")
        raise ZeroDivisionError
    assert query(path, "SELECT * FROM setting WHERE key = 'a'") == []
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_connection_waits_checks_keys_and_overwrites_deleted_rows(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=False)) as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("busy_timeout", "foreign_keys", "secure_delete", "synchronous")
        }
    assert found == {"busy_timeout": 5000, "foreign_keys": 1, "secure_delete": 1, "synchronous": 2}


NOTES = b"These are my holiday notes, and no database at all.\n" * 20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (NOTES, r"is not a database\. Nothing was changed; start the agent"),
        (None, "not one of Affect Edge"),
    ],
)
def test_a_file_of_somebody_else_is_refused_and_left_alone(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "affect-edge.db"
    if content is None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE bookmarks (url TEXT)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert_refused(path, said)
    assert path.read_bytes() == before


def assert_refused(path: Path, said: str) -> None:
    for call in (migrate, lambda path: connect(path, readonly=False), counts):
        with pytest.raises(StoreError, match=said):
            call(path)


def counts(path: Path) -> dict[str, int]:
    return Reader(path).counts()


def test_a_place_without_a_database_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    said = r"no database\. Start the agent once, or import a file, or name its folder"
    with pytest.raises(StoreError, match=said):
        counts(path)
    assert list(tmp_path.iterdir()) == [], "reading creates nothing"
    path.mkdir()
    with pytest.raises(StoreError, match=r"affect-edge.db: is a folder, not a file"):
        counts(path)
    with pytest.raises(StoreError, match="affect-edge.db"):
        migrate(path)
    path.rmdir()
    path.touch()
    with pytest.raises(
        StoreError, match=r"affect-edge.db: is empty\. Start the agent once, or import a file"
    ):
        counts(path)
    with pytest.raises(StoreError, match=r"affect-edge.db.*--data"):
        migrate(path / "affect-edge.db")
    migrate(path)
    assert counts(path)["session"] == 0


def test_database_damaged_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=range(400))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StoreError, match=r"is damaged\..*restore a copy"):
        list(Reader(path).expression_rows(0, 2**60))


def test_database_locked_by_another_program_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as browser:
        browser.execute("PRAGMA locking_mode=EXCLUSIVE")
        browser.execute("BEGIN EXCLUSIVE")
        browser.execute("INSERT INTO setting VALUES ('a', 'b')")
        with pytest.raises(StoreError, match="is locked by another program"):
            Reader(path, busy_seconds=0.05).counts()


def test_database_in_a_closed_folder_is_refused_for_missing_permission(tmp_path: Path) -> None:
    path = timeline(tmp_path / "data")
    path.parent.chmod(0o000)
    try:
        said = as_a_stranger(path)
    finally:
        path.parent.chmod(0o755)
    assert set(said) == {"migrate", "lock", "read", "write"}
    assert [text for text in said.values() if NO_PERMISSION not in text] == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_database_another_user_can_read_it_but_not_write(open_folder: Path) -> None:
    path = timeline(open_folder)
    path.chmod(0o644)
    with closing(connect(path, readonly=False)) as agent:
        agent.execute("INSERT INTO setting VALUES ('a', 'b')")
        said = as_a_stranger(path)
    assert said.pop("read") == "no error"
    assert [text for text in said.values() if NO_PERMISSION not in text] == []
    assert NO_PERMISSION in as_a_stranger(path)["read"], (
        "without an agent its folder would have to be written"
    )


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("expression", "emotion", EMOTIONS),
        ("unfit", "reason", RejectReason),
        ("marker", "kind", MarkerKind),
        ("session", "purpose", Purpose),
        ("session", "setting", SessionSetting),
        ("consent", "attributes", AttributeUse),
        ("self_report", "value", (*EMOTIONS, NONE_OF_THESE)),
        ("account", "role", Role),
        ("token", "role", TOKEN_ROLES),
    ],
)
def test_column_takes_exactly_the_values_that_the_code_knows(
    tmp_path: Path, table: str, column: str, values: Iterable[str]
) -> None:
    ask = query_dashboard if column == "role" else query
    ((sql,),) = ask(timeline(tmp_path), f"SELECT sql FROM sqlite_schema WHERE name = '{table}'")
    (listed,) = re.findall(rf"\b{column} IN\s*\(([^)]*)\)", sql)
    assert re.findall(r"'(\w+)'", listed) == [str(value) for value in values]


def test_making_a_database_is_done_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = creation.statements_of
    path = tmp_path / "affect-edge.db"
    with monkeypatch.context() as patched:
        patched.setattr(
            creation, "statements_of", lambda name: (*whole(name), "INSERT INTO nowhere VALUES (1)")
        )
        with pytest.raises(StoreError, match="nowhere"):
            migrate(path)
    with closing(sqlite3.connect(path)) as half:
        assert half.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    migrate(path)
    assert query(path, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (VERSION + 1, r"newer Affect Edge \(schema {}, this program knows {}\).*update"),
        (33, r"before the first release \(schema {}, this program upgrades 34 and later\).*export"),
        (0, r"before the first release \(schema {}, this program upgrades 34 and later\).*export"),
    ],
)
def test_database_of_another_version_is_refused_and_unchanged(
    tmp_path: Path, version: int, said: str
) -> None:
    path = timeline(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    assert_refused(path, said.format(version, VERSION))
    assert path.read_bytes() == before


def epoch_of(path: Path) -> str:
    with write_transaction(path) as connection:
        return stream_epoch(connection)


def test_epoch_of_each_database_differs_also_after_it_was_lost(tmp_path: Path) -> None:
    path = timeline(tmp_path / "a")
    epochs = {epoch_of(path), epoch_of(timeline(tmp_path / "b"))}
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM setting")
    epochs |= {epoch_of(path), epoch_of(path)}
    assert len(epochs) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", epoch) for epoch in epochs)


# The lock of the one agent of a database


def test_a_second_agent_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    with (
        lock(path),
        pytest.raises(StoreError, match=rf"another agent.*process {os.getpid()}\).*--data"),
    ):
        lock(path)


def test_a_lock_ends_with_its_release_or_its_process(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    held = lock(path)
    held.release()
    held.release()
    holder = (
        "import os, sys; from pathlib import Path; "
        "from edge_agent.timeline.database.lock import lock\n"
    )
    holder += "lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder.replace("lock(Path", "held = lock(Path"), str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"process {process.pid}"):
            lock(path)
        process.kill()
    lock(path).release()
