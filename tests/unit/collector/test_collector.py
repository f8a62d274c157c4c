"""The parts of the collector that need neither a broker nor PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")


from collector.__main__ import collect
from collector.messages import Positions, from_sql
from collector.streams import MOST_RANGES, StreamState, arrange_one
from collector.values import check_values
from edge_agent.fleet.chunks import MessageError, TimelineMessage

EPOCH = "5f2c9a0d1e3b4c67"


def message(first: int, last: int, *changes: list[Any]) -> TimelineMessage:
    return TimelineMessage("lab", EPOCH, first, last, 0, True, 0, changes)


def state(applied: int = 0, *, closed: bool = False) -> StreamState:
    return StreamState(1, "lab", EPOCH, Positions(applied), closed)


def row(position: int) -> list[Any]:
    return [position, "vital", "row", [position, "heart_rate", "strap", 70.0, "", None, None, None]]


def gone(position: int) -> list[Any]:
    return [position, "vital", "gone", [1, "heart_rate", "strap"]]


def test_rows_overtake_what_is_missing_and_are_known_when_they_come_again() -> None:
    stream = state(4)
    arrange_one(stream, [(message(8, 9, row(8), row(9)), b"c"), (message(5, 6), b"a")], [])
    assert [each.first for each in stream.due] == [5, 8]
    assert stream.done == Positions(6, [(8, 9)])
    assert stream.done.upto == 6
    again = StreamState(1, "lab", EPOCH, from_sql(6, [(8, 10)]), False)
    repeated = message(7, 9, row(7), row(8), row(9))
    arrange_one(again, [(repeated, b"d"), (message(9, 9, row(9)), b"e")], [])
    assert [change[0] for change in again.changes()] == [7]
    assert again.overtaken
    assert again.done.upto == 9


@pytest.mark.parametrize(
    "change",
    [
        gone(8),
        [8, "session", "row", []],
        [8, "", "erase", {"participant": 1, "epoch": EPOCH, "spans": []}],
        [8, "", "copied", {}],
    ],
)
def test_deletions_and_study_rows_wait_for_missing_chunks(change: list[Any]) -> None:
    stream = state(4)
    arrange_one(stream, [(message(10, 10, row(10)), b"d"), (message(8, 8, change), b"c")], [])
    assert stream.due == []
    assert [payload for _, payload in stream.early] == [b"c", b"d"]


@pytest.mark.parametrize("what", ["gone", "erase"])
def test_before_rows_are_taken_away_what_has_overtaken_it_is_forgotten(what: str) -> None:
    stream = StreamState(1, "lab", EPOCH, Positions(4, [(8, 9)]), False)
    taken_away = gone(5) if what == "gone" else [5, "", "erase", {}]
    arrange_one(stream, [(message(5, 7, taken_away), b"a")], [])
    assert stream.done == Positions(7)
    assert not stream.overtaken


def test_beyond_many_holes_messages_wait() -> None:
    stream = StreamState(
        1, "lab", EPOCH, Positions(0, [(2 * n, 2 * n) for n in range(1, MOST_RANGES + 1)]), False
    )
    arrange_one(stream, [(message(2000, 2000, row(2000)), b"z")], [])
    assert [payload for _, payload in stream.early] == [b"z"]


def test_positions_close_up_when_a_hole_is_filled() -> None:
    done = Positions(2)
    for first, last in ((9, 10), (5, 6), (7, 7), (12, 12)):
        done.add(first, last)
    assert done == Positions(2, [(5, 7), (9, 10), (12, 12)])
    assert done.to_sql() == "{[5,7],[9,10],[12,12]}"
    done.add(3, 8)
    assert done == Positions(10, [(12, 12)])
    assert [done.has(position) for position in (1, 10, 11, 12, 13)] == [
        *(True, True, False, True, False)
    ]
    assert not done.covers(9, 12)


def test_waiting_chunks_are_due_when_the_missing_one_comes() -> None:
    stream = state(4)
    arrange_one(stream, [(message(5, 7), b"a")], [(message(8, 9), b"c"), (message(2, 3), b"x")])
    assert [each.first for each in stream.due] == [5, 8]
    assert stream.used == [(2, 3), (8, 9)]
    assert stream.done.upto == 9


def test_of_a_message_that_repeats_something_only_the_rest_is_new() -> None:
    stream = state(5)
    changes: list[list[Any]] = [[position, "", "gap", {}] for position in (4, 5, 6, 7)]
    arrange_one(stream, [(message(4, 7, *changes), b"a"), (message(6, 7, *changes[2:]), b"b")], [])
    assert [change[0] for change in stream.changes()] == [6, 7]


def test_nothing_more_of_a_closed_stream_is_taken() -> None:
    stream = state(4, closed=True)
    arrange_one(stream, [(message(5, 6), b"a"), (message(9, 9), b"b")], [(message(8, 8), b"c")])
    assert (stream.due, stream.early, stream.used) == ([], [], [(8, 8)])


GOOD: list[Any] = [1, "vital", "row", [1, "heart_rate", "strap", 70.5, "", None, None, None, None]]


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, "now", "vital.at = 'now', which is no int8"),
        (0, 2**63, "which is no int8"),
        (0, True, "which is no int8"),
        (0, None, "which is no int8"),
        (1, "a\0b", "which is no text"),
        (2, "\ud800", "which is no text"),
        (3, float("nan"), "which is no float8"),
        (3, "70", "which is no float8"),
    ],
)
def test_a_value_that_no_table_takes_is_named(place: int, value: object, reason: str) -> None:
    values = list(GOOD[3])
    values[place] = value
    check_values(message(1, 1, GOOD))
    with pytest.raises(MessageError, match=reason):
        check_values(message(1, 1, [1, "vital", "row", values]))


@pytest.mark.parametrize(
    "change",
    [
        [1, "vital", "gone", [1, 2, "strap"]],
        [1, "marker", "gone", ["x", None]],
        [1, "participant", "row", ["x", "P01", 1, 0, None]],
        [1, "participant", "row", [1, b"P01", 1, 0, None]],
        [1, "", "erase", {"participant": 1, "epoch": EPOCH, "spans": [[1]]}],
        [1, "", "erase", {"participant": None, "epoch": EPOCH, "spans": []}],
        [1, "", "copied", {"from": "x", "to": 3}],
        [1, "", "gap", {}],
        [1, "", "begin", {"follows": 7}],
    ],
)
def test_a_key_or_a_special_change_that_is_none_is_refused(change: list[Any]) -> None:
    with pytest.raises(MessageError):
        check_values(message(1, 1, change))


def test_collector_names_its_missing_options() -> None:
    database = ["--database", "postgresql:///fleet"]
    wrong = ["--database", "postgres//ada:hush@db.example password=hush"]
    for words, text in (
        (["--help"], "into PostgreSQL"),
        ([], "Missing option '--database'"),
        (wrong, "is no address of PostgreSQL"),
        (
            ["--database", "postgresql://ada:hush@db/fleet", "--database-password-file", "/x"],
            "Give the password of the database once",
        ),
        ([*database, "--database-password-file", "/x"], "--database-password-file /x: cannot"),
        ([*database, "--client-key", "/x"], "--client-certificate and --client-key go together"),
        (
            [*database, "--client-certificate", "/x", "--client-key", "/x"],
            "--client-certificate needs --tls",
        ),
        ([*database, "--host", ""], "Give the name or address of the broker."),
        ([*database, "--host", "a", "--host", "b"], "Several --host need --protocol amqp"),
    ):
        done = CliRunner().invoke(collect, words)
        said = f"{done.output} {done.exception}"
        assert text in said
        assert "hush" not in said
