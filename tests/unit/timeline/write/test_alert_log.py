"""The log of alerts: filtered, acknowledged once, deleted in time, erased with its participant."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.alerts.rules import alert_text
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.texts import Message
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write import alert_log
from tests.support.timeline import START_MS, instant, query

DAY_S = 86_400.0


def begin(log: alert_log.AlertLog, rule: str, kind: str, at: Instant) -> None:
    log.begin(alert_log.AlertEntry(0, rule, kind, f"{rule} is so.", 131.0, None, 0), at)


def test_one_alert_of_a_rule_stands_and_pages_are_filtered(path: Path) -> None:
    log = alert_log.AlertLog(path)
    for second in (0, 1):
        begin(log, "camera", "camera", instant(second))
    begin(log, "hr", "vital", instant(10))
    log.end("hr", "over", instant(20))
    begin(log, "hr", "vital", instant(30))
    log.note_delivery(1, alert_log.AlertDelivery("raised", "ntfy 1", 2, None, "refused"))
    log.note_delivery(1, alert_log.AlertDelivery("raised", "ntfy 1", 3, 5, ""))
    log.note_delivery(99, alert_log.AlertDelivery("raised", "ntfy 1", 1, 5, ""))  # erased meanwhile

    def rules(wanted: alert_log.AlertFilter) -> list[str]:
        count, found = log.page(wanted, 10, 1)
        assert count == len(found)
        return [f"{alert.rule} {alert.is_open}" for alert in found]

    assert rules(alert_log.AlertFilter()) == ["hr True", "hr False", "camera True"]
    assert rules(alert_log.AlertFilter(state="open")) == ["hr True", "camera True"]
    assert rules(alert_log.AlertFilter(state="ended", kind="vital")) == ["hr False"]
    assert rules(alert_log.AlertFilter(START_MS + 10_000, START_MS + 30_000)) == ["hr False"]
    assert log.page(alert_log.AlertFilter(), 2, 2)[1][0].deliveries == (
        alert_log.AlertDelivery("raised", "ntfy 1", 3, 5, ""),
    )


def test_the_first_who_acknowledges_counts(path: Path) -> None:
    log = alert_log.AlertLog(path)
    begin(log, "camera", "camera", instant(0))
    assert log.acknowledge(1, "ada").acknowledged_by == "ada"
    assert log.acknowledge(1, "eve").acknowledged_by == "ada"
    assert query(path, "SELECT actor, action, detail FROM audit") == [
        ("ada", "alert_acknowledge", "1 camera")
    ]
    with pytest.raises(StudyError, match="There is no alert 2"):
        log.acknowledge(2, "ada")


def test_alerts_that_ended_long_ago_are_deleted(path: Path) -> None:
    log = alert_log.AlertLog(path)
    begin(log, "hr", "vital", instant(0))
    log.end("hr", "over", instant(10))
    begin(log, "camera", "camera", instant(0))
    begin(log, "hr", "vital", instant(2 * DAY_S))
    log.end("hr", "over", instant(2 * DAY_S + 1))
    log.note_delivery(1, alert_log.AlertDelivery("raised", "ntfy 1", 1, 5, ""))
    assert alert_log.prune_alerts(path, 1, instant(1.5 * DAY_S).wall_ms) == 1
    assert query(path, "SELECT id FROM alert") == [(2,), (3,)]
    assert query(path, "SELECT count(*) FROM alert_message") == [(0,)]
    assert query(path, "SELECT action, detail FROM audit") == [("retention", "1 alerts deleted")]


def test_a_participant_is_erased_with_their_alerts(path: Path) -> None:
    log = alert_log.AlertLog(path)
    study = Study(path)
    begin(log, "before", "vital", instant(0))
    log.end("before", "over", instant(5))
    begin(log, "into", "vital", instant(8))
    begin(log, "disk", "disk", instant(8))
    study.create_participant("P-01")
    study.give_consent("P-01", "1")
    study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"), instant(10))
    begin(log, "during", "vital", instant(20))
    begin(log, "camera", "camera", instant(20))
    study.end_session(instant(30))
    begin(log, "after", "face", instant(40))
    log.note_delivery(4, alert_log.AlertDelivery("raised", "ntfy 1", 1, 5, ""))
    told = erase_participant(path, "P-01", actor="ada")
    assert query(path, "SELECT rule FROM alert ORDER BY id") == [("before",), ("disk",), ("after",)]
    assert query(path, "SELECT count(*) FROM alert_message") == [(0,)]
    assert told.rows["alert"] == 3


def test_the_sentence_is_kept_with_its_parts(path: Path) -> None:
    log = alert_log.AlertLog(path)
    rule = RuleSettings(name="hr", when=AlertKind.VITAL, vital=VitalKind.HEART_RATE, above=120)
    alert = alert_log.AlertEntry(
        0, "hr", "vital", alert_text(rule, 131.0, "It is simulated."), 131.0, None, 0
    )
    log.begin(alert, instant(0))
    begin(log, "camera", "camera", instant(1))
    ((kept, parts), (old, nothing)) = query(path, "SELECT text, parts FROM alert ORDER BY id")
    assert kept == "Heart rate above 120 /min for 10 s. It is simulated."
    assert '"above":120.0,' in parts and "131" not in parts
    assert (old, nothing) == ("camera is so.", None)
    first, second = log.open_alerts()
    assert isinstance(first.text, Message) and first.text == kept
    assert not isinstance(second.text, Message) and second.text == old
    with write_transaction(path) as connection:
        connection.execute("UPDATE alert SET text = 'Something else.' WHERE id = 1")
    assert log.open_alerts()[0].text == "Something else."
