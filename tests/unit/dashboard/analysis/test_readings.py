"""Readings of two sensors at once, and readings summed in the database."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.choices import SettlingChoice
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.readings.states import ReadingGroup, best_source, find_readings
from dashboard.analysis.rendering.answer import response_of
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.read.reader import Reader
from tests.support.studies import HEART, SYSTOLIC, States, add_session, add_stimuli

RR = VitalKind.RR_INTERVAL


STRAP: States = {"anger": {HEART: [80.0, 82.0, 81.0]}, "neutral": {HEART: [70.0, 71.0, 72.0]}}


WATCH: States = {"anger": {HEART: [100.0, 100.0]}}  # none in neutral


def two_sensors(folder: Path) -> Path:
    path = folder / "affect-edge.db"
    for code in ("a", "b", "c"):
        add_session(path, code, STRAP, second=("watch", WATCH))
    return path


def means(path: Path, query: AnalysisQuery, prefer: tuple[str, ...] = ()) -> set[tuple[str, float]]:
    found = analyse(Reader(path), query, prefer_sources=prefer)
    return {(str(one.state), one.mean) for one in found.means}


def test_the_sensor_with_more_readings_counts_and_the_other_is_reported_of(tmp_path: Path) -> None:
    path = two_sensors(tmp_path)
    query = AnalysisQuery(vital=(HEART,))
    assert means(path, query) == {("anger", 81.0), ("neutral", 71.0)}
    (caution,) = [
        text for text in response_of(analyse(Reader(path), query)).cautions if "watch" in text
    ]
    assert "6 of heart rate by watch" in caution
    assert "in 3 sessions" in caution


def test_the_preferred_sensor_counts_even_where_it_lacks_a_state(tmp_path: Path) -> None:
    path = two_sensors(tmp_path)
    watch = AnalysisQuery(vital=(HEART,), prefer_source=("band", "watch"))
    assert means(path, watch) == {("anger", 100.0)}
    usual = AnalysisQuery(vital=(HEART,))
    assert means(path, usual, prefer=("watch",)) == {("anger", 100.0)}
    asked = AnalysisQuery(vital=(HEART,), prefer_source=("strap",))
    assert means(path, asked, prefer=("watch",)) == {("anger", 81.0), ("neutral", 71.0)}


@pytest.mark.parametrize(
    ("sources", "best"),
    [
        ({"a": (3, 3), "b": (5, 5)}, "b"),
        ({"camera": (0, 90), "strap": (2, 2)}, "strap"),
        ({"b": (0, 4), "a": (0, 4)}, "a"),
    ],
)
def test_readings_without_doubt_decide_before_all_readings(
    sources: dict[str, tuple[int, int]], best: str
) -> None:
    assert best_source(sources, ()) == best


@pytest.mark.parametrize("prefer", [(), ("watch",)])
def test_beats_that_two_sensors_felt_are_not_counted_twice(
    tmp_path: Path, prefer: tuple[str, ...]
) -> None:
    path = tmp_path / "affect-edge.db"
    beats = [0.8, 0.82, 0.8, 0.78] * 25
    felt: States = {"anger": {RR: beats}}
    add_session(path, "a", felt, second=("watch", {"anger": {RR: beats[:-1]}}))
    query = AnalysisQuery(state=StateBy.CONDITION, prefer_source=prefer)
    (found,) = analyse(Reader(path), query).answer.variability
    assert found.state == Emotion.ANGER
    assert found.beats == len(beats) - len(prefer)
    expected = 1000 * np.sqrt(np.mean(np.diff(beats[: found.beats]) ** 2))
    assert found.rmssd_ms == pytest.approx(expected)


KINDS = (HEART, SYSTOLIC)


CHOICES = tuple(SettlingChoice(((HEART, h), (SYSTOLIC, s))) for h, s in ((4, 9), (0, 0), (9, 2)))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four people, a state that comes twice in a session, fractions, flags, and two sources."""
    path = tmp_path / "affect-edge.db"
    migrate(path)
    rng = random.Random(5)
    for number in range(4):
        stimuli = {
            label: [rng.gauss(70, 9) for _ in range(rng.randint(3, 25))]
            for label in rng.sample(["anger", "Anger", "neutral", "happiness", "music"], 5)
        }
        add_stimuli(path, f"P-{number}", stimuli)
    with write_transaction(path) as connection:
        for key in connection.execute("SELECT at, kind, source FROM vital").fetchall():
            connection.execute(
                "UPDATE vital SET kind = ?, flags = ?, source = ? "
                "WHERE at = ? AND kind = ? AND source = ?",
                (
                    rng.choice([kind.value for kind in KINDS]),
                    rng.choice(["", "", "out_of_range", "simulated"]),
                    rng.choice(["strap", "strap", "watch"]),
                    *key,
                ),
            )
    return path


def one_by_one(path: Path, choice: SettlingChoice) -> dict[tuple[object, ...], list[float]]:
    """Return the values of each group, found for every reading alone."""
    groups: defaultdict[tuple[object, ...], list[float]] = defaultdict(list)
    reader = Reader(path)
    stimuli = reader.stimuli([session.id for session in reader.session_list()])
    with reader.connect() as connection:
        readings = connection.execute("SELECT at, kind, source, value, flags FROM vital").fetchall()
    for at, kind, source, value, flags in readings:
        for one in stimuli:
            begin = one.start_ms + choice.settling_ms(next(k for k in KINDS if k.value == kind))
            if begin <= at < one.end_ms:
                groups[one.session, one.condition, kind, flags_of(flags), source].append(value)
    return groups


def named(groups: Sequence[ReadingGroup]) -> dict[tuple[object, ...], ReadingGroup]:
    keys = [(one.session, one.state, one.kind.value, one.flags, one.source) for one in groups]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, groups, strict=True))


def test_each_choice_has_the_groups_that_readings_one_by_one_have(study: Path) -> None:
    reader = Reader(study)
    sessions = reader.session_list()
    stimuli = reader.stimuli([session.id for session in sessions])
    query = AnalysisQuery(vital=KINDS)
    every = find_readings(reader, query, sessions, stimuli, CHOICES)
    for choice, found in zip(CHOICES, every, strict=True):
        counting = named((*found.groups, *found.passed_over))
        expected = one_by_one(study, choice)
        in_no_test = {key for key in expected if str(key[1]).casefold() == "music"}
        assert counting.keys() | in_no_test == expected.keys() | in_no_test
        for key, group in counting.items():
            assert group.n == len(expected[key])
            assert group.total == pytest.approx(math.fsum(expected[key]), rel=1e-14)
            assert group.largest == max(map(abs, expected[key]))
            assert group.simulated == ("simulated" in group.flags)
