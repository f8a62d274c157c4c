"""A study on two devices and at a collector, and the dashboard of the fleet over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.fleet.postgres import Postgres


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The databases of a device with a study, and of one that measured at the same time."""
    from tests.support.fleet.studies_there import other_device, studied_device

    folder = tmp_path_factory.mktemp("devices")
    return {"room": studied_device(folder), "hall": other_device(folder / "other")}


@pytest.fixture(scope="module")
def there(postgres: Postgres, devices: dict[str, Path]) -> Iterator[Any]:
    """PostgreSQL with what a collector has of them."""
    import psycopg

    from tests.support.fleet.studies_there import collect

    with psycopg.connect(postgres.address, autocommit=True) as connection:
        collect(connection, devices)
        yield connection


@pytest.fixture(scope="module")
def fleet(
    there: Any, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    from tests.support.fleet.dashboards import fleet_dashboard

    with fleet_dashboard(tmp_path_factory.mktemp("fleet"), postgres) as client:
        yield client
