"""Readings summed in the database and put together in columns are those that one by one gives."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from dashboard.analysis.readings import ReadingGroup, find_readings
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.sensitivity import SettlingChoice
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.read.base import flags_of
from edge_agent.store.read.reader import Reader
from tests.support.studies import HEART, SYSTOLIC, add_stimuli

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


def test_without_any_stimulus_there_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    (found,) = find_readings(Reader(path), AnalysisQuery(vital=KINDS), [], [], CHOICES[:1])
    assert found.groups == () and found.beginnings == ()
