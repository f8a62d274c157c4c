"""Sessions and stretches that somebody left out: what every result uses, and how it names them."""

from __future__ import annotations

from pathlib import Path

from dashboard.analysis.inference.agreement import compare_sensors
from dashboard.analysis.readings.minutes import read_minutes
from dashboard.analysis.rendering.answer import response_of, sensors_in_words
from dashboard.analysis.rendering.tables import bundle_tables, flow_csv
from dashboard.commands.analyse import report
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.quality_checks import session_quality
from edge_agent.timeline.read.reader import RangeReader, Reader
from edge_agent.timeline.study.exclusions import Exclusion, leave_out
from tests.support.analyses import analysed, answered
from tests.support.studies import HEART, States, add_session, heart, make_study
from tests.support.timeline import instant, reading, row, session_row, timeline


def without(path: Path, session: int, *seconds: float, reason: str = "phone rang") -> Exclusion:
    """Leave out from second to second of the made timeline, or the whole session."""
    ends = [instant(second).wall_ms for second in seconds]
    span = (ends[0], ends[1]) if ends else None
    return leave_out(path, session, span, reason=reason, actor="ada")


def means(path: Path, **asked: object) -> list[tuple[str, str, float, int]]:
    found = analysed(path, vital=("heart_rate",), **asked)
    return [(one.participant, str(one.state), one.mean, one.readings) for one in found.means]


def test_readings_of_a_stretch_and_sessions_left_out_are_in_no_mean(tmp_path: Path) -> None:
    ten: States = {"anger": {HEART: [80.0, 81.0, 82.0, 99.0]}, "neutral": {HEART: [70.0]}}
    path = make_study(tmp_path, {"a": ten, "b": heart(anger=90.0, neutral=71.0)})
    without(path, 1, 73, 360)  # the fourth reading of anger, and the beginning of neutral
    without(path, 2, reason="camera fell")
    # what is left of neutral settles from its own start, not from the end of the stretch
    assert means(path) == [("a", "neutral", 70.0, 1), ("a", "anger", 81.0, 3)]
    assert [session.id for session in analysed(path).sessions] == [1]


def test_flow_report_and_table_name_each_reason(tmp_path: Path) -> None:
    people = {code: heart(anger=80.0, neutral=70.0) for code in "abcd"}
    path = make_study(tmp_path, people)
    without(path, 2, reason="camera fell")
    without(path, 1, 5, 9.5)
    answer = answered(path)
    assert answer.flow is not None
    assert answer.flow.summary.endswith(
        "; left out by hand: 1 session and 1 stretch of a session (phone rang; camera fell)"
    )
    assert [one.sentence for one in answer.flow.excluded] == [
        "Session 1, 0:05 to 0:09.500 was left out: phone rang",
        "Session 2 was left out: camera fell",
    ]
    losses = [loss.sentence for loss in answer.flow.stages[1].lost]
    assert losses == ["1 person: only in sessions that were left out by hand"]
    lines = flow_csv(answer.flow).splitlines()
    assert "excluded,,,,,session:camera fell,,1," in lines
    assert "excluded,,,,,stretch:phone rang,,1," in lines
    assert "Session 2 was left out: camera fell" in report(answer)


def test_a_study_of_which_all_is_left_out_says_so(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"a": heart(anger=80.0, neutral=70.0)})
    without(path, 1, reason="pilot")
    text = report(answered(path))
    assert "All sessions were left out by hand, so" in text
    assert "Session 1 was left out: pilot" in text


def test_only_what_was_asked_for_is_named(tmp_path: Path) -> None:
    path = make_study(tmp_path, {code: heart(anger=80.0, neutral=70.0) for code in "ab"})
    without(path, 2, 3700, 3710)
    first = answered(path, sample="selected", session=(1,))
    assert first.flow and not first.flow.excluded
    ahead = RangeReader(path, None, instant(3690).wall_ms)
    assert ahead.exclusions() == []
    assert len(RangeReader(path, instant(3705).wall_ms, None).exclusions()) == 1


def test_exclusion_of_a_stretch_leaves_its_faces_out_of_later_readings(tmp_path: Path) -> None:
    angry = [row(second, Emotion.ANGER) for second in range(1, 31)]
    calm = [row(second, Emotion.NEUTRAL) for second in range(31, 41)]
    readings = [reading(30, 80.0), reading(41, 70.0)]
    held = session_row(0, 60)
    path = timeline(tmp_path, expression=[*angry, *calm], vital=readings, session=[held])
    asked = {"state": "observed", "window": 10, "lag_heart_rate": 0}
    assert [one[1] for one in means(path, **asked)] == ["neutral", "anger"]
    without(path, 1, 31, 40.5)
    # the window of the last reading holds nothing but the stretch
    assert [one[1] for one in means(path, **asked)] == ["anger"]


def test_a_stimulus_that_is_left_out_entirely_is_in_no_order(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"a": heart(anger=80.0, neutral=70.0)})
    assert analysed(path).orders == {("anger", "neutral"): 1}
    without(path, 1, 10, 310)
    assert ("anger", "neutral") not in analysed(path).orders
    assert [one.condition for one in Reader(path).stimuli([1])] == ["neutral"]


def test_beats_are_cut_where_a_stretch_begins(tmp_path: Path) -> None:
    beats = {VitalKind.RR_INTERVAL: [0.8] * 100}
    path = make_study(tmp_path, {"a": {"anger": beats}})
    stretch = without(path, 1, 100, 110)
    assert stretch.span is not None
    measured = analysed(path, vital=("heart_rate",)).answer.variability
    assert measured[0].beats is not None
    assert measured[0].beats < 100


def test_sensors_are_compared_without_it_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    strap: States = {"anger": {HEART: [80.0] * 200}}
    for code in "abc":
        add_session(path, code, strap, second=("watch", {"anger": {HEART: [83.0] * 200}}))
    (before,) = compare_sensors(read_minutes(Reader(path), [HEART]))
    without(path, 1, reason="watch was loose")
    (after,) = sensors_in_words(compare_sensors(read_minutes(Reader(path), [HEART])))
    assert (before.people, after.people, after.excluded) == (3, 2, ("watch was loose",))
    assert "1 session or stretch was left out by hand (watch was loose)." in after.sentence


def test_sessions_left_out_for_one_reason_are_told_together(tmp_path: Path) -> None:
    path = make_study(tmp_path, {code: heart(anger=80.0, neutral=70.0) for code in "abcdefgh"})
    for session in (1, 6, 7, 8):
        without(path, session, reason="camera fell")
    without(path, 4, reason="Camera fell")
    without(path, 5, 4 * 3600 + 5, 4 * 3600 + 9.5, reason="camera fell")
    flow = response_of(analysed(path)).flow
    assert flow is not None
    assert flow.excluded_sentences == (
        "Session 4 was left out: Camera fell",
        "4 sessions were left out: camera fell (1, 6–8)",
        "Session 5, 0:05 to 0:09.500 was left out: camera fell",
    )


def test_tables_of_a_bundle_follow_the_same_rule(tmp_path: Path) -> None:
    path = make_study(tmp_path, {code: heart(anger=80.0, neutral=70.0) for code in "ab"})
    without(path, 2)
    tables = bundle_tables(analysed(path, vital=("heart_rate",)))
    assert {line.split(",")[2] for line in tables["session_mean.csv"].splitlines()[1:]} == {"1"}
    assert response_of(analysed(path)).sessions == (1,)


def test_quality_report_of_excluded_session_counts_all(tmp_path: Path) -> None:
    rows = [row(second, Emotion.ANGER) for second in range(1, 60)]
    held = session_row(0, 60, (5, 55, "anger"))
    path = timeline(tmp_path, expression=rows, vital=[30, 58], session=[held])
    before = session_quality(Reader(path), 1)
    without(path, 1, 10, 50)
    after = session_quality(Reader(path), 1)
    assert after.measures == before.measures and after.level is before.level
    assert [one.reason for one in after.excluded] == ["phone rang"]
