"""Which states and events are compared where nobody names any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, usual_states
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import ResponsesModel, ResponsesQuery
from dashboard.questions.responses.question import answer as responses_to
from edge_agent.core.study import MarkerKind
from tests.support.commands import affect_edge
from tests.support.studies import FOUR_PEOPLE, HEART, States, add_session, make_study
from tests.support.timeline import reading, session_row, timeline

OWN = ("exam", "dog", "wall")


@pytest.mark.parametrize(
    ("labels", "states"),
    [
        ((), TESTED_STATES),
        (("dog",), TESTED_STATES),
        (("anger", "neutral"), TESTED_STATES),
        (("Anger ", "HAPPINESS", "dog"), TESTED_STATES),
        (OWN, OWN),
        (("dog", "Dog", "wall"), ("dog", "wall")),
        (("dog", "Neutral", "wall"), ("neutral", "dog", "wall")),
        (("dog", "anger", "wall"), ("dog", "anger", "wall")),
        (("", "dog"), TESTED_STATES),
        (tuple("abcdefgh"), tuple("abcdef")),
    ],
)
def test_usual_states_are_those_of_the_study_where_two_are_absent(
    labels: tuple[str, ...], states: tuple[str, ...]
) -> None:
    assert usual_states(labels) == states
    assert AnalysisQuery(states=states).states == states, "as somebody would ask it"


def people_of(*labels: str, people: int = 6) -> dict[str, States]:
    """Six people whose heart rate is higher, the later the label, whichever comes first."""
    levels = {label: 60.0 + 5 * place for place, label in enumerate(labels)}
    order = list(labels)
    found: dict[str, States] = {}
    for person in range(people):
        turned = order if person == 0 else order[person % 3 :] + order[: person % 3]
        found[f"P{person}"] = {
            one: {HEART: [levels[one] + person + (person * place) % 3]}
            for place, one in enumerate(turned)
        }
    return found


def curves_of(folder: Path, *labels: str, people: int = 6) -> Path:
    """Six people with a minute between the starts of each label, and a rate a second."""
    sessions, readings = [], []
    for person in range(people):
        start = 2000 * person
        turned = labels[person % len(labels) :] + labels[: person % len(labels)]
        events = [(start + 30 + 60 * n, start + 80 + 60 * n, one) for n, one in enumerate(turned)]
        sessions.append(session_row(start, start + 400, *events, participant=f"P{person}"))
        readings += [
            reading(start + at + 0.5, 70.0 + person + at * 7919 * (person + 1) % 13)
            for at in range(400)
        ]
    return timeline(folder, session=sessions, vital=readings)


def told(folder: Path, *words: str) -> dict[str, object]:
    done = affect_edge(*words, "--json", "--data", folder)
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def test_own_conditions_are_compared_alike_by_page_and_command(
    ada: TestClient, tmp_path: Path
) -> None:
    make_study(tmp_path, people_of(*OWN))
    answered = ada.get("/api/v1/analysis").json()
    pairs = [(one["first"], one["second"]) for one in answered["comparisons"][:3]]
    assert pairs == [("wall", "exam"), ("dog", "exam"), ("wall", "dog")]
    assert answered["tests_computed"] == 3
    assert told(tmp_path, "analyse")["comparisons"] == answered["comparisons"]
    page = ada.get("/analysis?whole=yes").text
    assert "other labels" not in page and "other conditions" not in page
    for label in OWN:
        assert f'name="states" value="{label}" checked' in page
    named = ada.get("/api/v1/analysis?states=neutral&states=anger").json()
    assert (named["question"]["states"], named["tests_computed"]) == (["neutral", "anger"], 0)


def test_states_that_somebody_names_are_asked_and_no_others(
    ada: TestClient, tmp_path: Path
) -> None:
    path = make_study(tmp_path, FOUR_PEOPLE)
    add_session(path, "P-5", people_of(*OWN)["P0"])
    assert ada.get("/api/v1/analysis").json()["question"]["states"] == list(TESTED_STATES)
    address = "/api/v1/analysis?sample=selected&session=5"
    assert ada.get(address).json()["question"]["states"] == list(OWN)
    families = ada.get(f"{address}&family=all:%20anger,%20neutral").json()
    assert families["question"]["states"] == list(TESTED_STATES), "the family names them"
    reported = ada.get(f"{address}&state=reported").json()
    assert reported["question"]["states"] == list(TESTED_STATES)


def answer(path: Path, **question: object) -> ResponsesModel:
    return responses_to(Inquiry((("", path),), ResponsesQuery.model_validate(question)))


def test_responses_compare_own_conditions_with_the_first(ada: TestClient, tmp_path: Path) -> None:
    path = curves_of(tmp_path, *OWN)
    found = answer(path)
    assert [(one.first, one.second) for one in found.tests] == [("dog", "exam"), ("wall", "exam")]
    assert all(one.p is not None for one in found.tests)
    assert found.question.against == "exam"
    page = ada.get("/responses").text
    assert 'name="against" value="exam"' in page
    assert "dog and exam: not tested" not in page and "neutral" not in page.casefold()
    assert told(tmp_path, "responses")["tests"] == ada.get("/api/v1/responses").json()["tests"]
    assert not answer(path, against="").tests, "empty compares nothing"
    asked = answer(path, against="neutral")
    assert [one.second for one in asked.tests] == ["neutral"] * 3, "as somebody asked"


@pytest.mark.parametrize(
    ("labels", "reference"),
    [
        (("dog", "neutral", "wall"), "neutral"),
        (("anger", "happiness"), "happiness"),
        (("anger", "dog"), "anger"),
        (("baseline", "dog", "wall"), "dog"),
        (("dog",), "dog"),
    ],
)
def test_responses_and_analysis_have_one_reference(
    labels: tuple[str, ...], reference: str, tmp_path: Path
) -> None:
    found = answer(curves_of(tmp_path, *labels))
    assert found.question.against == reference
    assert {one.second for one in found.tests} <= {reference}
    usual = [one for one in usual_states(labels) if one in labels]
    assert usual[:1] in ([reference], ["baseline"], [])


def test_responses_to_notes_compare_with_the_first(tmp_path: Path) -> None:
    path = curves_of(tmp_path, "a", "b")
    assert answer(path, kind=MarkerKind.STIMULUS_END).question.against == "a"
