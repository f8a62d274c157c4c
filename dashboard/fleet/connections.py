"""Connections to the PostgreSQL of a fleet that can only read; some are kept for the next question.

This is the only module of the dashboard, beside the copy of a study, that imports ``psycopg``;
nobody imports it without ``dashboard.source``.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from dashboard.fleet.address import FleetAddress
from edge_agent.core.errors import StoreError

CONNECT_S = 5
LONGEST_QUESTION_S = 20
KEPT = 4
"""Connections that stay open while nobody asks."""
_SETTINGS = (
    "SET default_transaction_read_only = on",
    f"SET statement_timeout = '{LONGEST_QUESTION_S}s'",
    "SET jit = off",  # for answers within a second, to compile costs more than it saves
)


class FleetDatabase:
    """Answers questions to the database of a fleet; safe to share between threads.

    Args:
        source: where it is.
    """

    def __init__(self, source: FleetAddress) -> None:
        self.source = source
        self._idle: queue.LifoQueue[psycopg.Connection] = queue.LifoQueue(KEPT)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Lend a connection for the length of a ``with`` block; what is asked is of one moment.

        Raises:
            StoreError: the server cannot be reached or refuses, has no tables of a fleet, or takes
                too long.
        """
        try:
            connection = self._taken()
            try:
                with connection.transaction():
                    yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise StoreError(
                f"{self.source.shown} lacks tables of a fleet, or columns. Start affect-edge "
                "collect of this version once with that database: it makes them."
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError(
                f"{self.source.shown}: the account may not read the tables ({_first_line(error)}). "
                "GRANT USAGE ON SCHEMA fleet and SELECT ON ALL TABLES IN SCHEMA fleet to it."
            ) from error
        except psycopg.errors.QueryCanceled as error:
            raise StoreError(
                f"{self.source.shown} took longer than {LONGEST_QUESTION_S} s for this. Ask for "
                "less, or try again when it has less to do."
            ) from error
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL: {_first_line(error)}") from error

    def close(self) -> None:
        """Close what is kept."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _taken(self) -> psycopg.Connection:
        """Return a connection that answers: one that was kept, or a new one."""
        with suppress(queue.Empty):
            while True:
                kept = self._idle.get_nowait()
                try:
                    kept.execute("SELECT 1")
                except psycopg.OperationalError:  # the server was away meanwhile
                    kept.close()
                else:
                    return kept
        connection = psycopg.connect(
            self.source.address,
            password=self.source.password(),
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="affect-edge dashboard",
        )
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for setting in _SETTINGS:
            connection.execute(setting.encode())
        return connection

    def _give_back(self, connection: psycopg.Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
