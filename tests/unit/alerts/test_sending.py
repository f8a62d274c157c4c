"""Which messages are due, and that no address and no measured value gets out with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, time
from pathlib import Path

import pytest

from edge_agent.alerts.rules import DISCLAIMER, NEVER_QUIET, QuietHours
from edge_agent.alerts.sending import (
    LATEST_MS,
    _environment,
    due_messages,
    read_addresses,
    targets_of,
)
from edge_agent.core.addresses import MessageAddress
from edge_agent.timeline.write.alert_log import AlertDelivery, AlertEntry

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
TARGETS = targets_of(
    map(MessageAddress, ["ntfy://push.example.org/topic", "json://hooks.example.org/a"])
)
NTFY = TARGETS[0].name
ALERT = AlertEntry(7, "hr", "vital", "Heart rate above 120 /min for 10 s.", 131.0, 3, NOON)


def due(alert: AlertEntry, after_s: float, quiet: QuietHours = NEVER_QUIET) -> list[str]:
    found = due_messages([alert], TARGETS, quiet, 20.0, NOON + round(after_s * 1000))
    return [f"{message.event} {message.target.kind}" for message in found]


def sent(alert: AlertEntry, event: str = "raised", sent_ms: int | None = NOON) -> AlertEntry:
    delivery = AlertDelivery(event, NTFY, 1, sent_ms, "" if sent_ms else "refused")
    return replace(alert, deliveries=(*alert.deliveries, delivery))


def test_an_alert_is_sent_to_all_once_it_has_stood_for_long_enough() -> None:
    assert due(ALERT, 19.9) == []
    assert due(ALERT, 20) == ["raised ntfy", "raised json"]
    assert due(sent(ALERT), 20) == ["raised json"]
    assert due(sent(ALERT, sent_ms=None), 20) == ["raised ntfy", "raised json"]


def test_one_that_ended_before_it_was_sent_is_not_sent() -> None:
    over = replace(ALERT, ended_ms=NOON + 5000)
    assert due(over, 30) == []
    assert due(sent(over), 30) == ["ended ntfy"]
    assert due(sent(sent(over), "ended"), 30) == []
    assert due(sent(over), LATEST_MS / 1000 + 6) == []


def test_quiet_hours_hold_messages_back_until_they_end() -> None:
    quiet = QuietHours(time(11), time(13), UTC)
    assert due(ALERT, 3599, quiet) == []
    assert due(ALERT, 3600, quiet) == ["raised ntfy", "raised json"]
    assert due(replace(ALERT, ended_ms=NOON + 9000), 3600, quiet) == []


def test_a_message_says_what_it_is_not_and_nothing_that_was_measured() -> None:
    (first, _) = due_messages([ALERT], TARGETS, NEVER_QUIET, 0, NOON)
    assert first.title("lab") == "Affect Edge lab: hr"
    unnamed = replace(first, alert=replace(ALERT, rule="disk", kind="disk"))
    assert unnamed.title("lab") == "Affect Edge lab: Free storage"
    assert first.body() == (
        f"Heart rate above 120 /min for 10 s.\nSince 2026-01-01 12:00 UTC.\n{DISCLAIMER}"
    )
    assert "131" not in first.body()


def test_names_of_addresses_hold_no_secret() -> None:
    addresses = [
        "mailtos://ward:geheim99@example.org?to=a@example.org&smtp=mail.example.org",
        "tgram://123456:ABC-token/98765",
        "slack://TokenA/TokenB/TokenC/#ward",
        "no address at all",
        "https://[bad",
    ]
    targets = targets_of(map(MessageAddress, addresses))
    names = [target.name for target in targets]
    assert names == ["mailtos 1 (example.org)", "tgram 2", "slack 3", "address 4", "https 5"]
    assert "geheim99" not in repr(targets)


def test_what_a_service_says_is_shown_without_the_parts_of_its_address() -> None:
    address = MessageAddress("mailtos://ward:geheim99@example.org?to=nurse@example.org")
    text = address.hide_in("login of ward with geheim99 at example.org refused for nurse")
    assert text == "login of … with … at example.org refused for …"


def test_a_file_of_addresses_may_hold_remarks(tmp_path: Path) -> None:
    file = tmp_path / "addresses"
    file.write_text(
        "# ward\n\n  ntfy://a.example.org/t  \njson://b.example.org\n", encoding="utf-8"
    )
    written = ("ntfy://a.example.org/t", "json://b.example.org")
    assert read_addresses(file) == tuple(map(MessageAddress, written))


def test_process_that_sends_gets_the_proxy_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECT_EDGE_MQTT__PASSWORD", "geheim")
    monkeypatch.setenv("PGPASSWORD", "geheim")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    given = _environment()
    assert "geheim" not in given.values()
    assert given["HTTPS_PROXY"] == "http://proxy:3128"
