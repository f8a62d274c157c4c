"""The rollups of a minute that goes on: written once, and read as if they were there."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import HOUR_MS
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.upkeep.fold import make_anew, pruned_minutes
from edge_agent.timeline.write.inserts import write_expressions
from tests.support.clocks.dated import assert_rollups_are_those_of_the_rows
from tests.support.clocks.machine import Machine, Writing, rows_at
from tests.support.timeline import START_MS, query

_DAY = (START_MS - HOUR_MS, START_MS + 24 * HOUR_MS)


def rows_in_trend(path: Path, buckets: int) -> int:
    return sum(Reader(path).trend(*_DAY, buckets).rows)


@pytest.mark.parametrize(("buckets", "resolution"), [(25, "hour"), (1500, "minute")])
def test_minute_that_goes_on_is_read_from_its_rows(
    path: Path, machine: Machine, buckets: int, resolution: str
) -> None:
    agent = machine.agent(path)
    agent.record_all(range(125, 156))
    assert query(path, "SELECT count(*) FROM expression_minute") == [(0,)]
    assert Reader(path).trend(*_DAY, buckets).resolution == resolution
    assert rows_in_trend(path, buckets) == 31
    agent.record_all(range(156, 250))
    assert query(path, "SELECT sum(rows) FROM expression_minute") == [(115,)]
    assert query(path, "SELECT sum(rows) FROM expression_hour") == [(115,)]
    assert rows_in_trend(path, buckets) == 125


def test_row_of_a_minute_that_was_rolled_up_is_added_at_once(path: Path, machine: Machine) -> None:
    agent = machine.agent(path)
    agent.record_all(range(100, 250))
    agent.record_all([115.5])
    assert query(path, "SELECT sum(rows) FROM expression_minute") == [(141,)]
    assert_rollups_are_those_of_the_rows(path)


def test_import_into_a_minute_that_goes_on_is_counted_once(path: Path, machine: Machine) -> None:
    agent = machine.agent(path)
    agent.record_all(range(130, 140))
    rows = [row for second in range(130, 135) for row in rows_at(machine.at(second), Emotion.ANGER)]
    faces = [(row, None) for row in rows if isinstance(row, ExpressionRow)]
    with write_transaction(path) as connection:
        write_expressions(connection, faces, 1000, simulated=False, import_number=7)
    agent.record_all(range(140, 200))
    assert_rollups_are_those_of_the_rows(path)


@pytest.mark.parametrize("seed", range(2))
def test_rollups_are_those_of_the_rows_whatever_happens(
    path: Path, machine: Machine, seed: int
) -> None:
    chance = random.Random(seed)
    agent = machine.agent(path)
    second = 100
    for _ in range(40):
        length = chance.choice((1, 10, 10, 10, 25, 70))
        seconds = range(second, second + length)
        second += length
        done = chance.choice(("on", "on", "on", "on", "killed", "refused", "erased", "pause"))
        match done:
            case "killed":
                agent.record_all(seconds)
                agent = Writing(path, machine)
            case "refused":
                _refused(agent, seconds)
            case "erased":
                agent.record_all(seconds)
                _erase(path, machine.at(second - 45).wall_ms, machine.at(second - 5).wall_ms)
            case "pause":
                second += chance.choice((40, 400, 4_000))
            case _:
                agent.record_all(seconds)
        there = query(path, "SELECT count(*) FROM expression")[0][0]
        assert rows_in_trend(path, 25) == there
    assert_rollups_are_those_of_the_rows(path)


def _refused(agent: Writing, seconds: range) -> None:
    """Write in a transaction that is rolled back, as on a full disk, and try again."""
    with suppress(LookupError), write_transaction(agent.path) as connection:
        agent.writer.write(
            connection, [row for s in seconds for row in rows_at(agent.machine.at(s))]
        )
        raise LookupError
    agent.writer.forget()
    agent.record_all(seconds)


def _erase(path: Path, start_ms: int, end_ms: int) -> None:
    span = (start_ms, end_ms)
    with write_transaction(path) as connection:
        pruned = pruned_minutes(connection, span)
        for table in ("expression", "vital"):
            connection.execute(f"DELETE FROM {table} WHERE at >= ? AND at < ?", span)
        make_anew(connection, span, pruned)
