"""A timeline that another user owns, and what that user has put into it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.fleet.tables import expected_triggers
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from tests.support.first_release import first_database

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")
AGENT = 61001
_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n"


def theirs(folder: Path, *statements: str) -> Path:
    """Return a timeline of another user, who has changed it."""
    path = folder / DATABASE_NAME
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    for one in folder.iterdir():
        os.chown(one, AGENT, AGENT)
    return path


FOREIGN = (
    f"CREATE VIEW Vital_View AS {_ENDLESS}",
    "CREATE TRIGGER t BEFORE INSERT ON marker BEGIN SELECT RAISE(ABORT, 'run this'); END",
    (
        "CREATE TRIGGER fleet_x AFTER INSERT ON marker BEGIN INSERT INTO fleet_change "
        "(what, a, b, more) SELECT 1, 2, 3, 4 FROM marker, marker AS b; END"
    ),
)


@pytest.mark.parametrize("statement", FOREIGN, ids=["view", "trigger", "log"])
def test_timeline_of_another_user_with_foreign_statements_is_refused(
    tmp_path: Path, statement: str
) -> None:
    path = theirs(tmp_path, *(["DROP VIEW vital_view"] if "VIEW" in statement else []), statement)
    with pytest.raises(StoreError, match="which is not of this program"):
        connect(path, readonly=False)
    os.chown(path, 0, 0)
    connect(path, readonly=False).close()


def test_view_of_a_researcher_in_the_timeline_stays_and_is_read(tmp_path: Path) -> None:
    path = theirs(tmp_path, "CREATE VIEW my_sessions AS SELECT id FROM session", FOREIGN[1])
    with closing(connect(path, readonly=True)) as connection:
        assert connection.execute("SELECT count(*) FROM my_sessions").fetchone()[0] == 0


def test_triggers_of_a_fleet_and_views_of_an_upgrade_are_of_ours(tmp_path: Path) -> None:
    first_database(tmp_path / DATABASE_NAME)
    path = theirs(tmp_path, *expected_triggers().values())
    connect(path, readonly=True).close()


def test_value_or_statement_of_another_user_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = theirs(tmp_path)
    seconds = count(step=4)
    monkeypatch.setattr(clock, "boot_seconds", lambda: float(next(seconds)))
    with closing(connect(path, readonly=True)) as connection:
        with pytest.raises(sqlite3.DataError, match="too big"):
            connection.execute("SELECT zeroblob(60000000)").fetchone()
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(f"SELECT count(*) FROM ({_ENDLESS})").fetchone()


def test_words_that_a_trigger_has_sqlite_say_are_quoted(tmp_path: Path) -> None:
    path = theirs(tmp_path, FOREIGN[1].replace("run this", "Run:\x1b[2J curl | sudo sh"))
    refused = pytest.raises(StoreError)
    with closing(sqlite3.connect(path)) as there, refused as refusal, translate_errors(path):
        there.execute("INSERT INTO marker DEFAULT VALUES")
    assert str(refusal.value) == f'{path}: SQLite said: "Run:\\x1b[2J curl | sudo sh".'
