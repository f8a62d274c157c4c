"""Rows that are named as too old are those that the next maintenance deletes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.texts import Message
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.tables import BY_NAME
from edge_agent.timeline.upkeep.retention import count_old, is_short_lived, prune, short_lived
from tests.support.timeline import START_MS, movement_row, reading, row, timeline

KEEP_DAYS = 10


def test_rows_named_as_old_are_those_that_are_deleted(tmp_path: Path) -> None:
    now_ms = clock.now().wall_ms
    ages = (30, 11, 10.1, 9.9, 1)
    times = [(now_ms - START_MS) / 1000 - 86_400 * days for days in ages]
    path = timeline(
        tmp_path,
        expression=[row(s) for s in times],
        movement=[movement_row(s, smile=0.5) for s in times[1:]],
        vital=[reading(s, 70) for s in times],
    )
    with closing(connect(path, readonly=True)) as connection:
        old = list(count_old(connection, "main", KEEP_DAYS))
    counted = {name: (count, every) for name, count, every in old if every}
    expected = {"expression": (3, 5), "movement": (2, 4)}
    assert counted == {BY_NAME[table].many: numbers for table, numbers in expected.items()}
    assert prune(path, KEEP_DAYS, now_ms=now_ms) == sum(count for _, count, _ in old)


@pytest.mark.parametrize(
    ("rows", "begins"),
    [
        ([("expression rows", 8_076, 9_699)], "8,076 of 9,699 expression rows are older than"),
        ([("a", 1, 2), ("b", 0, 5), ("c", 3, 3)], "1 of 2 a and 3 of 3 c are older than"),
    ],
)
def test_sentence_on_old_rows_names_how_many(rows: list[tuple[str, int, int]], begins: str) -> None:
    (sentence,) = short_lived(rows, 90)
    assert sentence.startswith(f"{begins} record.keep_days (90): the agent deletes them")
    assert is_short_lived(sentence)


def test_rows_that_stay_are_not_named() -> None:
    assert short_lived([("expression rows", 0, 9)], 90) == []
    assert not is_short_lived(Message("{n} notes", n=1))
