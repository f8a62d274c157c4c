"""The example study."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.matching import Matching
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.example_study import (
    CONDITIONS,
    PARTICIPANTS,
    WEEKS_CODE,
    seed_example_study,
    seed_example_weeks,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.timeline import START_MS, instant, query, timeline

DAY = 86_400_000


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = timeline(tmp_path_factory.mktemp("seeded"))
    assert seed_example_study(path, SimulatedPerson, seed=1, now=instant(0)) == PARTICIPANTS
    return path


def test_twelve_past_sessions_have_three_conditions_in_balanced_order(seeded: Path) -> None:
    sessions = Study(seeded).sessions()
    assert len(sessions) == len({session.participant for session in sessions}) == PARTICIPANTS
    assert all(
        session.end_ms and START_MS - 8 * DAY < session.start_ms < session.end_ms < START_MS
        for session in sessions
    )
    starts = [
        [m.label for m in Study(seeded).markers(one.id) if m.kind is MarkerKind.STIMULUS_START]
        for one in sessions
    ]
    assert all(sorted(labels) == sorted(CONDITIONS) for labels in starts)
    assert len(set(map(tuple, starts))) == 6


def test_every_row_says_that_it_is_simulated_and_nothing_is_sent(seeded: Path) -> None:
    for table in ("expression", "participant", "session"):
        assert query(seeded, f"SELECT DISTINCT simulated FROM {table}") == [(1,)]
    assert all(
        VitalFlag.SIMULATED in flags.split()
        for (flags,) in query(seeded, "SELECT DISTINCT flags FROM vital")
    )
    assert query(seeded, "SELECT count(*) FROM outbox") == [(0,)]
    assert query(seeded, "SELECT DISTINCT simulated FROM session_vital") == [(1,)]


def test_everybody_has_readings_and_anger_moves_the_heart(seeded: Path) -> None:
    values: Any = defaultdict(lambda: defaultdict(list))
    for found in Reader(seeded).session_readings(None, tuple(VitalKind)):
        values[found.kind, found.state][found.participant].append(found.value)
    kinds = {VitalKind.HEART_RATE: 100, VitalKind.SYSTOLIC: 2, VitalKind.DIASTOLIC: 2}
    for kind, least in kinds.items():
        for condition in CONDITIONS:
            assert len(values[kind, condition]) == PARTICIPANTS
            assert min(map(len, values[kind, condition].values())) >= least
    of_heart = {condition: values[VitalKind.HEART_RATE, condition] for condition in CONDITIONS}
    mean = {
        condition: statistics.mean(map(statistics.mean, of_heart[condition].values()))
        for condition in CONDITIONS
    }
    assert 2 < mean[Emotion.ANGER] - mean[Emotion.NEUTRAL] < 10


def test_a_face_that_shows_happiness_smiles(seeded: Path) -> None:
    sql = (
        "SELECT avg(smile) FROM movement JOIN expression USING (at) WHERE emotion = 'happiness'"
        " UNION ALL SELECT avg(smile) FROM movement JOIN expression USING (at) WHERE emotion = "
        "'neutral'"
    )
    happy, neutral = (value for (value,) in query(seeded, sql))
    assert happy > neutral + 200, "per mille"


def test_everybody_says_how_each_stimulus_was_and_most_felt_it(seeded: Path) -> None:
    said = query(seeded, "SELECT session, condition, scale, value FROM self_report")
    assert sorted({scale for _, _, scale, _ in said}) == ["arousal", "emotion", "valence"]
    assert len(said) == 3 * len(CONDITIONS) * PARTICIPANTS
    felt = [(condition, value) for _, condition, scale, value in said if scale == "emotion"]
    assert 0.6 < statistics.mean(condition == value for condition, value in felt) < 1
    pleasant = {
        c: statistics.mean(v for _, one, scale, v in said if (one, scale) == (c, "valence"))
        for c in CONDITIONS
    }
    assert pleasant[Emotion.ANGER] + 1 < pleasant[Emotion.HAPPINESS]
    reader = Reader(seeded)
    stimuli = reader.stimuli([session.id for session in reader.session_list()])
    assert [stimulus.reported for stimulus in stimuli] == [value for _, value in felt]
    sessions = reader.session_list()
    shown = reader.face_labels(sessions)
    (sums,) = reader.observed_sums(sessions, shown, tuple(VitalKind), [Matching()])
    counts = sums.counts
    assert counts.matched > 4 * (counts.unmatched + counts.ambiguous), "most faces show it, too"


def test_example_study_with_the_same_seed_is_the_same(tmp_path: Path, seeded: Path) -> None:
    path = timeline(tmp_path)
    seed_example_study(path, SimulatedPerson, seed=1, now=instant(0))
    for table in ("vital", "expression", "movement", "marker", "self_report"):
        assert query(path, f"SELECT * FROM {table}") == query(seeded, f"SELECT * FROM {table}")


def test_example_study_beside_a_real_one_is_not_made(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    Study(path).create_participant("P01")
    assert seed_example_study(path, SimulatedPerson) == 0
    assert query(path, "SELECT code FROM participant") == [("P01",)]
    assert query(path, "SELECT count(*) FROM vital") == [(0,)]


def test_example_person_with_nine_weeks_is_added_to_the_example_study(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    seed_example_study(path, SimulatedPerson, seed=1, now=instant(0))
    study = "SELECT * FROM session WHERE participant <= 12", "SELECT count(*) FROM self_report"
    before = [query(path, sql) for sql in study]
    written = seed_example_weeks(path, SimulatedPerson, seed=1, now=instant(0))
    assert [query(path, sql) for sql in study] == before
    sessions = [one for one in Study(path).sessions() if one.participant == WEEKS_CODE]
    assert len(sessions) == written and 130 <= written <= 189
    assert all(one.simulated and one.left_out == "whole" for one in sessions)
    spans = [(one.start_ms, one.end_ms or START_MS) for one in reversed(Study(path).sessions())]
    assert all(start > START_MS - 64 * DAY and end < START_MS for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert query(path, "SELECT min(simulated) FROM expression") == [(1,)]
    assert query(path, "SELECT count(*) FROM vital WHERE flags <> 'simulated'") == [(0,)]
    assert query(path, "SELECT count(*) FROM expression")[0][0] < 18_000
