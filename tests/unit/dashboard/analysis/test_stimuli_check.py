"""Check of the stimuli: whether a stimulus called after an emotion raised it on the face."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from scipy import stats
from starlette.testclient import TestClient

from dashboard.analysis.analyse import analyse
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import AnalysisModel, ComparisonModel
from dashboard.commands.analyse import answer, report
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import ExpressionKind, probability_of
from edge_agent.timeline.read.reader import Reader
from tests.support.studies import add_session
from tests.support.timeline import Given, Row, expression, row, timeline

FELT = {"Anger": 0.25, "DISGUST ": 0.02, "neutral": 0.0, "a walk": 0.0}
"""Conditions of the study, with how much more of its emotion a face shows in each."""


def faces(start: float, labels: list[str], rng: random.Random, people: float = 0.0) -> list[Row]:
    """Return 20 rows for each condition of a session that begins at a time."""
    rows = []
    for place, label in enumerate(labels):
        begin = start + 10 + 300 * place
        name = label.strip().lower()
        emotion = Emotion(name) if name in tuple(Emotion) else Emotion.NEUTRAL
        for second in range(1, 21):
            shown = {one.value: 0.04 + rng.uniform(0, 0.02) for one in Emotion}
            shown["neutral"] = 0.3
            if emotion is not Emotion.NEUTRAL:
                shown[emotion.value] += FELT[label] + people + rng.gauss(0, 0.004)
            rest = shown.pop("sadness") and 1 - sum(shown.values())
            assert rest > 0
            rows.append(row(begin + second, None, shown=expression(**shown)))
    return rows


def study(folder: Path, sessions: int = 1, labels: tuple[str, ...] = tuple(FELT)) -> Path:
    """Eight people, whose order of conditions differs; the last lacks the first condition."""
    path = timeline(folder)
    rng = random.Random(4)
    every: list[Given] = []
    start = 0.0
    for number in range(8):
        for _ in range(sessions):
            order = list(labels)
            rng.shuffle(order)
            if sessions > 1 and number == 7:
                order.remove(labels[0])
            add_session(path, f"P-{number}", {label: {} for label in order})
            every += faces(start, order, rng, people=rng.gauss(0, 0.02))
            start += 3600.0
    timeline(path, expression=every)
    return path


def asked(path: Path, **named: object) -> AnalysisModel:
    return response_of(analyse(Reader(path), AnalysisQuery.model_validate(named)))


def checked_in(answered: AnalysisModel) -> dict[str, ComparisonModel]:
    check = answered.stimuli_check
    return {} if check is None else {test.first: test for test in check.comparisons}


def test_each_stimulus_is_tested_for_its_own_emotion_as_scipy_tests_it(tmp_path: Path) -> None:
    path = study(tmp_path)
    reader = Reader(path)
    found = asked(path)
    tests = checked_in(found)
    assert list(tests) == ["anger", "disgust"], "whatever the states that are compared"
    sums = reader.vital_sums(
        reader.stimuli(range(1, 9)), [ExpressionKind.ANGER, ExpressionKind.DISGUST], [1000]
    )
    means = {
        (one.session, one.condition.lower(), own.kind.value): own.total / own.n
        for one, own in sums
        if own.after_ms == 1000
    }
    p = []
    for name in tests:
        own, neutral = (
            [means[number, state, name] for number in range(1, 9)] for state in (name, "neutral")
        )
        of_scipy = stats.ttest_rel(own, neutral)
        assert tests[name].t == pytest.approx(of_scipy.statistic, rel=1e-9)
        assert tests[name].p == pytest.approx(of_scipy.pvalue, rel=1e-9)
        p.append(float(of_scipy.pvalue))
        assert (tests[name].vital, tests[name].second) == (probability_of(Emotion(name)), "neutral")
    # Holm, over these two alone
    smaller, larger = sorted(p)
    assert sorted(test.holm_p or 0 for test in tests.values()) == pytest.approx(
        [2 * smaller, max(larger, 2 * smaller)]
    )
    assert tests["anger"].result.conclusion is Conclusion.HIGHER
    assert found.stimuli_check is not None
    assert "Probability of anger was" in tests["anger"].claim
    assert (found.tests_computed, found.comparisons[0].adjusted_p) == (0, None), "no heart rate"


@pytest.mark.parametrize("sessions", [1, 2])
def test_check_of_one_stimulus_is_what_an_analysis_of_its_emotion_says(
    tmp_path: Path, sessions: int
) -> None:
    """With two sessions, and somebody who lacks a state, the mixed model is the main analysis."""
    path = study(tmp_path, sessions, ("Anger", "neutral"))
    check = asked(path).stimuli_check
    same = asked(path, vital=["anger"], states=["neutral", "anger"], sensitivity=False)
    assert check is not None
    assert check.main == same.main == ("t_tests" if sessions == 1 else "mixed_model")
    (test,), (other,) = check.comparisons, same.comparisons
    # Of one session with all states no model is fitted, for it could not be the main analysis.
    beside = {"others", "by_model", "beside"} if sessions == 1 else set()
    assert test.model_dump(exclude=beside) == other.model_dump(exclude=beside)
    assert (check.shown, check.computed) == (1, 1)


def test_stimuli_without_an_emotion_name_or_faces_are_not_checked(tmp_path: Path) -> None:
    unnamed = study(tmp_path / "unnamed", labels=("a walk", "neutral"))
    assert asked(unnamed).stimuli_check is None
    no_neutral = study(tmp_path / "no-neutral", labels=("Anger", "a walk"))
    assert asked(no_neutral, states=["anger", "a walk"]).stimuli_check is None
    seen = study(tmp_path / "seen")
    for state in (StateBy.OBSERVED, StateBy.REPORTED):
        assert asked(seen, state=state).stimuli_check is None
    unseen = timeline(tmp_path / "unseen")
    for number in range(4):
        add_session(unseen, f"P-{number}", {"anger": {}, "neutral": {}})
    assert asked(unseen).stimuli_check is None


def test_check_that_fails_is_open_on_the_page_before_the_results(
    ada: TestClient, tmp_path: Path
) -> None:
    study(tmp_path)
    page = ada.get("/analysis?vital=labelled_anger&states=neutral&states=anger").text
    check = page.index('class="card stimuli-check" open>')
    assert check < page.index("1 of 2 stimuli raised") < page.index('id="results"')


def test_terminal_tells_the_check_before_the_results(tmp_path: Path) -> None:
    found = asked(study(tmp_path), vital=["labelled_anger"], states=["neutral", "anger"])
    short, full = answer(found), report(found)
    for text in (short, full):
        told = " ".join(text.split())
        assert "Check of the stimuli: 1 of 2 stimuli raised the probability of its own" in told
        assert told.index("Probability of anger was") < told.index("Time labelled anger")
    assert "paired t(7)" in full.partition("Probability of disgust")[0]
