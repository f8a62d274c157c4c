"""Observed emotions while a heart calms down: false findings by time in the session, and true ones.

    python -m benchmarks observed   (python -m benchmarks.simulated.observed --json [--studies N])

Each simulated study has 24 people, each in one session of 15 minutes with a heart rate a second.
Emotions come and go in stretches of 10 to 60 s: anger, happiness and neutral. A person's level has
sd 7 /min, a person's own reaction to each state sd 2 (3.8 where there is an effect), and noise,
which lasts (0.95 from a second to the next), sd 3. Matching is left out: each reading has its
state.

*Late anger*: a stretch shows anger with a probability that rises from 0.1 to 0.6 over the session,
and a heart calms down by 8 /min, evenly (linear) or mostly at its start (exponential, time constant
a quarter of the session). There is no effect. *Steady*: each state is as likely at any time, no
heart calms down, and anger adds 3.5 /min.

Each study is a family of three tests, adjusted by Holm's method. They are done by
    plain      the t-test of a person's means
    decided    what the page tells: means at equal times within each session whose states were met
               among each other, and what is decided by them
    model      the mixed model of a person's means as measured, with minutes in the session
    within     the t-test of means at equal times within every session

Figures, of the worse of both shapes:
    observed_false_tests_…    late anger: tests with an adjusted p < 0.05
    observed_false_studies_…  studies with any such test
    observed_found_…          steady: studies that find it between anger and neutral, where this is
                              the only test
    observed_kept_…           steady: these, over those that the t-test finds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from benchmarks._command import benchmark
from dashboard.analysis.decision import TwoStates, decide
from dashboard.analysis.inference.checks import Misreading, drift_of, periods_of
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.mixed import main_analysis, mixed_models_of
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, StateBy
from dashboard.analysis.readings.means import (
    SessionMean,
    at_equal_times,
    session_means,
    state_means,
    times_of,
    visits_of,
)
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.statistics.distributions import Values
from dashboard.statistics.period import TimedSums, means_at_equal_times
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind

PEOPLE = 24
SECONDS = 900
STRETCH_S = (10, 60)
LATE = (0.1, 0.6)
"""How likely a stretch of anger is at the start of a session, and at its end."""
STEADY = (1 / 3, 1 / 3)
LEVEL_SD = 7.0
REACTION_SD = 2.0
REACTION_SD_WITH_EFFECT = 3.8
NOISE_SD = 3.0
NOISE_LASTS = 0.95
FALL = 8.0
EFFECT = 3.5
ALPHA = 0.05
QUERY = AnalysisQuery(vital=(VitalKind.HEART_RATE,), state=StateBy.OBSERVED)
ONE_TEST = QUERY.model_copy(update={"states": (Emotion.NEUTRAL, Emotion.ANGER)})
MINUTES = (np.arange(SECONDS) + 0.5) / 60
SHARE = np.arange(SECONDS) / SECONDS
CURVES: Mapping[str, Values] = {
    "linear": -FALL * SHARE,
    "exponential": -FALL * (1 - np.exp(-4 * SHARE)) / (1 - np.exp(-4.0)),
}
METHODS = ("plain", "decided", "model", "within")


@dataclass(frozen=True, slots=True)
class ObservedSession:
    """One person's session: of each second the place of its state in ``TESTED_STATES``, and the
    heart rate.
    """

    states: np.ndarray[tuple[int], np.dtype[np.int64]]
    values: Values


def session_of(
    rng: np.random.Generator, likely: tuple[float, float], curve: Values, effect: float, own: float
) -> ObservedSession:
    """Simulate a session.

    Args:
        rng: the chance.
        likely: how likely anger is at the start and at the end.
        curve: what time adds in each second.
        effect: what anger adds.
        own: sd of a person's own reaction to a state.
    """
    lengths = rng.integers(STRETCH_S[0], STRETCH_S[1] + 1, SECONDS // STRETCH_S[0] + 1)
    begins = np.minimum(np.cumsum(lengths) - lengths, SECONDS) / SECONDS
    anger = likely[0] + (likely[1] - likely[0]) * begins
    chance = rng.random(len(lengths))
    # what is no anger is happiness or neutral, each as often
    shown = (chance >= anger).astype(np.int64) + (chance >= (1 + anger) / 2)
    states = np.repeat(shown, lengths)[:SECONDS]
    reactions = rng.normal(0.0, own, len(TESTED_STATES))
    reactions[0] += effect
    fresh = rng.normal(0.0, NOISE_SD * np.sqrt(1 - NOISE_LASTS**2), SECONDS)
    fresh[0] = rng.normal(0.0, NOISE_SD)
    noise = lfilter([1.0], [1.0, -NOISE_LASTS], fresh)
    level = rng.normal(70.0, LEVEL_SD)
    return ObservedSession(states, level + reactions[states] + curve + noise)


def groups_of(study: Sequence[ObservedSession], *, within: bool = False) -> list[ReadingGroup]:
    """Return the sums of each person's readings in each state, as the timeline gives them."""
    groups = []
    for person, session in enumerate(study):
        size = len(TESTED_STATES)
        n = np.bincount(session.states, minlength=size)
        held = np.flatnonzero(n).tolist()
        columns = (MINUTES, MINUTES**2, session.values, MINUTES * session.values)
        sums = np.array([np.bincount(session.states, one, size) for one in columns]).T
        means = sums[:, 2] / np.maximum(n, 1)
        if within:
            means[held] = means_at_equal_times([TimedSums(int(n[k]), *sums[k]) for k in held])
        for k in held:
            total, minutes = float(n[k] * means[k]), float(sums[k, 0] / n[k])
            names = (f"P-{person:02d}", person, str(TESTED_STATES[k]), VitalKind.HEART_RATE)
            numbers = (int(n[k]), total, float(means[k]), minutes)
            timed = (0.0, 0.0) if within else (float(sums[k, 1]), float(sums[k, 3]))
            groups.append(ReadingGroup(*names, frozenset(), False, *numbers, "", *timed))
    return groups


def judged(study: Sequence[ObservedSession], query: AnalysisQuery = QUERY) -> dict[str, list[bool]]:
    """Return for each method which tests of the family say that there is a difference."""
    means = session_means(groups_of(study), query.states)
    plain = compare_visits(visits_of(means), query)
    _, by_model = mixed_models_of(means, plain, query)
    adjusted = session_means(groups_of(study, within=True), query.states)
    within = compare_visits(visits_of(adjusted), query)
    pairs = [(VitalKind.HEART_RATE, *pair) for pair in query.pairs]
    p_of = {
        "plain": [None if one.tests is None else one.tests.holm_p for one in plain],
        "model": [by_model[pair].adjusted_p if pair in by_model else None for pair in pairs],
        "within": [None if one.tests is None else one.tests.holm_p for one in within],
    }
    claims = {name: [p is not None and p < ALPHA for p in every] for name, every in p_of.items()}
    return claims | {"decided": decided(means, query)}


def decided(measured: Sequence[SessionMean], query: AnalysisQuery) -> list[bool]:
    """Return which tests the page tells a difference of."""
    means = at_equal_times(measured)
    family = compare_visits(visits_of(means), query)
    models, by_model = mixed_models_of(means, family, query)
    main = main_analysis(models, by_model, family, query.design, query.states)
    drifts = [drift_of(VitalKind.HEART_RATE, state_means(measured))]
    periods = periods_of(family, times_of(means), {}, drifts, query)
    every = zip(query.pairs, family, periods, strict=True)
    return [
        decide(
            TwoStates(
                comparison,
                Misreading("", None),
                period,
                models[0],
                by_model.get((VitalKind.HEART_RATE, *pair)),
            ),
            main,
            query.correction,
        )[0].shows_difference
        for pair, comparison, period in every
    ]


def measure(studies: int) -> dict[str, float]:
    """Return all figures."""
    rng = np.random.default_rng(1)
    tests: dict[str, list[float]] = {name: [] for name in METHODS}
    any_test: dict[str, list[float]] = {name: [] for name in METHODS}
    for shape, curve in CURVES.items():
        every = [
            judged([session_of(rng, LATE, curve, 0.0, REACTION_SD) for _ in range(PEOPLE)])
            for _ in range(studies)
        ]
        for name in METHODS:
            claims = np.array([one[name] for one in every])
            tests[name].append(float(claims.mean()))
            any_test[name].append(float(claims.any(axis=1).mean()))
            print(
                f"{shape:12} {name:8} tests {tests[name][-1]:.3f}, studies {any_test[name][-1]:.3f}"
            )
    still = np.zeros(SECONDS)
    own = REACTION_SD_WITH_EFFECT
    every = [
        judged([session_of(rng, STEADY, still, EFFECT, own) for _ in range(PEOPLE)], ONE_TEST)
        for _ in range(studies)
    ]
    power = {name: float(np.mean([one[name] for one in every])) for name in METHODS}
    return {
        **{f"observed_false_tests_{name}": max(tests[name]) for name in METHODS},
        **{f"observed_false_studies_{name}": max(any_test[name]) for name in METHODS},
        **{f"observed_found_{name}": power[name] for name in METHODS},
        **{f"observed_kept_{name}": power[name] / power["plain"] for name in METHODS[1:]},
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
