"""Requests of every shape, right and wrong, are answered as the description says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="the dev extra is not installed")

from dashboard.accounts.roles import TOKEN_ROLES, Role
from tests.integration.api.conformance import examine

EXAMPLES = 1
READ_BY_PROGRAMS = ("get_latest_vitals", "get_trends_chart_now", "list_alerts")
"""Some operations; the deep rows look at all of them, and `make api` with more requests."""


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("role", "operations", "least"),
    [
        (Role.VIEWER, ("add_marker", *READ_BY_PROGRAMS), 30),
        *(pytest.param(role, (), 1000, marks=pytest.mark.deep) for role in TOKEN_ROLES),
    ],
)
def test_no_answer_deviates_from_the_description(
    role: Role, operations: tuple[str, ...], least: int, tmp_path: Path
) -> None:
    outcome = examine(role, EXAMPLES, tmp_path, operations)
    assert outcome.deviations == (), outcome.report
    assert outcome.cases > least
