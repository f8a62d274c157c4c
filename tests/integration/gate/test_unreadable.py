"""A database that holds rows beyond all bounds, as one could before they were refused."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.appliance.database_checks import check_database
from edge_agent.appliance.findings import Verdict
from edge_agent.config.loading import load_settings
from edge_agent.timeline.database.connection import connect, insert, read_transaction
from edge_agent.timeline.intake.unreadable import find_unreadable
from tests.integration.gate.test_bounds import failing_pages
from tests.support.dashboard import add_session, client_of, fill, set_up

NOW_MS = 1_790_000_000_000
WRONG_TIMES = (-(2**62), 2**62, 10**17)


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A database with good rows and wrong ones."""
    database = tmp_path / "affect-edge.db"
    fill(database, minutes=3)
    session = add_session(database)
    with closing(connect(database, readonly=False)) as connection:
        for at in WRONG_TIMES:
            insert(connection, "vital", at=at, kind="heart_rate", source="x", value=1.0)
            wrong = {"raised": at, "ended": at, "quiet": 0}
            insert(connection, "alert", rule="agent", kind="agent", text="x", **wrong)
            insert(connection, "marker", session=session, at=at, kind="note", label="x")
            insert(connection, "gap", source="camera", started=at, ended=at, reason="stalled")
        for number, (value, source) in enumerate(
            ((math.inf, "x"), (-math.inf, "x"), (1e308, "x"), (70.0, "x" * 5_000_000))
        ):
            reading = {"at": NOW_MS + number, "kind": "heart_rate", "source": source}
            insert(connection, "vital", **reading, value=value, flags="out_of_range")
    return database


def run(*words: str, data: Path) -> str:
    done = CliRunner().invoke(cli, [*words, "--data", str(data)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_rows_beyond_bounds_stop_no_page_and_no_export(spoilt: Path, tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        assert failing_pages(set_up(client, tmp_path)) == []
    assert "9999-12-30" in run("alerts", "--all", data=tmp_path)
    for form, ending in (("bundle", "zip"), ("csv", "zip"), ("json", "json")):
        out = tmp_path / f"out-{form}.{ending}"
        run("export", "--out", str(out), "--format", form, data=tmp_path)


def test_rows_beyond_bounds_are_named_and_removed(spoilt: Path, tmp_path: Path) -> None:
    def finding() -> tuple[Verdict, str]:
        found = {one.check: one for one in check_database(load_settings(), tmp_path, deep=False)}
        return found["bounds"].verdict, found["bounds"].found

    named = "3 rows of marker, 3 of alert, 3 of gap, 7 of vital"
    assert finding() == (Verdict.PROBLEM, f"{named} have a time or a value that cannot be shown")
    with read_transaction(spoilt) as connection:
        before = connection.execute("SELECT count(*) FROM vital").fetchone()[0]
    assert f"{named} removed; none is left." in run(
        "maintenance", "--remove-unreadable", data=tmp_path
    )
    with read_transaction(spoilt) as connection:
        assert connection.execute("SELECT count(*) FROM vital").fetchone()[0] == before - 7
        trail = connection.execute(
            "SELECT actor, action, detail FROM audit ORDER BY id DESC LIMIT 1"
        )
        assert tuple(trail.fetchone()) == ("command line", "unreadable_remove", named)
    assert find_unreadable(spoilt, math.inf).rows == {}
    assert finding()[0] is Verdict.OK
    assert "Nothing was removed." in run("maintenance", "--remove-unreadable", data=tmp_path)
