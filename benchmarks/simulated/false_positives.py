"""Studies without any effect, a thousand times each: how often does a test find something?

    python -m benchmarks.simulated.false_positives [--json] [--repetitions N]

Each study has 24 people whose heart rate is the same in anger, happiness and neutral but for what
chance does: a person's level (sd 7 /min), a person's own reaction to each state in each session (sd
2) and noise of the readings (sd 3). Readings go through the functions that the Analysis page uses:
flags, means of sessions, sides of the tests, the family of three tests. ``benchmarks/study.py``
sends readings and faces through recorder, database and matching as well.

Scenarios, each with something that must not look like an effect:
    unbalanced_dwell    nearly always more readings in one state than in another, 3 to 300 of them
    missing_states      a third of the people lack a state in a session; half of them come twice
    two_sessions        two sessions whose levels differ by 15 /min, with most of the time of anger
                        in the higher and most of neutral in the lower one
    own_reactions       half of the people come twice, a tenth of the states are missing, and what
                        a person makes of a state (sd 3) comes back in the second session
    few_readings        some 200 readings in neutral, 20 in happiness, 3 in anger; half come twice
    doubtful_readings   in anger 5 % of the readings are zeros, flagged contact_lost
    doubled_readings    one reading a second; in anger 2 % of them are doubled, and which of them is
                        found out by ``core.artefacts``

Figures, shares of tests with p < 0.05:
    false_positives_SCENARIO         by the page's functions
    false_positives_SCENARIO_pooled  for comparison, where each person's readings of all sessions
                                     are one mean and flags are not looked at
    false_positives_SCENARIO_model   by the mixed model, where there are several sessions or missing
                                     states, so that it is the main analysis
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks._command import benchmark
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.mixed import mixed_models_of
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery
from dashboard.analysis.readings.means import at_equal_times, session_means, visits_of
from dashboard.analysis.readings.states import ReadingGroup, StateReadings
from edge_agent.core.artefacts import artefacts
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind

PEOPLE = 24
LEVEL_SD = 7.0
REACTION_SD = 2.0
NOISE_SD = 3.0
ALPHA = 0.05
SECONDS = 100  # of a state, where readings are made one by one
QUERY = AnalysisQuery(vital=(VitalKind.HEART_RATE,))
LOST = frozenset({VitalFlag.CONTACT_LOST, VitalFlag.OUT_OF_RANGE})

Study = list[ReadingGroup]


def readings_of(
    rng: np.random.Generator,
    person: int,
    session: int,
    state: str,
    n: int,
    level: float,
    reaction_sd: float = REACTION_SD,
    noise_sd: float = NOISE_SD,
) -> ReadingGroup:
    """Return the sum of a person's readings in one state of one session, which has no effect."""
    mean = level + rng.normal(0.0, reaction_sd) + rng.normal(0.0, noise_sd / np.sqrt(n))
    code = f"P-{person:02d}"
    number = 10 * person + session
    heart = VitalKind.HEART_RATE
    return ReadingGroup(code, number, str(state), heart, frozenset(), False, n, n * mean, abs(mean))


def unbalanced_dwell(rng: np.random.Generator) -> Study:
    """People stay in each state as long as they like: longest in neutral, rarely in anger."""
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        for state, least, most in zip(TESTED_STATES, (150, 30, 3), (301, 100, 12), strict=True):
            n = int(rng.integers(least, most))
            study.append(readings_of(rng, person, 0, state, n, level))
    return study


def missing_states(rng: np.random.Generator) -> Study:
    """In a third of the sessions a state is missing; every second person comes twice."""
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        for session in range(1 + person % 2):
            today = level + rng.normal(0.0, LEVEL_SD)
            missing = TESTED_STATES[rng.integers(3)] if rng.random() < 1 / 3 else None
            study += [
                readings_of(rng, person, session, state, 40, today)
                for state in TESTED_STATES
                if state is not missing
            ]
    return study


def two_sessions(rng: np.random.Generator) -> Study:
    """The second session is 15 /min higher, and most readings of anger lie in it."""
    dwell: dict[str, tuple[int, int]] = {
        Emotion.NEUTRAL: (120, 30),
        Emotion.HAPPINESS: (75, 75),
        Emotion.ANGER: (30, 120),
    }
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        for session in range(2):
            today = level + 15.0 * session
            study += [
                readings_of(rng, person, session, state, dwell[state][session], today)
                for state in TESTED_STATES
            ]
    return study


def own_reactions(rng: np.random.Generator) -> Study:
    """What a person makes of a state is the same in both sessions."""
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        own = rng.normal(0.0, 3.0, len(TESTED_STATES))
        for session in range(1 + person % 2):
            today = level + rng.normal(0.0, 4.0)
            study += [
                readings_of(rng, person, session, state, 40, today + own[place])
                for place, state in enumerate(TESTED_STATES)
                if rng.random() < 0.9
            ]
    return study


def few_readings(rng: np.random.Generator) -> Study:
    """As observed emotions are: some 200 readings in neutral, 20 in happiness, 3 in anger, where
    there is any; every second person comes twice.
    """
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        for session in range(1 + person % 2):
            today = level + rng.normal(0.0, 4.0)
            for state, usual in zip(TESTED_STATES, (200, 20, 3), strict=True):
                if n := int(rng.poisson(usual) * (usual > 3 or rng.random() < 0.8)):
                    group = readings_of(rng, person, session, state, n, today, 1.0, 5.0)
                    study.append(group)
    return study


def doubtful_readings(rng: np.random.Generator) -> Study:
    """In anger the strap loses contact now and then, and says 0."""
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        for state in TESTED_STATES:
            good = readings_of(rng, person, 0, state, 100, level)
            study.append(good)
            if state == Emotion.ANGER and (lost := int(rng.binomial(100, 0.05))):
                study.append(replace(good, flags=LOST, n=lost, total=0.0, largest=0.0))
    return study


def doubled_readings(rng: np.random.Generator) -> Study:
    """In anger the sensor counts twice now and then, and nobody says so."""
    study = []
    for person in range(PEOPLE):
        level = rng.normal(70.0, LEVEL_SD)
        means = {state: level + rng.normal(0.0, REACTION_SD) for state in TESTED_STATES}
        rates = np.concatenate([rng.normal(mean, NOISE_SD, SECONDS) for mean in means.values()])
        states = np.repeat(np.array(list(means), dtype=object), SECONDS)
        doubled = (states == Emotion.ANGER) & (rng.random(len(rates)) < 0.02)
        rates = np.round(np.where(doubled, 2 * rates, rates))
        times = 1000 * np.arange(len(rates))
        far = np.isin(times, list(artefacts(zip(times.tolist(), rates.tolist(), strict=True))))
        for state in TESTED_STATES:
            for is_far, flags in ((False, frozenset()), (True, frozenset({VitalFlag.ARTEFACT}))):
                own = rates[(states == state) & (far == is_far)]
                if len(own):
                    group = readings_of(rng, person, 0, state, len(own), level)
                    total, largest = float(own.sum()), float(own.max())
                    study.append(replace(group, flags=flags, total=total, largest=largest))
    return study


SCENARIOS: dict[str, Callable[[np.random.Generator], Study]] = {
    "unbalanced_dwell": unbalanced_dwell,
    "missing_states": missing_states,
    "two_sessions": two_sessions,
    "own_reactions": own_reactions,
    "doubtful_readings": doubtful_readings,
    "few_readings": few_readings,
    "doubled_readings": doubled_readings,
}
MODELLED = frozenset({"missing_states", "two_sessions", "own_reactions", "few_readings"})
"""Studies that the mixed model judges first, and uneven ones that it judged first before."""


def pooled(study: Iterable[ReadingGroup]) -> Study:
    """Take all sessions of a person for one, and look at no flag."""
    return [replace(group, session=0) for group in study]


def p_values(groups: Sequence[ReadingGroup]) -> list[float]:
    """Return p of each test of the family that could be computed."""
    visits = visits_of(at_equal_times(session_means(groups, QUERY.states)))
    return [one.tests.t.p for one in compare_visits(visits, QUERY) if one.tests is not None]


def model_p_values(groups: Sequence[ReadingGroup]) -> list[float]:
    """Return p of each test of the mixed model."""
    means = session_means(groups)
    _, tests = mixed_models_of(means, compare_visits(visits_of(means), QUERY), QUERY)
    return [test.p for test in tests.values()]


def share_below(p: Sequence[float]) -> float:
    """Return the share of tests with p < 0.05."""
    return float(np.mean(np.array(p) < ALPHA))


def measure(repetitions: int) -> dict[str, float]:
    """Return all figures."""
    figures = {}
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        right: list[float] = []
        naive: list[float] = []
        modelled: list[float] = []
        for repetition in range(repetitions):
            study = scenario(np.random.default_rng([20_261_121, number, repetition]))
            right += p_values(StateReadings(tuple(study)).counting(QUERY.counted))
            naive += p_values(pooled(study))
            if name in MODELLED:
                modelled += model_p_values(study)
        figures[f"false_positives_{name}"] = share_below(right)
        figures[f"false_positives_{name}_pooled"] = share_below(naive)
        if modelled:
            figures[f"false_positives_{name}_model"] = share_below(modelled)
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, repetitions=(1000, ""))
