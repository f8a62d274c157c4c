"""Connections to the database of a fleet, over a library that is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

import psycopg

from dashboard.fleet.known import FleetAddress
from dashboard.fleet.postgres import KEPT, FleetDatabase
from edge_agent.core.addresses import Address
from edge_agent.core.errors import StoreError


class Answer:
    """What a statement gives."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchone(self) -> Any:
        return self._rows[0]

    def fetchall(self) -> list[Any]:
        return self._rows


class Played:
    """A connection that answers each question with the next of ``answers``, or raises it."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.closed = False

    def execute(self, statement: str | bytes, _values: object = None) -> Answer:
        text = statement.decode() if isinstance(statement, bytes) else statement
        self.asked.append(text)
        if text.startswith("SET"):
            return Answer([])
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)

    def cursor(self, **_options: object) -> Played:
        return self

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Played]:
    """The connections that were opened; what they answer is put into ``answers``."""
    opened: list[Played] = []

    def connect(address: str, **_options: object) -> Played:
        assert address == "postgresql://db/fleet"
        opened.append(Played([]))
        return opened[-1]

    monkeypatch.setattr(psycopg, "connect", connect)
    return opened


@pytest.fixture
def database(made: list[Played]) -> FleetDatabase:
    return FleetDatabase(FleetAddress(Address("postgresql://db/fleet")))


def test_a_connection_is_read_only_and_used_again(
    database: FleetDatabase, made: list[Played]
) -> None:
    for _ in range(2):
        with database.connection() as connection:
            connection.execute("SELECT 2")
    assert len(made) == 1
    assert made[0].asked[0] == "SET default_transaction_read_only = on"
    assert made[0].asked[-2:] == ["SELECT 1", "SELECT 2"]
    database.close()
    assert made[0].closed


def test_one_that_has_died_is_replaced(database: FleetDatabase, made: list[Played]) -> None:
    with database.connection():
        pass
    made[0].answers = [psycopg.OperationalError("terminated")]
    with database.connection():
        pass
    assert (len(made), made[0].closed) == (2, True)


def test_no_more_are_kept_than_are_needed(database: FleetDatabase, made: list[Played]) -> None:
    lent = [database.connection() for _ in range(KEPT + 1)]
    for one in lent:
        one.__enter__()
    for one in lent:
        one.__exit__(None, None, None)
    assert [one.closed for one in made] == [*[False] * KEPT, True]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.errors.UndefinedTable("fleet.device"), "db/fleet lacks tables of a fleet"),
        (psycopg.errors.InsufficientPrivilege("denied"), "GRANT USAGE ON SCHEMA fleet"),
        (psycopg.errors.QueryCanceled("timeout"), "took longer than 20 s"),
        (psycopg.OperationalError("refused\nmore"), "PostgreSQL: refused$"),
        (psycopg.OperationalError(), "PostgreSQL: OperationalError"),
    ],
)
def test_fault_of_a_connection_is_reported_with_its_cure(
    error: psycopg.Error, said: str, database: FleetDatabase, made: list[Played]
) -> None:
    with pytest.raises(StoreError, match=said), database.connection():
        raise error
    assert made[0].closed
