"""The dashboard of a fleet, within the process of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from dashboard.fleet.known import FleetAddress
from dashboard.fleet.study_files import FOLDER
from dashboard.web.services import Services
from edge_agent.core.addresses import Address
from tests.support.dashboard import client_of, set_up
from tests.support.fleet.postgres import Postgres


def services_of(client: TestClient) -> Services:
    app: Any = client.app
    services: Services = app.state.services
    return services


@contextmanager
def fleet_dashboard(folder: Path, postgres: Postgres) -> Iterator[TestClient]:
    """Give a client of a dashboard over a database of a fleet; no copy is left at its end."""
    with client_of(folder, source=FleetAddress(Address(postgres.address))) as one:
        yield set_up(one, folder)
        services = services_of(one)
        services.exports.close()
        assert services.copies is not None and services.fleet is not None
        services.copies.close()
        services.fleet.close()
        assert not (folder / FOLDER).exists()
