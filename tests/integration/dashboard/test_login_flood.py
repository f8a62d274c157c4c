"""Many log-ins at once: memory stays small, and others get in all the same.

`test_login_throttle` says what a restart forgives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dashboard import NAME, PASSWORD, DashboardProcess
from tests.support.security.crowd import (
    PATIENCE_S,
    addresses,
    all_at_once,
    forget_peak,
    log_in_obeying,
    peak_mib,
    post,
    post_login,
)

WRONG = {"name": NAME, "password": "not the password"}
LOGIN_MIB = 140


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[DashboardProcess]:
    with DashboardProcess(tmp_path) as process:
        form = {"code": process.setup_code, "name": NAME, "password": PASSWORD}
        assert post(process.port, "/setup", form, "127.0.0.1").status == 303
        yield process


def test_a_hundred_attempts_at_once_cost_little_memory_and_another_gets_in(
    dashboard: DashboardProcess,
) -> None:
    assert post_login(dashboard.port, "127.0.8.1").status == 303  # its libraries are loaded now
    before = peak_mib(dashboard.pid)
    forget_peak(dashboard.pid)
    sources = addresses(20) * 5
    taken: list[float] = []
    other = threading.Thread(
        target=lambda: taken.append(log_in_obeying(dashboard.port, "127.0.9.1", PATIENCE_S))
    )
    other.start()
    answers = all_at_once(dashboard.port, sources, "/login", WRONG)
    other.join()
    assert {answer.status for answer in answers} <= {401, 429, 503}
    assert all(answer.retry_after > 0 for answer in answers if answer.status != 401)
    assert taken, "the other one did not get in"
    assert peak_mib(dashboard.pid) - before <= LOGIN_MIB
