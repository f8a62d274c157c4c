"""What the tests of a fleet share: a PostgreSQL, and an empty database in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.addresses import Address
from tests.support.broker import Mosquitto
from tests.support.fleet.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """The server of all modules; who changes accounts or settings starts another one."""
    with running_postgres(synced=False) as running:
        yield running


@pytest.fixture(scope="module")
def postgres(server: Postgres) -> Postgres:
    server.empty()
    return server


@pytest.fixture
def there(postgres: Postgres) -> Iterator[Any]:
    """A connection to a database of the present schema, with nothing in it."""
    # here, for the other files of this folder are collected without the extra too
    import psycopg

    from collector.database.schema import migrate

    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS fleet CASCADE")
        migrate(connection)
        yield connection


@pytest.fixture
def fleet(postgres: Postgres) -> Iterator[Any]:
    """The database as the dashboard asks it."""
    from dashboard.fleet.known import FleetAddress
    from dashboard.fleet.postgres import FleetDatabase

    with closing(FleetDatabase(FleetAddress(Address(postgres.address)))) as asked:
        yield asked


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running
