"""Standing sessions: what begins and ends them, and what keeps them from beginning."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from edge_agent.agent.standing import StandingWatch
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.standing import Hours, Schedule, daily_hours
from edge_agent.core.study import NewSession, Purpose, SessionSetting
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.study.standing import present_standing
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.timeline import database, query

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = Schedule("standing 1", daily_hours(range(1, 8), "08:00", "21:00"), Purpose.PERSONAL)


class House:
    """An appliance with a clock on the wall, and P01 who lives with it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.study = Study(path)
        self.camera_on = True
        self.started_ms = self.ms("2026-11-20T00:00")
        self.now_ms = self.ms("2026-11-26T12:00")
        monkeypatch.setattr(clock, "now", self.now)
        monkeypatch.setattr(clock, "is_synchronised", lambda: False)
        self.starts_agent()
        self.study.create_participant("P01")
        self.study.give_consent("P01", "6")

    @staticmethod
    def ms(text: str) -> int:
        return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)

    def now(self) -> Instant:
        return Instant(self.now_ms - self.started_ms, self.now_ms)

    def starts_agent(self) -> None:
        self.watch = StandingWatch(self.study, BERLIN)

    def at(self, text: str) -> list[str]:
        """Let the agent look at a time of November 2026; return the sessions: begin, end, name."""
        self.now_ms = self.ms(f"2026-11-{text}")
        self.watch.look(self.now(), camera_on=self.camera_on)
        return self.sessions()

    def sessions(self) -> list[str]:
        return [
            " ".join([self._text(one.start_ms), self._text(one.end_ms), one.name]).strip()
            for one in reversed(self.study.sessions())
        ]

    @staticmethod
    def _text(ms: int | None) -> str:
        return "…" if ms is None else f"{datetime.fromtimestamp(ms / 1000, BERLIN):%dT%H:%M}"

    def present(self) -> str:
        found = present_standing(self.path, self.now_ms, BERLIN)
        if found is None:
            return ""
        state = "waits" if found.session is None else "goes on"
        return (
            f"{found.participant} {state} {self._text(found.start_ms)} {self._text(found.end_ms)}"
        )


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(database(tmp_path), monkeypatch)
    house.study.give_standing("P01", DAILY, actor="ada")
    return house


def test_hours_begin_and_end_a_session_which_is_reported_as_any_session_is(house: House) -> None:
    query_messages = "SELECT payload FROM outbox WHERE topic = 'session' ORDER BY id"
    assert house.at("27T07:59") == []
    assert house.present() == "P01 waits 27T08:00 27T21:00"
    assert house.at("27T08:00") == ["27T08:00 … standing session"]
    assert house.present() == "P01 goes on 27T08:00 27T21:00"
    assert house.at("27T20:59") == ["27T08:00 … standing session"]
    assert house.at("27T21:00") == ["27T08:00 27T21:00 standing session"]
    assert house.present() == "P01 waits 28T08:00 28T21:00"
    (session,) = house.study.sessions()
    assert (session.purpose, session.setting) == (Purpose.PERSONAL, SessionSetting.HOME)
    told = [json.loads(row[0]) for row in query(house.path, query_messages)]
    assert [(one["event"], one["participant"]) for one in told] == [
        ("started", "P01"),
        ("ended", "P01"),
    ]
    lines = query(house.path, "SELECT actor, action, detail FROM audit ORDER BY id")
    assert lines == [
        ("ada", "standing_give", "P01"),
        ("agent", "session_start", "1"),
        ("agent", "session_end", "1"),
    ]


def test_session_started_by_hand_interrupts_the_standing_one(house: House) -> None:
    house.at("27T08:00")
    house.now_ms = house.ms("2026-11-27T10:00")
    house.study.start_session(NewSession("P01", Purpose.PERSONAL, "by hand"))
    before = ["27T08:00 27T10:00 standing session"]
    assert house.at("27T10:30") == [*before, "27T10:00 … by hand"]
    assert house.present() == "P01 waits 27T08:00 27T21:00"
    assert house.at("27T21:30") == [*before, "27T10:00 … by hand"]
    assert house.at("28T08:30") == [*before, "27T10:00 … by hand"]
    house.study.end_session()
    assert house.at("28T08:31")[2:] == ["28T08:31 … standing session"]


def test_session_that_somebody_ended_is_not_begun_again_within_its_hours(house: House) -> None:
    house.at("27T08:00")
    house.now_ms = house.ms("2026-11-27T10:00")
    house.study.end_session(actor="ada")
    assert house.at("27T20:59") == ["27T08:00 27T10:00 standing session"]
    assert house.present() == "P01 waits 28T08:00 28T21:00"
    assert house.at("28T08:00")[1:] == ["28T08:00 … standing session"]


def test_switch_of_camera_ends_session_and_keeps_another_from_beginning(house: House) -> None:
    house.at("27T08:00")
    house.camera_on = False
    ended = ["27T08:00 27T09:00 standing session"]
    assert house.at("27T09:00") == ended
    house.starts_agent()
    assert house.at("27T10:00") == ended
    house.camera_on = True
    assert house.at("27T11:00") == [*ended, "27T11:00 … standing session"]


def test_restart_within_hours_goes_on_and_after_them_ends_where_they_ended(house: House) -> None:
    house.at("27T08:00")
    house.starts_agent()
    assert house.at("27T12:00") == ["27T08:00 … standing session"]
    # Off from the afternoon to the next morning; the machine itself started anew.
    house.started_ms = house.ms("2026-11-28T07:50")
    house.starts_agent()
    ended = "27T08:00 27T21:00 standing session"
    assert house.at("28T07:55") == [ended]
    assert house.at("28T08:00") == [ended, "28T08:00 … standing session"]


def test_clock_that_nobody_confirmed_begins_nothing_right_after_the_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.started_ms = house.ms("2026-11-27T08:59")
    assert house.at("27T09:00") == []
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    assert house.at("27T09:00") == ["27T09:00 … standing session"]


def test_taking_back_withdrawal_and_a_new_schedule_end_session_and_hours(house: House) -> None:
    house.at("27T08:00")
    house.now_ms = house.ms("2026-11-27T09:00")
    house.study.take_back_standing("p01", actor="ada")
    house.study.take_back_standing("P01", actor="ada")
    assert house.at("27T09:01") == ["27T08:00 27T09:00 standing session"]
    assert house.present() == ""
    house.study.give_standing("P01", DAILY)
    house.at("27T10:00")
    house.now_ms = house.ms("2026-11-27T11:00")
    later = Schedule("standing 1", daily_hours([5], "12:00", "13:00"), Purpose.PERSONAL)
    house.study.give_standing("P01", later)
    assert house.at("27T11:01")[1:] == ["27T10:00 27T11:00 standing session"]
    house.at("27T12:00")
    house.now_ms = house.ms("2026-11-27T12:30")
    house.study.withdraw_consent("P01")
    house.study.give_consent("P01", "6")
    assert house.at("27T12:31")[2:] == ["27T12:00 27T12:30 standing session"]
    assert query(house.path, "SELECT count(*) FROM standing_session WHERE until IS NULL") == [(0,)]


def test_erasure_removes_the_schedule(house: House) -> None:
    house.at("27T08:00")
    house.at("27T21:00")
    erase_participant(house.path, "P01", actor="ada")
    assert query(house.path, "SELECT count(*) FROM standing_session") == [(0,)]
    assert query(house.path, "SELECT count(*) FROM audit WHERE detail LIKE '%P01%'") == [(0,)]
    assert house.at("28T08:00") == []


def test_schedule_without_consent_or_at_hours_of_somebody_else_is_refused(house: House) -> None:
    house.study.create_participant("P02")
    with pytest.raises(StudyError, match="P02 has given no consent"):
        house.study.give_standing("P02", DAILY)
    house.study.give_consent("P02", "6")
    with pytest.raises(StudyError, match="08:00 to 21:00 meet those of P01"):
        house.study.give_standing("P02", DAILY)
    for hours in ((), (Hours(8, 0, 60),), (Hours(1, 0, 1440),), (Hours(1, 0, 60),) * 2):
        with pytest.raises(StudyError, match="give one to seven days"):
            house.study.give_standing("P01", Schedule("1", hours, Purpose.PERSONAL))
    at_work = Schedule("1", DAILY.hours, Purpose.PERSONAL, SessionSetting.WORKPLACE)
    with pytest.raises(StudyError):
        house.study.give_standing("P01", at_work)
    night = Schedule("1", daily_hours([5], "21:00", "08:00"), Purpose.PERSONAL)
    house.study.give_standing("P02", night)
    house.at("27T20:00")
    assert house.at("27T21:00") == ["27T20:00 27T21:00 standing session"]
    assert house.at("27T21:01")[1:] == ["27T21:01 … standing session"]
    assert house.present() == "P02 goes on 27T21:00 28T08:00"


def test_session_that_a_rule_forbids_is_tried_again_each_minute(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.study = Study(house.path, purposes=[Purpose.MEDICAL])
    house.starts_agent()
    for at in ("27T08:00", "27T08:00", "27T08:02"):
        assert house.at(at) == []
    assert caplog.text.count("a standing session does not begin") == 1


def test_refused_beginning_is_logged_once_and_tried_again_after_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = []

    class Refusing:
        def keep_standing(self, at: Instant, **_: object) -> None:
            tried.append(at.boot_ms)
            raise StudyError("the consent was withdrawn")

    watch = StandingWatch(cast("Study", Refusing()))
    hour_ms = 3_600_000
    for second in (0, 1, 59, 60, 61, 120):
        watch.look(Instant(hour_ms + second * 1000, second * 1000), camera_on=True)
    assert tried == [hour_ms, hour_ms + 60_000, hour_ms + 120_000]
    assert caplog.messages == ["a standing session does not begin: the consent was withdrawn"]
