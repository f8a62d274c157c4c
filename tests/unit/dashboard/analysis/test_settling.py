"""What the beginning of a stimulus does to a slow response, and how it is left out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from dashboard.analysis.answer import response_of
from dashboard.analysis.say.cautions import warnings_of
from edge_agent.store.database.schema import migrate, write_transaction
from tests.support.analyses import analysed
from tests.support.studies import DIASTOLIC, HEART, SYSTOLIC, add_stimuli

LATENCY_S = 10
RESPONSE_S = 30
STIMULUS_S = 40
EFFECT = 6.0


def slow_study(folder: Path) -> Path:
    """Six people, three stimuli of 40 s in every order, and a heart that has followed after 30 s:
    nothing happens for 10 s, then it goes to 6 /min more in anger, and back in the others.
    """
    path = folder / "affect-edge.db"
    migrate(path)
    for number, order in enumerate(itertools.permutations(("neutral", "anger", "happiness"))):
        at = 0.0
        level = 60.0 + number
        states: dict[str, Sequence[float]] = {}
        for label in order:
            aim = EFFECT * (label == "anger")
            way = [
                min(1.0, max(0.0, (second + 0.5 - LATENCY_S) / (RESPONSE_S - LATENCY_S)))
                for second in range(STIMULUS_S)
            ]
            states[label] = [level + at + (aim - at) * part for part in way]
            at = aim
        add_stimuli(path, f"P-{number}", states)
    return path


@pytest.mark.parametrize(("skipped", "found"), [(0, 0.333), (10, 0.556), (30, 1.0)])
def test_a_slow_response_is_found_whole_once_its_time_is_left_out(
    tmp_path: Path, skipped: float, found: float
) -> None:
    path = slow_study(tmp_path)
    query: dict[str, object] = {"vital": ["heart_rate"], "settling_heart_rate": skipped}
    comparison = analysed(path, **query).family[0].comparison
    assert comparison.difference == pytest.approx(found * EFFECT, abs=0.05)


def test_the_settling_time_is_that_of_each_vital_and_what_it_takes_is_counted(
    tmp_path: Path,
) -> None:
    path = slow_study(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET kind = 'systolic' WHERE at / 1000 % 40 = 17")
    found = analysed(path, sensitivity=True)
    settling = {one.vital: (one.seconds, one.readings, one.emptied) for one in found.settling}
    assert settling[HEART][:2] == (10.0, 6 * 3 * 10)
    assert settling[HEART][2] == settling[DIASTOLIC][2] == 0
    assert (settling[SYSTOLIC][0], settling[SYSTOLIC][2]) == (30.0, settling[SYSTOLIC][1])
    assert settling[SYSTOLIC][1] > 0
    variants = found.settling_sensitivity[0].variants
    assert [one.choice.settling_s(HEART) for one in variants] == [0.0, 5.0, 10.0, 20.0]
    assert found.settling_sensitivity[0].chosen.decision.p == next(
        test.comparison.tests.t.p for test in found.family if test.comparison.tests is not None
    )
    differences = [one.decision.difference or 0.0 for one in variants]
    assert differences == sorted(differences) and differences[0] < differences[-1]
    assert any("too short for this vital" in text for text in warnings_of(found))
    answer = response_of(found)
    assert [one.settling for one in answer.settling_sensitivity[3].variants] == [0, 15, 30, 60]
    assert answer.sensitivity == ()
