"""Skin responses to events: which count, in which scale they are given, and who has none."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from dashboard.analysis.query import AnalysisQuery
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import ResponsesQuery, SkinResponsesModel
from dashboard.questions.responses.question import answer, part
from dashboard.questions.responses.report import report
from edge_agent.timeline.database.connection import write_transaction
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import session_row, timeline
from tests.unit.dashboard.analysis.test_skin import SESSION_S, conductance

EVENTS = ((40.0, "anger"), (80.0, "neutral"), (120.0, "anger"), (160.0, "neutral"))
TWO = [(42.0, 1.0), (122.0, 0.4)]
"""Responses 2 s after both events of anger, µS; SHAPE keeps 97.5 % of a height."""
KEPT = 0.975


def study(
    folder: Path,
    people: Sequence[Sequence[tuple[float, float]]],
    events: Sequence[tuple[float, str]] = EVENTS,
    step: int = 1,
) -> Path:
    """Write a session for each person, with responses (second, µS) on a level of 5 µS."""
    sessions, readings = [], []
    for number, responses in enumerate(people):
        start = 3600.0 * number
        begun = [(start + at, start + at + 1, label) for at, label in events]
        sessions.append(
            session_row(start, start + SESSION_S, *begun, participant=f"P-{number}", name="films")
        )
        readings += conductance(start, responses, step)
    return timeline(folder / "affect-edge.db", session=sessions, vital=readings)


def asked(path: Path, **question: object) -> Inquiry:
    query = ResponsesQuery.model_validate({"vital": ["skin_conductance"], **question})
    return Inquiry((("", path),), query)


def skin(path: Path, **question: object) -> SkinResponsesModel:
    found = answer(asked(path, **question)).skin
    assert found is not None
    return found


def test_skin_responses_to_events_have_amplitude_and_magnitude(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO, [(42.0, 0.6)], []])
    found = skin(path)
    anger, neutral = found.labels
    first, second, third = anger.people
    assert [one.responses for one in anger.people] == [2, 1, 0]
    assert first.amplitude == pytest.approx(0.7 * KEPT, rel=0.01)
    assert second.amplitude == pytest.approx(0.6 * KEPT, rel=0.01)
    assert second.magnitude == pytest.approx(0.3 * KEPT, rel=0.01)
    assert (third.amplitude, third.magnitude) == (None, 0.0)
    assert first.latency_s == pytest.approx(2.0, abs=0.25)
    assert (neutral.responses, neutral.magnitude.mean) == (0, 0.0)
    assert found.non_responders == ("P-2",)
    assert "1 of 3 people has no response to any event: P-2." in found.notes
    assert "after 3 of 6 events" in anger.sentence
    text = " ".join(report(answer(asked(path))).split())
    assert anger.sentence in text
    assert "Magnitude, µS" in text


def test_skin_responses_outside_one_to_four_seconds_belong_to_none(tmp_path: Path) -> None:
    found = skin(study(tmp_path, [[(39.0, 1.0), (126.0, 1.0), (60.0, 1.0)]]))
    assert [one.latency_s for one in found.events] == [None] * 4
    assert found.non_responders == ("P-0",)


def test_skin_responses_are_reported_on_the_scale_that_is_declared(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO, []])
    log = skin(path, scr_scale="log")
    sizes = [one.amplitude_us for one in log.events if one.event == "anger"]
    assert log.unit == "ln(1 + µS)"
    assert log.labels[0].people[0].amplitude == pytest.approx(
        (math.log1p(sizes[0]) + math.log1p(sizes[1])) / 2
    )
    shares = skin(path, scr_scale="range")
    assert shares.labels[0].people[0].amplitude == pytest.approx((1 + sizes[1] / sizes[0]) / 2)
    # Nobody knows the largest response of a session without one.
    assert shares.labels[0].people[1].magnitude is None
    assert shares.labels[0].magnitude.n == 1


def test_skin_responses_smaller_than_the_threshold_count_as_none(tmp_path: Path) -> None:
    found = skin(study(tmp_path, [TWO]), scr_threshold=0.5)
    assert [one.responses for one in found.labels] == [1, 0]
    assert found.threshold_us == 0.5


def test_skin_responses_to_near_or_unmeasured_events_are_left_out(tmp_path: Path) -> None:
    events = ((40.0, "anger"), (43.0, "neutral"), (120.0, "anger"), (SESSION_S - 5.0, "neutral"))
    found = skin(study(tmp_path, [TWO], events))
    assert [(one.overlapping, one.unmeasured, one.events) for one in found.labels] == [
        (1, 0, 1),
        (1, 1, 0),
    ]
    assert "2 events have no skin response of their own: others were within 4 s." in found.notes
    assert any("not measured for 9 s" in note for note in found.notes)


def test_skin_responses_of_sessions_without_skin_are_not_measured(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO, []])
    with write_transaction(path) as database:
        second = "(SELECT max(started) FROM session)"
        database.execute(f"DELETE FROM vital WHERE at >= {second}")
    found = skin(path)
    assert [(one.events, one.unmeasured) for one in found.labels] == [(2, 2), (2, 2)]
    assert any(note.startswith("After 4 events skin conductance was not") for note in found.notes)


def test_skin_responses_of_slow_recordings_say_why_there_are_none(tmp_path: Path) -> None:
    found = skin(study(tmp_path, [TWO], step=4))
    assert (found.too_slow, found.people, found.non_responders) == (1, 0, ())
    assert any("fewer than 4 samples" in note for note in found.notes)


def test_skin_responses_are_not_looked_for_unless_asked(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO])
    assert answer(asked(path, vital=["heart_rate"])).skin is None


def test_bundle_has_the_skin_response_to_each_event(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO, []])
    inquiry = Inquiry((("", path),), AnalysisQuery(states=("neutral", "anger")))
    table = part(inquiry, {"sample": "measured"}).others["event_skin_responses"]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == 8
    assert [row["amplitude"] for row in rows if row["participant"] == "P-1"] == ["0.0"] * 4
    first = rows[0]
    assert (first["event"], float(first["at_s"])) == ("anger", 40.0)
    assert float(first["amplitude"]) == pytest.approx(KEPT, rel=0.01)


def test_bundle_has_the_skin_response_to_markers_of_an_experiment(tmp_path: Path) -> None:
    path = study(tmp_path, [TWO])
    marked = [(40.2, "experiment: tone"), (100.0, "trigger 7"), (119.0, "protocol: begins")]
    marked += [(120.1, "experiment: tone"), (158.0, "Tone"), (161.0, "tone")]
    timeline(path, marker=[{"at": at, "kind": "note", "label": one} for at, one in marked])
    inquiry = Inquiry((("", path),), AnalysisQuery(states=("neutral", "anger")))
    table = part(inquiry, {"sample": "measured"}).others["event_skin_responses"]
    rows = list(csv.DictReader(io.StringIO(table)))
    # A marker hides no start of a stimulus, nor the other way round; two markers hide each other.
    assert [(one["event"], float(one["at_s"]), one["kind"]) for one in rows] == [
        ("anger", 40.0, "stimulus_start"),
        ("experiment: tone", 40.2, "note"),
        ("neutral", 80.0, "stimulus_start"),
        ("trigger 7", 100.0, "note"),
        ("anger", 120.0, "stimulus_start"),
        ("experiment: tone", 120.1, "note"),
        ("neutral", 160.0, "stimulus_start"),
    ]
    heights = [round(float(one["amplitude"]), 2) for one in rows]
    assert heights[0] == heights[1] > heights[4] == heights[5] > 0
    assert heights[2] == heights[3] == heights[6] == 0


def test_responses_page_shows_skin_responses_with_their_choices(tmp_path: Path) -> None:
    study(tmp_path, [TWO, [(42.0, 0.6)], []])
    with client_of(tmp_path) as client:
        page = set_up(client, tmp_path).get(
            "/responses", params={"vital": "skin_conductance", "scr_scale": "range"}
        )
        assert page.status_code == 200
        assert "Skin responses to the events" in page.text
        assert "1 of 3 people has no response to any event: P-2." in page.text
        assert '<option value="range" selected' in page.text
