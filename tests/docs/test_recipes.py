"""DuckDB and datasette do with an export what docs/export.md says."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.docs.pages import ROOT, blocks_of, inline_code_of
from tests.support.broker import free_port
from tests.support.timeline import query, wait_for

pytestmark = pytest.mark.skipif(
    not (find_spec("duckdb") and find_spec("datasette")), reason="the dev extra is not installed"
)
BLOCKS = [block.text for block in blocks_of("docs/export.md") if block.kind == "text"]
(SQL,) = [text for text in BLOCKS if "FROM read_csv(" in text]
(COMMANDS,) = [text for text in BLOCKS if "datasette tables.db" in text]
QUOTED = {"at", "end", "order"}
ASK_DUCKDB = """
import duckdb, json, sys
answers = []
with duckdb.connect() as connection:
    for sql in json.load(sys.stdin):
        try:
            answers.append(connection.execute(sql).fetchall())
        except duckdb.ParserException:
            answers.append("refused")
json.dump(answers, sys.stdout, default=str)
"""
MEANS = """
    SELECT participant, condition, kind, round(avg(value), 1), count(*) FROM session_vital
    WHERE condition IS NOT NULL AND coalesce(flags, '') NOT LIKE '%out_of_range%'
    GROUP BY participant, condition, kind ORDER BY participant, condition, kind
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example study, in which the first of the commands was run."""
    folder = tmp_path_factory.mktemp("recipes")
    database = folder / "data" / DATABASE_NAME
    migrate(database)
    seed_example_study(database, SimulatedPerson, seed=2026)
    affect_edge = folder / "bin" / "affect-edge"
    affect_edge.parent.mkdir()
    words = f'"{sys.executable}" -m edge_agent "$@" --data "{folder / "data"}"'
    affect_edge.write_text(f"#!/bin/sh\nexec {words}\n", encoding="utf-8")
    affect_edge.chmod(0o755)
    run(COMMANDS.splitlines()[0], folder)
    return folder


def surroundings(folder: Path) -> dict[str, str]:
    """What a shell in the folder knows: our command, and the programs beside this Python."""
    programs = [folder / "bin", Path(sys.executable).parent, os.environ["PATH"]]
    path = ":".join(map(str, programs))
    return {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder)}


def run(command: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=surroundings(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def ask_duckdb(folder: Path, *queries: str) -> list[Any]:
    """Return the rows of each query, ``refused`` where DuckDB does not understand it.

    In a process of its own, because the library tells at the end of ours what it did not free.
    """
    done = subprocess.run(
        [sys.executable, "-c", ASK_DUCKDB],
        cwd=folder,
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def same_numbers(found: list[list[Any]], expected: list[tuple[Any, ...]]) -> None:
    assert len(found) == len(expected) > 50
    for one, other in zip(found, expected, strict=True):
        assert tuple(one[:3]) == other[:3] and one[4] == other[4]
        assert one[3] == pytest.approx(other[3], abs=0.1)  # halves are rounded either way


def test_duckdb_gives_the_means_of_the_database(world: Path) -> None:
    (found,) = ask_duckdb(world, SQL)
    same_numbers(found, query(world / "data" / DATABASE_NAME, MEANS))


def test_the_page_names_every_column_that_duckdb_wants_in_quotes(
    world: Path, tmp_path: Path
) -> None:
    names = {
        (name, f"FROM read_csv('{beginning_of(file, tmp_path)}', all_varchar = true) LIMIT 1")
        for file in (world / "TABLES").glob("*.csv")
        for name in header(file)
    }
    asked = sorted(names)
    assert len(asked) > 60
    quoted = ask_duckdb(world, *(f'SELECT "{name}" {source}' for name, source in asked))
    assert "refused" not in quoted
    plain = ask_duckdb(world, *(f"SELECT {name} {source}" for name, source in asked))
    refused = {name for (name, _), answer in zip(asked, plain, strict=True) if answer == "refused"}
    assert refused == QUOTED
    assert {f'"{name}"' for name in QUOTED} <= set(inline_code_of("docs/export.md"))


def beginning_of(file: Path, folder: Path) -> Path:
    """Return a copy with the first lines alone: DuckDB looks through all to guess how it is cut."""
    with file.open(encoding="utf-8") as lines:
        copy = folder / file.name
        copy.write_text("".join(islice(lines, 20)), encoding="utf-8")
    return copy


def header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        return next(csv.reader(lines))


@contextmanager
def shown_by_datasette(line: str, world: Path) -> Iterator[str]:
    """Run a command of the page that serves, on a free port, until the end of the block."""
    port = free_port()
    with (world / "datasette.log").open("wb") as log:
        running = subprocess.Popen(
            ["bash", "-c", f"exec {line} --port {port}"],
            cwd=world,
            env=surroundings(world),
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: running.poll() is not None or answers(address), 120)
        assert running.poll() is None, (world / "datasette.log").read_text(encoding="utf-8")
        yield address
    finally:
        running.terminate()
        running.wait(60)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/versions.json", timeout=60):
            return True
    except OSError:
        return False


def _answer(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def test_datasette_shows_every_row_of_the_tables(world: Path) -> None:
    _, export, serve = COMMANDS.splitlines()
    run(export, world)
    with shown_by_datasette(serve, world) as address:
        names = {table["name"] for table in _answer(f"{address}/tables.json")["tables"]}
        rows = _answer(f"{address}/tables/vital.json?_shape=array&_size=5")
        # Its own counts are left out where counting takes longer than some milliseconds.
        asked = f"{address}/tables.json?_shape=array&sql=select+count(*)+as+n+from+"
        counted = {name: _answer(asked + name)[0]["n"] for name in names}
    assert names == {"columns", *FILES}
    for name, count in counted.items():
        if name == "columns":
            continue
        with (world / f"TABLES/{name}.csv").open(encoding="utf-8", newline="") as lines:
            assert count == len(list(csv.DictReader(lines)))
    assert counted["vital"] and counted["expression"]
    assert list(rows[0]) == ["rowid", *header(world / "TABLES/vital.csv")]
    assert not any("account" in name for name in counted)
