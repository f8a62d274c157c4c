"""Requests of every shape, right and wrong, are answered as the description says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="the dev extra is not installed")

from dashboard.accounts.roles import Role
from tests.integration.api.conformance import examine

EXAMPLES = 1
SENT_BY_PROGRAMS = ("send_readings", "add_marker", "start_session", "end_session")
READ_BY_PROGRAMS = ("get_latest_vitals", "get_trends_chart_now", "list_alerts")
OF_A_STUDY = (
    *("create_participant", "record_past_consent", "get_session_quality"),
    *("add_past_session", "add_past_markers"),
)
"""Some of each kind; `make api` looks at all of them, with every role and more requests."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("role", "operations", "least"),
    [
        pytest.param(
            Role.RESEARCHER,
            (*SENT_BY_PROGRAMS, *READ_BY_PROGRAMS, *OF_A_STUDY),
            300,
            marks=pytest.mark.deep,
        ),
        (Role.VIEWER, ("add_marker", *READ_BY_PROGRAMS), 30),
    ],
)
def test_no_answer_deviates_from_the_description(
    role: Role, operations: tuple[str, ...], least: int, tmp_path: Path
) -> None:
    outcome = examine(role, EXAMPLES, tmp_path, operations)
    assert outcome.deviations == (), outcome.report
    assert outcome.cases > least
