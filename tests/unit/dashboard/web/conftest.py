"""Who asks for pages in these tests, and over which database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.settings import DashboardOptions
from tests.support.dashboard import client_of, set_up

HOUR_MS = 3_600_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database of the dashboard lies."""
    return DashboardOptions(data=tmp_path).database


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is not logged in."""
    with client_of(tmp_path) as client:
        yield client


@pytest.fixture
def ada(tmp_path: Path, stranger: TestClient) -> TestClient:
    """Somebody who is logged in."""
    return set_up(stranger, tmp_path)
