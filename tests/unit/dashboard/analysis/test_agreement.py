"""Agreement of label, face and self-report about stimuli, and of two sensors of one vital."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.__main__ import main as dashboard
from dashboard.analysis.inference.agreement import compare_sensors, compare_sources
from dashboard.analysis.readings.minutes import read_minutes
from dashboard.analysis.rendering.answer import sensors_in_words
from dashboard.analysis.rendering.words import say
from dashboard.analysis.results import SensorComparison
from dashboard.questions.sensors.answer import SensorsQuery
from dashboard.questions.sensors.computing import compare
from dashboard.statistics.agreement import limits_of_agreement
from edge_agent.core.errors import StatisticsError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MADE_UP
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import SessionStimulus
from edge_agent.timeline.study.exclusions import leave_out
from tests.support.studies import HEART, SYSTOLIC, States, add_session
from tests.support.timeline import instant, reading, session_row, timeline

ESTIMATED = VitalFlag.ESTIMATED


def stimulus(code: str, condition: str, reported: str | None) -> SessionStimulus:
    return SessionStimulus(1, code, False, condition, 0, 1, reported)


# Twelve people, anger and neutral each; the face is read as neutral in four of the angers, two are
# reported fear.
STIMULI = [
    stimulus(f"P-{n}", condition, "fear" if condition == "anger" and n < 2 else condition)
    for n in range(12)
    for condition in ("anger", "neutral")
]


SHOWN = [
    "neutral" if one.condition == "anger" and int(one.participant[2:]) < 4 else one.condition
    for one in STIMULI
]


def test_each_source_is_compared_with_each() -> None:
    found = compare_sources(STIMULI, SHOWN)
    assert [(one.first, one.second) for one in found] == [
        ("condition", "observed"),
        ("condition", "reported"),
        ("observed", "reported"),
    ]
    faces, reports, _ = found
    assert faces.labels == ("neutral", "happiness", "anger")
    assert faces.table == ((12, 0, 0), (0, 0, 0), (4, 0, 8))
    assert reports.labels == ("neutral", "happiness", "anger", "fear")


def test_agreement_is_reported_in_words() -> None:
    faces = compare_sources(STIMULI, SHOWN)[0]
    # p_o = 20/24, p_e = (12 · 16 + 12 · 8) / 24² = 0.5, kappa = 2/3
    assert [faces.observed, faces.expected] == pytest.approx([20 / 24, 0.5])
    assert faces.kappa == pytest.approx(2 / 3)
    assert say("beside", "agreement", faces).startswith(
        "Condition and face named the same emotion in 20 of 24 stimuli of 12 people (83 %; 50 % "
        "would be chance): kappa 0.67 (95 % CI "
    )


def test_a_face_that_always_reads_same_is_named_as_reason_for_no_interval() -> None:
    always = compare_sources(STIMULI, ["neutral" for _ in SHOWN])[0]
    assert say("beside", "agreement", always).endswith(
        "kappa 0.00, where 1 is always and 0 is chance. It has no interval and says nothing "
        "here, because the face always gave neutral."
    )
    same = [replace(one, condition="Anger") for one in STIMULI]
    assert "because the condition always gave anger." in say(
        "beside", "agreement", compare_sources(same, SHOWN)[0]
    )


def test_two_people_are_too_few_for_an_interval_and_the_sentence_says_so() -> None:
    few = [stimulus(f"P-{place % 2}", one.condition, None) for place, one in enumerate(STIMULI)]
    sentence = say("beside", "agreement", compare_sources(few, SHOWN)[0])
    assert sentence.endswith("0 is chance. An interval needs at least 3 people.")


def test_stimuli_without_a_face_or_a_report_and_other_labels_are_left_out() -> None:
    stimuli = [*STIMULI, stimulus("P-1", "anger", None), stimulus("P-1", "film 3", "anger")]
    faces, reports, _ = compare_sources(stimuli, [*SHOWN, "", "anger"])
    assert (faces.left_out, reports.left_out) == (1, 1)
    assert say("beside", "agreement", faces).endswith(
        " 1 stimulus where one of the two gave no answer is left out."
    )


def test_without_reports_there_is_no_number_but_a_sentence() -> None:
    bare = [stimulus(one.participant, one.condition, None) for one in STIMULI]
    reports = compare_sources(bare, SHOWN)[1]
    assert (reports.kappa, reports.table, reports.n, reports.left_out) == (None, (), 0, 24)
    assert say("beside", "agreement", reports) == (
        "Condition and self-report: no agreement can be computed. It needs stimuli with an "
        "answer from both, and more than one answer."
    )


def compared(
    reader: Reader, kinds: Sequence[VitalKind], sessions: Sequence[int] = ()
) -> tuple[SensorComparison, ...]:
    return sensors_in_words(compare_sensors(read_minutes(reader, kinds, sessions)))


BIAS = {"a": (1.0, 3.0), "b": (2.0, 2.5), "c": (0.0, 4.0)}


def two_watches(folder: Path) -> Path:
    """Each state lies in minutes of its own; the watch is off by another amount in each."""
    path = folder / "affect-edge.db"
    for number, (code, off) in enumerate(BIAS.items()):
        level = 60.0 + 10 * number
        strap: States = {
            state: {HEART: [level] * 10, SYSTOLIC: [120.0]} for state in ("anger", "neutral")
        }
        watch: States = {
            state: {HEART: [level - bias] * 5}
            for state, bias in zip(("anger", "neutral"), off, strict=True)
        }
        add_session(path, code, strap, second=("watch", watch))
    return path


def test_two_sensors_are_compared_where_both_measured(tmp_path: Path) -> None:
    reader = Reader(two_watches(tmp_path))
    (found,) = compared(reader, [HEART, SYSTOLIC])
    expected = limits_of_agreement(list("aabbcc"), [1.0, 3.0, 2.0, 2.5, 0.0, 4.0])
    assert (found.first, found.second, found.people, found.minutes) == ("strap", "watch", 3, 6)
    assert found.bias == pytest.approx(expected.bias)
    assert found.low == pytest.approx(expected.limits.low)
    assert found.icc is not None or "same amount" in found.reasons[0]
    with pytest.raises(StatisticsError, match="no session 9"):
        compared(reader, [HEART], [9])


def test_sensors_of_demonstrations_are_apart_from_those_of_people(tmp_path: Path) -> None:
    path = two_watches(tmp_path)
    (people,) = compare(path, SensorsQuery())
    shown = [reading(90_000 + at, 70.0 + at % 7) for at in range(120)]
    other = [reading(90_000 + at + 0.5, 90.0, source="watch") for at in range(120)]
    demonstration = session_row(90_000, 90_120, participant="demo", simulated=1)
    timeline(path, session=[demonstration], vital=[*shown, *other])
    assert compare(path, SensorsQuery()) == (people,)
    (named,) = compare(path, SensorsQuery(session=(len(Reader(path).session_list()),)))
    assert named.people == 1 and named.bias != people.bias
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET simulated = 1")
    (both,) = compare(path, SensorsQuery())
    assert both.people == people.people + 1, "where there is nothing else, they count"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        (
            "UPDATE vital SET flags = 'cuff_loose' WHERE source = 'watch'",
            "doubted",
            "In 6 of these minutes a device doubted a reading itself",
        ),
        (
            "UPDATE vital SET flags = 'simulated' WHERE source = 'watch'",
            "simulated",
            "In 6 of these minutes readings are simulated",
        ),
        (
            f"UPDATE session SET origin = 'import: x.csv ({MADE_UP})'",
            "made_up",
            "The times of 6 of these minutes are made up",
        ),
    ],
)
def test_sensors_say_what_is_remarked_on_their_minutes(
    change: str, field: str, said: str, tmp_path: Path
) -> None:
    path = two_watches(tmp_path)
    (plain,) = compared(Reader(path), [HEART])
    assert (plain.doubted, plain.simulated, plain.made_up) == (0, 0, 0)
    with write_transaction(path) as connection:
        connection.execute(change)
    (found,) = compared(Reader(path), [HEART])
    assert getattr(found, field) == found.minutes == 6 and said in found.sentence
    assert found.bias == plain.bias


ERRORS = {"a": [(1.0, -3.0, 2.0), (2.0, 0.0, 4.0)], "b": [(-1.0, 3.0, 0.5)]}
"""Of each minute of each session."""


def strap_and_camera(folder: Path) -> Path:
    """Three sessions of four minutes; the camera gave a value in the first three, its strap sent
    one estimate of its own, and one value of the camera was out of range.
    """
    begin = 0.0
    for code, sessions in ERRORS.items():
        for errors in sessions:
            readings = [reading(begin + 5 * n, 60.0) for n in range(48)]
            readings += [
                reading(begin + 5 * n, 60.0 + errors[n // 12], HEART, "camera_pulse", [ESTIMATED])
                for n in range(36)
            ]
            doubted = [ESTIMATED, VitalFlag.OUT_OF_RANGE]
            readings.append(reading(begin + 190, 299.0, HEART, "camera_pulse", doubted))
            readings.append(reading(begin + 9, 99.0, HEART, "strap", [ESTIMATED]))
            session = session_row(begin, begin + 240, participant=code)
            path = timeline(folder, session=[session], vital=readings)
            begin += 3600
    return path


def test_camera_pulse_beside_a_strap_is_what_is_compared(tmp_path: Path) -> None:
    reader = Reader(strap_and_camera(tmp_path))
    (found,) = compared(reader, [HEART])
    errors = [error for sessions in ERRORS.values() for own in sessions for error in own]
    expected = limits_of_agreement(list("aaaaaabbb"), errors)
    assert (found.first, found.second, found.estimated) == (
        "camera_pulse",
        "strap",
        ("camera_pulse",),
    )
    assert (found.people, found.sessions, found.minutes) == (2, 3, 9)
    assert [found.bias, found.sd, found.low, found.high] == pytest.approx(
        [expected.bias, expected.sd, expected.limits.low, expected.limits.high]
    )
    assert found.off_by == pytest.approx(16.5 / 9)
    assert (found.first_share, found.second_share) == (0.75, 1.0)
    first, _, last = found.by_session
    assert (first.session, first.minutes, first.bias, first.off_by) == (1, 3, 0.0, 2.0)
    assert first.sd == pytest.approx(7**0.5)
    assert [first.low, first.high] == pytest.approx([-1.96 * 7**0.5, 1.96 * 7**0.5])
    assert (last.first_share, last.second_share) == (0.75, 1.0)
    assert found.in_short == (
        "In your recordings (minutes: 9, in 3 sessions) the estimate camera_pulse was off by "
        "1.8 /min in the mean minute, measured against strap. It gave a value during 75 % of the "
        "time."
    )
    assert found.sentence.startswith(f"{found.in_short} Heart rate, camera_pulse minus strap, 9 ")


def test_compare_sensors_command_tells_an_estimate_by_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strap_and_camera(tmp_path)
    assert dashboard(["compare-sensors", "--data", str(tmp_path)]) == 0
    pooled, first, second, third = capsys.readouterr().out.splitlines()
    assert pooled.startswith("In your recordings (minutes: 9, in 3 sessions)")
    assert first == "  session 1: off by 2.0 /min in 3 minutes, during 75 % of its time"
    assert [second[:28], third[:28]] == [
        "  session 2: off by 2.0 /min",
        "  session 3: off by 1.5 /min",
    ]


def test_camera_pulse_share_does_not_count_what_was_left_out(tmp_path: Path) -> None:
    path = strap_and_camera(tmp_path)
    last_minute = (instant(180).wall_ms, instant(240).wall_ms)
    leave_out(path, 1, last_minute, reason="the strap slipped", actor="ada")
    (found,) = compared(Reader(path), [HEART], [1])
    assert (found.first_share, found.second_share, found.minutes) == (1.0, 1.0, 3)


def test_the_command_says_it_in_a_sentence_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_watches(tmp_path)
    assert dashboard(["compare-sensors", "--data", str(tmp_path), "--vital", "heart_rate"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Heart rate, strap minus watch, 6 minutes of 3 people: bias +2.08 /min")
    assert dashboard(["compare-sensors", "--data", str(tmp_path), "--session", "1", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["bias"] is None
    assert one["people"] == 1
    assert "need two people" in one["reasons"][0]
    assert dashboard(["compare-sensors", "--data", str(tmp_path), "--vital", "systolic"]) == 0
    assert "No two sources" in capsys.readouterr().out
