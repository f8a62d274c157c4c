"""Letters about P-01 to two addresses, and their sender, as after a start."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from dashboard.accounts.letters import Addressed, LetterPeriod, LetterPlan, Letters
from dashboard.computing.processes import Computing
from dashboard.web.letter_sending import LetterSender
from dashboard.web.options import DashboardOptions
from edge_agent.alerts.sending import AlertOptions
from edge_agent.config.alerts import AlertSettings
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.study.people import list_entry_of
from tests.support.dashboard import shared_computing

DAUGHTER, NURSE = "daughter@example.org", "nurse@example.net"
MONDAY = datetime(2026, 9, 28, 12, tzinfo=UTC)
"""After the week of the made timeline, which begins with a Monday."""


def planned(
    path: Path, language: str = "en", every: LetterPeriod = LetterPeriod.WEEK
) -> LetterPlan:
    """Have letters about P-01 sent to two addresses, from the made week on."""
    addresses = tuple(Addressed(one, date(2026, 9, 20)) for one in (DAUGHTER, NURSE))
    plan = LetterPlan(list_entry_of(path, "P-01"), every, language, "letter 2", 1, addresses)
    Letters(path).set(plan)
    return plan


def sender_of(
    path: Path,
    port: int,
    at: datetime = MONDAY,
    file: Path | None = None,
    computing: Computing | None = None,
) -> LetterSender:
    """Return a sender, as after a start, that takes it for a time of the made weeks."""
    notify = ("ntfy://a-topic", f"mailto://127.0.0.1:{port}/ward@example.org?from=edge@example.org")
    alerts = AlertOptions(AlertSettings(notify=notify, notify_file=file))
    options = DashboardOptions(data=path.parent, device="hall", alerts=alerts)
    now_ms = int(at.timestamp() * 1000)
    writes = computing or shared_computing()
    return LetterSender(options, Letters(path), writes, Commands(path), lambda: now_ms)
