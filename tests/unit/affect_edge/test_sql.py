"""``affect-edge sql``: answers in several shapes, and nothing but reading."""

from __future__ import annotations

import csv
import gc
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export.ad_hoc import AdHocReader
from tests.support.timeline import database, query


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with write_transaction(database(tmp_path)) as connection:
        connection.executemany(
            "INSERT INTO setting (key, value) VALUES (?, ?)",
            [("colour", "blue"), ("long", "x" * 90), ("two\nlines", "ü")],
        )
    return tmp_path


def sql(folder: Path, *words: Any) -> Result:
    return CliRunner().invoke(cli, ["sql", "--data", str(folder), *map(str, words)])


SETTINGS = "SELECT key, length(value) AS n FROM setting WHERE key >= :from ORDER BY key LIMIT 3"


def test_a_table_for_people(folder: Path) -> None:
    done = sql(folder, SETTINGS, "--value", "from=colour")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["key", "n"]
    assert lines[2].split() == ["colour", "4"]
    assert lines[2].endswith(" 4")
    shown = sql(folder, "SELECT value, NULL, x'ab01' AS raw FROM setting WHERE key = 'long'").stdout
    assert "x" * 59 + "…" in shown
    assert shown.splitlines()[2].endswith("ab01")


def test_csv_and_json_hold_whole_values(folder: Path) -> None:
    text = sql(folder, "SELECT value, x'ff' AS raw FROM setting WHERE key = 'long'", "--format")
    assert text.exit_code == 2
    question = "SELECT key, value, x'ff' AS raw FROM setting WHERE key LIKE 'two%'"
    rows = list(csv.reader(io.StringIO(sql(folder, question, "--format", "csv").stdout)))
    assert rows == [["key", "value", "raw"], ["two\nlines", "ü", "ff"]]
    expected = {"key": "two\nlines", "value": "ü", "raw": "ff"}
    assert json.loads(sql(folder, question, "--format", "json").stdout) == [expected]
    assert json.loads(sql(folder, question, "--format", "jsonl").stdout) == expected
    empty = sql(folder, "SELECT key FROM setting WHERE 0", "--format", "csv").stdout
    assert empty.strip() == "key"


def test_without_a_question_it_lists_what_there_is(folder: Path) -> None:
    done = sql(folder)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("view ")
    assert any(line.startswith("view session_vital: ") for line in lines)
    assert "table setting: key, value" in lines


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("DELETE FROM setting", "Only reading is possible here"),
        ("WITH a AS (SELECT 1) INSERT INTO setting SELECT 'a', 'b'", "Only reading is possible"),
        ("ATTACH 'file:{folder}/new.db?mode=rwc' AS other", "Only reading is possible here"),
        ("VACUUM INTO '{folder}/new.db'", "Only reading is possible here"),
        ("PRAGMA writable_schema = 1", "Only reading is possible here"),
        ("BEGIN IMMEDIATE", "Only reading is possible here"),
        ("", "begin with SELECT or WITH"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT * FROM readings", "no such table: readings. There are: "),
        ("SELECT colour FROM setting", "no such column: colour"),
        ("SELECT load_extension('x')", "."),
    ],
)
def test_statement_that_writes_or_is_no_sql_is_refused(
    folder: Path, question: str, said: str
) -> None:
    before = query(folder / DATABASE_NAME, "SELECT count(*) FROM setting")
    done = sql(folder, question.format(folder=folder))
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert query(folder / DATABASE_NAME, "SELECT count(*) FROM setting") == before
    assert not (folder / "new.db").exists()


def test_a_question_without_end_is_interrupted(folder: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    done = sql(folder, endless, "--seconds", "0.2")
    assert done.exit_code == 2
    assert "took longer than 0.2 s" in done.output
    rows = sql(folder, endless.replace("max(i)", "i"), "--seconds", "0.2", "--format", "jsonl")
    assert "took longer than 0.2 s" in rows.output


def test_an_agent_writes_on_while_somebody_reads(folder: Path) -> None:
    path = folder / DATABASE_NAME
    with AdHocReader(path) as reader, closing(reader.ask("SELECT key FROM setting").rows) as rows:  # type: ignore[type-var]
        next(rows)
        with write_transaction(path) as connection:
            connection.execute("INSERT INTO setting (key, value) VALUES ('new', 'one')")
    assert query(path, "SELECT value FROM setting WHERE key = 'new'") == [("one",)]


@pytest.mark.filterwarnings("error")
def test_who_stops_reading_half_way_hears_no_complaint(folder: Path) -> None:
    with AdHocReader(folder / DATABASE_NAME) as reader:
        rows = reader.ask("SELECT key FROM setting").rows
        next(rows)
    del rows
    gc.collect()
