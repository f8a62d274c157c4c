"""What the tests of the dashboard share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from dashboard.accounts import passwords
from dashboard.web.options import DashboardOptions
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import timeline


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a password cost next to nothing. What it costs to guess one is looked at in one test;
    paid in each of the hundreds that log in, it was half of what they took.
    """
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "PasswordHasher", quick)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database of the dashboard lies."""
    return DashboardOptions(data=tmp_path).database


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is not logged in, of a dashboard whose database has no rows."""
    timeline(tmp_path)
    with client_of(tmp_path) as client:
        yield client


@pytest.fixture
def ada(tmp_path: Path, stranger: TestClient) -> TestClient:
    """Somebody who is logged in, as administrator."""
    return set_up(stranger, tmp_path)
