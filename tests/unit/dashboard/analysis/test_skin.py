"""Responses of skin conductance in the analysis: by session and state, and as tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.preregistration import choices, said_choices
from dashboard.analysis.query import AnalysisQuery, SkinMeasure
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.tables import bundle_tables
from dashboard.analysis.rendering.words import say
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import PooledReader
from edge_agent.timeline.study.exclusions import leave_out
from tests.support.timeline import START_MS, reading, session_row, timeline

BOTH = tuple(SkinMeasure)
SKIN = VitalKind.SKIN_CONDUCTANCE
STATE_S = 90
SESSION_S = 240
SHAPE = 2.88 * (np.exp(-np.arange(0, 30, 0.25) / 2) - np.exp(-np.arange(0, 30, 0.25) / 0.75))
"""A response of 1 µS, four samples a second."""


def conductance(
    start: float, responses: Sequence[tuple[float, float]], step: int = 1
) -> list[VitalReading]:
    """Return a session's samples: responses (second, µS) on a level; each, or each ``step``-th."""
    values = np.full(4 * SESSION_S + len(SHAPE), 5.0)
    for second, height in responses:
        place = round(4 * second)
        values[place : place + len(SHAPE)] += height * SHAPE
    return [
        reading(start + place / 4, values[place], SKIN, "bridge")
        for place in range(0, 4 * SESSION_S, step)
    ]


def study(folder: Path, people: int = 4, step: int = 1) -> Path:
    """Write people with more and larger responses in anger, to 100 s, than in neutral, to 190 s."""
    path = folder / "affect-edge.db"
    sessions, readings = [], []
    for number in range(people):
        start = 3600.0 * number
        angry = [(15.0 + 12 * place, 0.6 + 0.1 * number) for place in range(4 + number % 2)]
        calm = [(105.0 + 30 * place, 0.3) for place in range(1 + number // 2 % 2)]
        conditions = ((10, 100, "anger"), (100, 190, "neutral"))
        begun = [(start + first, start + last, label) for first, last, label in conditions]
        sessions.append(
            session_row(start, start + SESSION_S, *begun, participant=f"P-{number}", name="films")
        )
        readings += conductance(start, [*angry, *calm], step)
    return timeline(path, session=sessions, vital=readings)


def analysed(path: Path, **question: object) -> Analysis:
    asked = {"states": ("neutral", "anger"), "skin_measure": BOTH, **question}
    return analyse(Reader(path), AnalysisQuery.model_validate(asked))


def test_skin_responses_are_counted_by_state_and_tested_in_a_family_of_own(tmp_path: Path) -> None:
    path = study(tmp_path)
    found = analysed(path)
    by_state = {(one.participant, one.state): one for one in found.answer.skin}
    first, other = by_state["P-0", "anger"], by_state["P-3", "neutral"]
    assert (first.responses, first.seconds, first.sessions) == (4, 90.0, 1)
    assert first.scr_count == pytest.approx(4 / 1.5)
    # the means of quarters of a second take 2 to 3 %
    assert first.scr_amplitude == pytest.approx(0.6 * 0.975, rel=0.01)
    assert other.responses == 2
    assert other.scr_amplitude == pytest.approx(0.3 * 0.975, rel=0.01)
    count, amplitude = found.answer.skin_tests
    codes = [f"P-{number}" for number in range(4)]
    by_hand = [
        [by_state[code, state].scr_count or 0 for code in codes] for state in ("anger", "neutral")
    ]
    expected = paired_t(*by_hand)
    assert (count.measure, count.first, count.second) == (SkinMeasure.SCR_COUNT, "anger", "neutral")
    assert count.t == pytest.approx(expected.t)
    assert count.p == pytest.approx(expected.p)
    assert amplitude.p is not None
    assert count.adjusted_p == pytest.approx(max(expected.p, 2 * min(amplitude.p, expected.p)))
    text = response_of(found).skin_tests[0].sentence
    assert text.startswith("Responses of skin conductance, anger and neutral: a difference, ")
    assert " /min (95 % CI" in text
    without = analysed(path, skin_measure=("scr_count",))
    # Vitals, heartbeat and skin conductance adjust for their own tests only.
    assert without.answer.comparisons == found.answer.comparisons
    assert without.answer.skin_tests[0].adjusted_p == pytest.approx(expected.p)


def test_skin_responses_with_a_reading_a_second_give_reason_and_no_number(tmp_path: Path) -> None:
    found = analysed(study(tmp_path, step=4))
    assert not found.skin_values
    assert {one.refused for one in found.answer.skin} == {1}
    assert response_of(found).skin[0].reason == (
        "responses need at least 4 samples of skin conductance a second; there are 1.0"
    )
    (count, _) = found.answer.skin_tests
    assert count.p is None
    assert count.result.by is None
    (told, _) = response_of(found).skin_tests
    assert "Without a number: 8 too few samples a second." in told.sentence
    assert "0 of 8 recordings" in say("beside", "skin", found.answer.skin, 0.05)


def test_skin_threshold_is_a_choice_that_is_preregistered_and_said(tmp_path: Path) -> None:
    path = study(tmp_path, people=1)
    counts = {
        least: {one.state: one.responses for one in analysed(path, scr_threshold=least).answer.skin}
        for least in (0.05, 0.4, 0.7)
    }
    assert counts[0.05] == {"anger": 4, "neutral": 1}
    assert counts[0.4] == {"anger": 4, "neutral": 0}
    assert counts[0.7] == {"anger": 0, "neutral": 0}
    query = AnalysisQuery(scr_threshold=0.4)
    assert choices(query)["scr_threshold"] == "0.4"
    assert said_choices(AnalysisQuery())["scr_threshold"] == "0.05 µS"
    found = analysed(path, scr_threshold=0.4)
    assert "rise of at least 0.4 µS" in say("beside", "skin", found.answer.skin, 0.4)
    assert "next peak of 0.4 µS or more" in " ".join(response_of(found).method)
    for refused in (0, 0.001, 2, "nan"):
        with pytest.raises(ValueError, match="scr_threshold"):
            AnalysisQuery.model_validate({"scr_threshold": refused})


def test_skin_at_the_ceiling_of_its_sensor_is_not_taken_for_data(tmp_path: Path) -> None:
    path = study(tmp_path, people=1)
    with closing(sqlite3.connect(path)) as connection, connection:  # an instrument up to 25 µS
        connection.execute(
            "UPDATE vital SET value = 25.0 WHERE kind = ? AND at BETWEEN ? AND ?",
            (SKIN, START_MS + 24_000, START_MS + 33_999),
        )
    found = analysed(path)
    (neutral, anger) = found.answer.skin
    assert (anger.clipped_s, neutral.clipped_s) == (10.0, 0.0)
    # of four responses in anger, at 15, 27, 39 and 51 s, the second rises at the ceiling
    assert anger.responses == 3
    assert anger.seconds == pytest.approx(80.0, abs=0.5)
    told = say("beside", "skin", found.answer.skin, 0.05)
    assert "For 10 s the sensor was at its ceiling: they count as not recorded" in told


def test_skin_responses_pass_over_samples_in_doubt_and_what_is_left_out(tmp_path: Path) -> None:
    path = study(tmp_path, people=1)
    lost = [
        reading(60 + place / 4 + 0.1, 40.0, SKIN, "bridge", {VitalFlag.CONTACT_LOST})
        for place in range(40)
    ]
    timeline(path, vital=lost)
    plain = analysed(path)
    (neutral, anger) = plain.answer.skin
    assert (anger.responses, neutral.responses) == (4, 1)
    leave_out(path, 1, (START_MS + 25_000, START_MS + 45_000), reason="phone rang", actor="me")
    (_, anger) = analysed(path).answer.skin
    assert anger.responses == 2
    assert anger.seconds == pytest.approx(70.0, abs=0.5)


def test_skin_responses_of_two_sites_are_those_of_each(tmp_path: Path) -> None:
    path = study(tmp_path, people=2)
    query = AnalysisQuery(states=("neutral", "anger"), skin_measure=BOTH)
    alone = analyse(Reader(path), query).answer.skin
    pool = PooledReader({"a": Reader(path), "b": Reader(path)})
    assert analyse(pool, query).answer.skin == tuple(
        one.model_copy(update={"participant": f"{site}/{one.participant}"})
        for site in "ab"
        for one in alone
    )


def test_skin_responses_of_two_kinds_in_one_family_are_refused() -> None:
    with pytest.raises(ValueError, match="name one kind"):
        AnalysisQuery.model_validate({"family": ("ln_rmssd, scr_count",)})
    query = AnalysisQuery.model_validate(
        {"family": ("scr_count: anger, neutral",), "skin_measure": BOTH}
    )
    assert query.family_of("scr_count", "anger", "neutral") == 0
    assert query.family_of("scr_amplitude", "anger", "neutral") == -1


def test_skin_measures_of_a_bundle_are_what_the_tests_compare(tmp_path: Path) -> None:
    found = analysed(study(tmp_path))
    heads, *rows = bundle_tables(found)["skin_measure.csv"].splitlines()
    assert heads == "measure,title,participant,session,state,value,minutes"
    assert len(rows) == len(found.skin_values) == 16
    assert rows[0].startswith("scr_count,Responses of skin conductance,P-0,1,anger,2.66")
