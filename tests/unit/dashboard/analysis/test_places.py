"""At which place of its session a state came, which is what a difference is adjusted for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dashboard.analysis.query import StateBy
from dashboard.analysis.readings.means import Visits
from dashboard.analysis.readings.places import (
    Predecessors,
    differences_in_place,
    place_columns,
    places_of,
    predecessors_of,
)
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.stimuli import SessionStimulus

STATES = ("neutral", "anger")
HEART = VitalKind.HEART_RATE


def met(
    session: int, conditions: str, reported: Sequence[str | None] = ()
) -> list[SessionStimulus]:
    """Return a session's stimuli, a minute each."""
    labels = conditions.split(", ")
    said = [*reported, *[None] * len(labels)]
    return [
        SessionStimulus(
            session, "P", False, label, 60_000 * place, 60_000 * (place + 1), said[place]
        )
        for place, label in enumerate(labels)
    ]


def test_place_counts_all_conditions_once_where_they_first_came() -> None:
    stimuli = met(1, "baseline, Anger, pause, ANGER , pause, film, Neutral")
    assert places_of(stimuli, STATES) == {
        (1, "condition baseline"): 1,
        (1, "anger"): 2,
        (1, "condition pause"): 3,
        (1, "condition film"): 4,
        (1, "neutral"): 5,
    }


@pytest.mark.parametrize(("coming_back", "known"), [(1, True), (2, True), (3, False)])
def test_places_are_known_unless_most_sessions_return_to_a_state(
    coming_back: int, known: bool
) -> None:
    stimuli = [
        one
        for session in range(4)
        for one in met(session, "anger, neutral" + (", anger" if session < coming_back else ""))
    ]
    # one state alone has no order, and cannot come back
    assert bool(places_of([*stimuli, *met(9, "anger, anger")], STATES)) == known


def test_place_of_a_report_is_that_of_its_stimulus() -> None:
    stimuli = met(1, "anger, neutral, film", [None, "anger", "neutral"])
    found = places_of(stimuli, STATES, StateBy.REPORTED)
    # what was called anger and reported as nothing is not anger
    assert found == {(1, "condition anger"): 1, (1, "anger"): 2, (1, "neutral"): 3}
    assert places_of(stimuli, STATES, StateBy.OBSERVED) == {}


def test_places_of_made_up_times_are_not_known() -> None:
    stimuli = met(1, "anger, neutral") + met(2, "neutral, anger")
    assert places_of(stimuli, STATES, made_up={1}) == {(2, "neutral"): 1, (2, "anger"): 2}


def test_places_of_several_sessions_are_averaged_as_values_are() -> None:
    visits: Visits = {
        HEART: {
            "a": [{"anger": 2.0, "neutral": 1.0}, {"anger": 3.0, "neutral": 1.0}, {"anger": 1.0}],
            "b": [{"anger": 0.0, "neutral": 0.0}],  # not known
            "c": [{"anger": 1.0}],
        }
    }
    found = differences_in_place(visits, HEART, "anger", "neutral")
    assert found == {"a": {2: 0.5, 3: 0.5, 1: -1.0}, "b": {}}
    columns = place_columns(found.values())
    assert columns is not None
    assert columns.tolist() == [[-1.0, 0.5, 0.5], [0.0, 0.0, 0.0]]
    assert place_columns([{}, {}]) is None


@pytest.mark.parametrize(
    ("conditions", "before"),
    [
        ("neutral, anger, fear", {"anger": "neutral", "fear": "anger"}),
        # a pause comes back, so it separates and precedes nothing
        ("pause, anger, pause, neutral, pause", {"neutral": "anger"}),
        # what was first met at the start had nothing before it
        ("anger, neutral, anger", {"neutral": "anger"}),
        ("neutral, neutral, anger", {"anger": "neutral"}),
    ],
)
def test_predecessor_is_what_came_right_before(conditions: str, before: dict[str, str]) -> None:
    also = met(2, "fear, anger, neutral") + met(3, "fear, neutral, anger")
    found = predecessors_of([*met(1, conditions), *also], STATES)
    names = {
        state.removeprefix("condition "): found.names[number - 1]
        for (session, state), number in found.numbers.items()
        if session == 1
    }
    assert names == before


def test_predecessor_that_nothing_precedes_is_a_place_alone() -> None:
    stimuli = met(1, "baseline, anger, neutral") + met(2, "baseline, neutral, anger")
    found = predecessors_of(stimuli, STATES)
    assert found.names == ("anger", "neutral")
    assert set(found.numbers) == {(1, "neutral"), (2, "anger")}
    assert predecessors_of(stimuli, STATES, StateBy.OBSERVED) == Predecessors({}, ())
