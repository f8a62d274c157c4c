"""What is written of alerts: once, whatever is restarted, locked, erased or removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, time
from pathlib import Path

import pytest

from edge_agent.alerts.rules import QuietHours, Zone
from edge_agent.alerts.signals import AlertSignal
from edge_agent.alerts.watch import AlertWatch
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.alert_log import AlertLog
from tests.support.timeline import instant, query, timeline

CAMERA = RuleSettings(name="camera", when=AlertKind.CAMERA, seconds=3, clear_seconds=3)
KINDS = ("camera", "disk")
LINES = "SELECT rule, ended IS NULL, ending FROM alert ORDER BY id"


class Bench:
    """A watch over one rule whose zone is set by hand."""

    def __init__(self, path: Path, *rules: RuleSettings, quiet: QuietHours | None = None) -> None:
        self.path = path
        self.zone = Zone.BEYOND
        self.second = 0.0
        self._rules = rules or (CAMERA,)
        self._quiet = quiet or QuietHours()
        self.watch = self.begin_anew()

    def begin_anew(self, *rules: RuleSettings) -> AlertWatch:
        """Start as a process does that knows nothing of the one before."""
        self.watch = AlertWatch(
            rules or self._rules,
            KINDS,
            AlertLog(self.path),
            lambda _rule, _at_s: AlertSignal(self.zone, None, "Check it."),
            self._quiet,
        )
        return self.watch

    def go(self, seconds: int, zone: Zone) -> None:
        """Let seconds pass."""
        self.zone = zone
        for _ in range(seconds):
            self.second += 1
            self.watch.step(instant(self.second))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(timeline(tmp_path))


def test_an_alert_begins_and_ends_in_the_log(bench: Bench) -> None:
    bench.go(3, Zone.BEYOND)
    assert query(bench.path, LINES) == []
    bench.go(1, Zone.BEYOND)
    assert [alert.text for alert in bench.watch.open_alerts] == [
        "No picture from the camera for 3 s. Check it."
    ]
    bench.go(3, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 1, None)]
    bench.go(1, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 0, "over")]
    assert bench.watch.open_alerts == ()


def test_a_restart_neither_repeats_nor_loses_an_alert(bench: Bench) -> None:
    bench.go(4, Zone.BEYOND)
    for _ in range(3):
        bench.begin_anew()
        bench.go(10, Zone.BEYOND)
    bench.begin_anew()
    bench.go(2, Zone.UNKNOWN)
    assert query(bench.path, LINES) == [("camera", 1, None)]
    bench.go(4, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 0, "over")]


def test_an_alert_whose_rule_is_gone_ends(bench: Bench) -> None:
    bench.go(4, Zone.BEYOND)
    bench.begin_anew(RuleSettings(name="disk", when=AlertKind.DISK, below=500, seconds=9))
    bench.go(1, Zone.BEYOND)
    assert query(bench.path, LINES) == [("camera", 0, "rule_removed")]


def test_rules_changed_while_running_keep_state_and_end_what_is_gone(bench: Bench) -> None:
    disk = RuleSettings(name="disk", when=AlertKind.DISK, below=500, seconds=5)
    bench.go(2, Zone.BEYOND)
    bench.watch.change_rules([CAMERA, disk], instant(bench.second))
    bench.go(2, Zone.BEYOND)
    assert query(bench.path, LINES) == [("camera", 1, None)]  # its three seconds went on
    slower = CAMERA.model_copy(update={"clear_seconds": 9})
    bench.watch.change_rules([slower, disk], instant(bench.second))
    bench.go(6, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 1, None)]
    bench.watch.change_rules([disk], instant(bench.second))
    bench.go(1, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 0, "rule_removed")]


def test_rule_that_watches_another_vital_begins_an_alert_of_its_own(tmp_path: Path) -> None:
    def warm(kind: VitalKind) -> RuleSettings:
        return RuleSettings(name="warm", when=AlertKind.VITAL, vital=kind, above=38, seconds=0)

    path = timeline(tmp_path)
    watch = AlertWatch(
        [warm(VitalKind.HEART_RATE)],
        [AlertKind.VITAL],
        AlertLog(path),
        lambda _rule, _at_s: AlertSignal(Zone.BEYOND),
    )
    watch.step(instant(1))
    watch.change_rules([warm(VitalKind.SKIN_TEMPERATURE)], instant(2))
    watch.step(instant(3))
    texts = "SELECT substr(text, 1, 10), ending FROM alert ORDER BY id"
    assert query(path, texts) == [("Heart rate", "rule_removed"), ("Skin tempe", None)]


def test_alerts_that_others_watch_are_left_alone(bench: Bench) -> None:
    bench.go(4, Zone.BEYOND)
    other = AlertWatch(
        [], ["agent"], AlertLog(bench.path), lambda _rule, _at_s: AlertSignal(Zone.WELL)
    )
    other.step(instant(60))
    assert query(bench.path, LINES) == [("camera", 1, None)]


def test_alerts_that_cannot_be_written_are_written_later_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.go(1, Zone.BEYOND)
    monkeypatch.setattr(connect, "__kwdefaults__", {"busy_seconds": 0.01})
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        bench.go(4, Zone.BEYOND)
        assert [alert.rule for alert in bench.watch.unwritten] == ["camera"]
        bench.go(4, Zone.WELL)
        assert bench.watch.unwritten == ()
        other.execute("ROLLBACK")
    assert query(bench.path, LINES) == []
    bench.go(1, Zone.WELL)
    assert query(bench.path, LINES) == [("camera", 0, "over")]
    assert query(bench.path, "SELECT ended - raised FROM alert") == [(5000,)]


def test_an_alert_that_was_erased_begins_anew_if_it_still_is_so(bench: Bench) -> None:
    bench.go(4, Zone.BEYOND)
    with write_transaction(bench.path) as connection:
        connection.execute("DELETE FROM alert")
    bench.go(2, Zone.BEYOND)
    assert query(bench.path, LINES) == []
    bench.go(4, Zone.BEYOND)
    assert query(bench.path, LINES) == [("camera", 1, None)]


def test_a_rule_of_sessions_holds_in_sessions_only(tmp_path: Path) -> None:
    bench = Bench(timeline(tmp_path), CAMERA.model_copy(update={"in_sessions": True}))
    bench.go(9, Zone.BEYOND)
    assert query(bench.path, LINES) == []
    study = Study(bench.path)
    study.create_participant("P-01")
    study.give_consent("P-01", "1")
    session = study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"), instant(9))
    bench.go(5, Zone.BEYOND)
    assert query(bench.path, "SELECT session FROM alert") == [(session.id,)]
    study.end_session(instant(15))
    bench.go(5, Zone.BEYOND)
    assert query(bench.path, LINES) == [("camera", 0, "over")]


def test_quiet_hours_hold_nothing_back_from_the_log(tmp_path: Path) -> None:
    bench = Bench(timeline(tmp_path), quiet=QuietHours(time(14), time(15), UTC))
    bench.go(5, Zone.BEYOND)
    assert query(bench.path, "SELECT quiet FROM alert") == [(1,)]
