"""Participants, consent, sessions and markers, and the rules between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.instruments import LONGEST
from edge_agent.core.study import MarkerKind, NewSession, Purpose, SessionSetting
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.sessions import Study
from tests.support.timeline import START_MS, instant, query


def test_a_participant_has_the_code_that_was_given_or_one_that_is_made_up(study: Study) -> None:
    made = study.create_participant()
    assert made.code.startswith("P-")
    assert [p.code for p in study.participants()] == sorted(["P01", made.code])
    with pytest.raises(StudyError, match="Participant code p01 is taken"):
        study.create_participant("p01")


@pytest.mark.parametrize("code", ["", "Anna Müller", "a" * 33, "-a", "x/y", "P01\n"])
def test_a_code_that_could_be_a_name_or_break_a_file_is_refused(path: Path, code: str) -> None:
    with pytest.raises(StudyError, match="1 to 32 letters, digits.*Never use a name"):
        Study(path).create_participant(code)
    assert Study(path).participants() == []


def test_a_session_runs_from_its_start_to_its_end_and_meets_no_other(study: Study) -> None:
    started = study.start_session(NewSession("p01", Purpose.RESEARCH, " Films "), at=instant(0))
    assert (started.participant, started.purpose, started.name) == ("P01", "research", "Films")
    assert (started.start_ms, started.end_ms, started.simulated) == (START_MS, None, False)
    assert study.open_session() == started
    open_since = "Session 1 of P01 has been open since 2026-09-21 14:20:00 UTC. End it first"
    with pytest.raises(StudyError, match=open_since):
        study.start_session(NewSession("P01", Purpose.RESEARCH))
    ended = study.end_session(at=instant(60))
    assert (ended.end_ms, study.open_session()) == (START_MS + 60_000, None)
    # the clock was set back
    before = "14:20:59 UTC lies before the end of session 1 .*set it first"
    with pytest.raises(StudyError, match=before):
        study.start_session(NewSession("P01", Purpose.RESEARCH), at=instant(59))
    second = study.start_session(NewSession("P01", Purpose.PERSONAL), at=instant(60))
    assert study.sessions() == [second, ended], "the newest first"


def test_session_keeps_instruments_as_long_as_they_may_be(study: Study) -> None:
    stated = "skin_site: left hand; heart_sensor: Polar H10; " + "x" * (LONGEST - 47)
    assert len(stated) == 600
    study.start_session(NewSession("P01", Purpose.RESEARCH, instruments=stated))
    study.end_session()
    assert [one.instruments for one in study.sessions()] == [stated]
    with pytest.raises(StudyError, match="Instruments 'skin_site.*at most 600 printable"):
        study.start_session(NewSession("P01", Purpose.RESEARCH, instruments=f"{stated}x"))


def test_no_session_starts_without_consent_or_after_it_was_withdrawn(
    path: Path, study: Study
) -> None:
    study.create_participant("P02")
    with pytest.raises(StudyError, match="P02 has given no consent. Record the consent before"):
        study.start_session(NewSession("P02", Purpose.RESEARCH))
    assert study.has_consent("P01")
    study.withdraw_consent("P01")
    assert not study.has_consent("P01")
    with pytest.raises(StudyError, match="P01 has given no consent"):
        study.start_session(NewSession("P01", Purpose.RESEARCH))
    study.give_consent("P01", "v3")
    study.start_session(NewSession("P01", Purpose.RESEARCH))
    study.give_consent("P01", "v4")
    standing = query(path, "SELECT text_version FROM consent WHERE withdrawn IS NULL")
    assert standing == [("v4",)], "a newer consent takes the place of the one before"


def test_only_purposes_of_this_appliance_are_allowed(path: Path, study: Study) -> None:
    clinic = Study(path, purposes=[Purpose.MEDICAL])
    refused = "Purpose research is not allowed on this appliance. Allowed: medical"
    with pytest.raises(StudyError, match=refused):
        clinic.start_session(NewSession("P01", Purpose.RESEARCH))


def test_a_stimulus_opens_a_condition_until_it_ends_or_the_next_begins(study: Study) -> None:
    study.start_session(NewSession("P01", Purpose.RESEARCH), at=instant(0))
    assert study.open_condition() is None
    study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(1))
    study.add_marker(MarkerKind.NOTE, "coughs", at=instant(2))
    assert study.open_condition() == "anger"
    study.add_marker(MarkerKind.STIMULUS_START, "happiness", at=instant(3))
    assert study.open_condition() == "happiness"
    ended = study.add_marker(MarkerKind.STIMULUS_END, "", at=instant(4))
    assert ended.label == "happiness"
    assert study.open_condition() is None
    study.end_session(at=instant(5))
    assert study.open_condition() is None
    assert [(m.at, m.kind, m.label, m.session) for m in study.markers(1)] == [
        (instant(1), MarkerKind.STIMULUS_START, "anger", 1),
        (instant(2), MarkerKind.NOTE, "coughs", 1),
        (instant(3), MarkerKind.STIMULUS_START, "happiness", 1),
        (instant(4), MarkerKind.STIMULUS_END, "happiness", 1),
    ]


def in_session(study: Study) -> Study:
    study.start_session(NewSession("P01", Purpose.RESEARCH), at=instant(0))
    return study


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.give_consent("P99", "v1"), "There is no participant 'P99'"),
        (
            lambda s: s.start_session(
                NewSession("P01", Purpose.RESEARCH, setting=SessionSetting.WORKPLACE)
            ),
            r"forbidden at work and in education.*AI Act, article 5\(1\)\(f\)",
        ),
        (lambda s: s.give_consent("P01", "  "), "name the version of the text"),
        (
            lambda s: (s.withdraw_consent("P01"), s.withdraw_consent("P01")),
            "no consent that could be withdrawn",
        ),
        (lambda s: s.end_session(), "No session is open, so none was ended"),
        (lambda s: s.add_marker(MarkerKind.NOTE, "x"), "No session is open. Start one first"),
        (lambda s: s.markers(7), "There is no session 7"),
        (
            lambda s: in_session(s).add_marker(MarkerKind.STIMULUS_START, " "),
            "stimulus start: give a label of 1 to 80",
        ),
        (
            lambda s: in_session(s).add_marker(MarkerKind.STIMULUS_END, "x"),
            "No stimulus is going on that could end",
        ),
        (
            lambda s: in_session(s).add_marker(MarkerKind.NOTE, "a\nb"),
            "at most 80 printable characters on one line",
        ),
        (
            lambda s: in_session(s).add_marker(MarkerKind.NOTE, "x", at=instant(-1)),
            "lies before the start of session 1",
        ),
        (lambda s: in_session(s).end_session(at=instant(-1)), "lies before the start of session 1"),
    ],
)
def test_a_broken_rule_is_reported_and_nothing_is_written(
    path: Path, study: Study, call: Callable[[Study], object], said: str
) -> None:
    with pytest.raises(StudyError, match=said):
        call(study)
    assert query(path, "SELECT count(*) FROM marker") == [(0,)]
    assert query(path, "SELECT count(*) FROM session WHERE ended IS NOT NULL") == [(0,)]


def test_start_end_and_markers_are_queued_for_broker_with_rising_numbers(
    path: Path, study: Study
) -> None:
    study.start_session(NewSession("P01", Purpose.RESEARCH, "Films"), at=instant(0))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(1.25))
    study.end_session(at=instant(2))
    queued = query(path, "SELECT topic, seq, payload FROM outbox ORDER BY id")
    assert [one[:2] for one in queued] == [("session", 1), ("session", 2), ("session", 3)]
    payloads = [json.loads(payload) for _, _, payload in queued]
    assert [p["event"] for p in payloads] == ["started", "marker", "ended"]
    assert payloads[1] == {
        "schema": 1,
        "event": "marker",
        "session": 1,
        "participant": "P01",
        "purpose": "research",
        "name": "Films",
        "setting": "other",
        "instruments": "",
        "at": "2026-09-21T14:20:01.250Z",
        "marker": {"kind": "stimulus_start", "label": "anger"},
        "seq": 2,
        "epoch": payloads[0]["epoch"],
    }


def test_the_outbox_of_a_study_is_bounded_too(path: Path) -> None:
    study = Study(path, outbox_rows=3)
    study.create_participant("P01")
    study.give_consent("P01", "v1")
    study.start_session(NewSession("P01", Purpose.RESEARCH))
    for number in range(5):
        study.add_marker(MarkerKind.NOTE, str(number))
    assert query(path, "SELECT seq FROM outbox ORDER BY id") == [(4,), (5,), (6,)]


def test_session_in_the_first_second_of_the_agent_moves_with_its_rows(
    path: Path, study: Study
) -> None:
    # the recorder has dated nothing by this clock yet
    study.start_session(NewSession("P01", Purpose.RESEARCH))
    study.add_marker(MarkerKind.NOTE, "a")
    study.end_session()
    stamps = "boot IS NOT NULL AND boot_ms IS NOT NULL"
    ends = "ended_boot IS NOT NULL AND ended_boot_ms IS NOT NULL"
    assert query(path, f"SELECT {stamps} AND {ends} FROM session") == [(1,)]
    assert query(path, f"SELECT {stamps} FROM marker") == [(1,)]
    assert query(path, "SELECT given_boot IS NOT NULL FROM consent") == [(1,)]


DAY_S = 86_400.0


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("leap_s", [600.0, 2 * DAY_S])
def test_withdrawal_after_a_leap_of_the_clock_leaves_nothing_beyond_now(
    path: Path, study: Study, monkeypatch: pytest.MonkeyPatch, leap_s: float, is_open: bool
) -> None:
    """The clock was ahead while the session went on, and is right when they withdraw."""
    true = clock.now()

    def at(after_s: float, ahead_s: float) -> Instant:
        moment = true.shift(after_s)
        return Instant(moment.boot_ms, moment.wall_ms + round(1000 * ahead_s))

    study.start_session(NewSession("P01", Purpose.RESEARCH), at=at(0, leap_s))
    study.add_marker(MarkerKind.NOTE, "a", at=at(30, leap_s))
    if not is_open:
        study.end_session(at=at(60, leap_s))
    withdrawn = at(100, 0)
    monkeypatch.setattr(clock, "now", lambda: withdrawn)
    study.withdraw_consent("P01")
    [(started, ended)] = query(path, "SELECT started, ended FROM session")
    lasted_s = 100 if is_open else 60
    assert (started, ended) == (true.wall_ms, true.shift(lasted_s).wall_ms)
    assert query(path, "SELECT at FROM marker") == [(true.shift(30).wall_ms,)]
    assert study.open_session() is None


def test_withdrawal_cuts_the_end_of_a_session_that_somebody_entered(
    path: Path, study: Study
) -> None:
    present = clock.now().wall_ms
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO session (participant, purpose, name, started, ended, origin) VALUES (1, "
            "'research', '', ?, ?, 'entered')",
            (present - 1000, present + 3_600_000),
        )
    study.withdraw_consent("P01")
    [(started, ended)] = query(path, "SELECT started, ended FROM session")
    assert started == present - 1000
    assert present <= ended <= clock.now().wall_ms
