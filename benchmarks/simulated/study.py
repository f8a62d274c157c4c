"""A simulated study, a thousand times: does the analysis find what is there, and only that?

    python -m benchmarks.simulated.study [--json] [--repetitions N] [--jobs N]

Each repetition is a study of 24 participants, who see three stimuli of 40 s in balanced order: one
without any effect, and one in which anger raises the heart rate by g = 0.8. Frames and readings go
through a real recorder into a database; the reader matches each reading to the emotion that was
observed before it (default window, lag and share), readings become participants' means, and the
means are tested as one family, as the Analysis page does it. The first repetition checks that the
page's own function gives the same p.

Frames and readings are correlated inside people. Heart rate, in 1/min, every 2 s: a participant's
level (sd 7), the participant's own reaction to each stimulus (sd 4, whose mean over people is the
effect), and noise that lasts (autoregressive, sd 3, 0.9 from one reading to the next), all rounded
to whole numbers as straps do. Faces, every 2 s: episodes of 4 to 12 s that show what the stimulus
should bring about, more often in some people (70 to 95 %) than in others; the classifier errs in
some people more often (2 to 15 % of frames) than in others. The body follows the face by 5 s. g =
0.8 is 0.8 standard deviations of a participant's true mean between people, √(7² + 4²) · 0.8 = 6.4
/min.

A further study without effect has a classifier that errs in one state more than in another: it
takes half of the angry faces and a tenth of the happy ones for neutral, and one neutral face in
twenty for a sad one.

Figures:
    false_positive_rate         tests with p < 0.05 among all three tests of all studies without
                                effect
    false_positive_rate_misread the same where misreading differs by state
    family_false_positive_rate  studies without effect in which any Holm-adjusted p is below 0.05
    naive_false_positive_rate   the same tests without effect on single readings (Welch), as if
                                these were independent
    power                       studies with effect in which anger is above neutral with a
                                Holm-adjusted p below 0.05
    power_by_formula            power at p < 0.05 of one paired t-test if no face were misread,
    exact
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks._command import benchmark, say
from benchmarks._sessions import write_session
from dashboard.analysis.analyse import compare
from dashboard.analysis.query import PAIRS, TESTED_STATES, AnalysisQuery, Sample, StateBy
from dashboard.analysis.results import ComparisonModel
from dashboard.statistics.planning import power_of
from dashboard.statistics.t_tests import Method, welch_t
from edge_agent.config.data import RecorderOptions
from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    Box,
    Emotion,
    Expression,
    Face,
    Observation,
    Recognition,
)
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.base import StateReading
from edge_agent.timeline.read.matching import Matching
from edge_agent.timeline.read.observed import match
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.write.recorder import Recorder

PEOPLE = 24
STIMULUS_S = 40
STEP_S = 2
SESSION_S = STIMULUS_S * len(TESTED_STATES)
LEVEL_SD = 7.0
REACTION_SD = 4.0
NOISE_SD = 3.0
NOISE_LASTS = 0.9
BODY_LAG_S = 5
G = 0.8
ALPHA = 0.05
START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
ORDERS = tuple(itertools.permutations(TESTED_STATES))
TIMES = range(STEP_S, SESSION_S, STEP_S)
EFFECT = G * math.hypot(LEVEL_SD, REACTION_SD)
MISREAD: Mapping[Emotion, tuple[float, Emotion]] = {
    Emotion.ANGER: (0.5, Emotion.NEUTRAL),
    Emotion.HAPPINESS: (0.1, Emotion.NEUTRAL),
    Emotion.NEUTRAL: (0.05, Emotion.SADNESS),
}
"""Share of the faces of a state that are taken for another emotion, and for which."""


@dataclass(frozen=True, slots=True)
class SimulatedOutcome:
    """What one repetition came to: counts of tests, families and studies."""

    positives: int
    misread_positives: int
    family_positive: bool
    naive_positives: int
    effect_shown: bool
    readings: int


def session_start(person: int) -> Instant:
    """Return when a person's session starts: a minute after the one before has ended."""
    return START.shift(person * (SESSION_S + 60))


def stimulus_at(person: int, second: float) -> str:
    """Return which stimulus goes on in a person's session."""
    return ORDERS[person % len(ORDERS)][
        min(int(max(second, 0.0)) // STIMULUS_S, len(TESTED_STATES) - 1)
    ]


def write_plan(path: Path) -> None:
    """Write participants, consent, sessions and markers, the same in all repetitions."""
    migrate(path)
    with write_transaction(path) as connection:
        for person in range(PEOPLE):
            start = session_start(person)
            code = f"P{person + 1:02d}"
            stimuli = [
                (str(emotion), number * STIMULUS_S, (number + 1) * STIMULUS_S - 0.1)
                for number, emotion in enumerate(ORDERS[person % len(ORDERS)])
            ]
            write_session(connection, code, start, stimuli, SESSION_S)


def frames(rng: np.random.Generator) -> list[Recognition]:
    """Return what the camera sees of all participants."""
    seen: list[Recognition] = []
    for person in range(PEOPLE):
        start = session_start(person)
        expressive = rng.uniform(0.7, 0.95)
        errs = rng.uniform(0.02, 0.15)
        shown: str = Emotion.NEUTRAL
        until = 0
        for second in TIMES:
            if second >= until or second % STIMULUS_S < STEP_S:
                until = second + int(rng.integers(4, 13))
                meant = rng.random() < expressive
                if meant:
                    shown = stimulus_at(person, second)
                else:
                    shown = TESTED_STATES[rng.integers(len(TESTED_STATES))]
            if rng.random() < errs:
                read = EMOTIONS[rng.integers(len(EMOTIONS))]
            else:
                read = Emotion(shown)
            at = start.shift(second - STEP_S / 2)
            seen.append(Recognition(at, len(seen), 640, 480, (OBSERVATIONS[read],)))
    return seen


def misread_frames(rng: np.random.Generator) -> list[Recognition]:
    """Return what the camera sees where misreading differs by state (``MISREAD``)."""
    return [_misread(recognition, rng.random()) for recognition in frames(rng)]


def _misread(recognition: Recognition, chance: float) -> Recognition:
    emotion = recognition.observations[0].emotion
    if emotion is None or emotion not in MISREAD:
        return recognition
    share, instead = MISREAD[emotion]
    if chance >= share:
        return recognition
    return replace(recognition, observations=(OBSERVATIONS[instead],))


def readings(rng: np.random.Generator, effect: float) -> list[VitalReading]:
    """Return the heart rate of all participants, raised by ``effect`` while anger is shown."""
    taken = []
    for person in range(PEOPLE):
        start = session_start(person)
        level = rng.normal(70.0, LEVEL_SD)
        reactions = {
            state: rng.normal(effect * (state == Emotion.ANGER), REACTION_SD)
            for state in TESTED_STATES
        }
        noise = rng.normal(0.0, NOISE_SD)
        for second, fresh in zip(TIMES, rng.normal(0.0, NOISE_SD, len(TIMES)), strict=True):
            noise = NOISE_LASTS * noise + math.sqrt(1 - NOISE_LASTS**2) * fresh
            value = level + reactions[stimulus_at(person, second - BODY_LAG_S)] + noise
            at = start.shift(second + 0.5)
            taken.append(VitalReading(at, VitalKind.HEART_RATE, float(round(value)), "strap"))
    return taken


def record(path: Path, items: Iterable[Recognition | VitalReading]) -> None:
    """Send everything through a recorder."""
    recorder = Recorder(
        path, RecorderOptions.model_construct(interval=STEP_S, batch_rows=1000, batch_seconds=3600)
    )
    for item in items:
        recorder.submit(item)
    recorder.start()
    recorder.stop()
    if not recorder.join(600) or recorder.error or recorder.dropped or recorder.queue_depth:
        raise SystemExit(f"the recorder failed: {recorder.error}")


def matched(path: Path) -> list[StateReading]:
    """Return the single readings with the emotion that was observed before each."""
    reader = Reader(path)
    readings = reader.session_readings(None, [VitalKind.HEART_RATE])
    return match(readings, reader.face_labels(reader.session_list()), Matching())[0]


def compared(path: Path) -> tuple[ComparisonModel, ...]:
    """Test the means by observed emotion as the Analysis page does: all pairs, one family."""
    query = AnalysisQuery(
        state=StateBy.OBSERVED, sample=Sample.MEASURED, vital=(VitalKind.HEART_RATE,)
    )
    return compare(Reader(path), query)


def naive_positives(readings: Sequence[StateReading]) -> int:
    """Count pairs of states that differ at p < 0.05 if every reading counts as a participant."""
    values = {
        state: [reading.value for reading in readings if reading.state == state]
        for state in TESTED_STATES
    }
    return sum(welch_t(values[first], values[second]).p < ALPHA for first, second in PAIRS)


def p_values(comparisons: Iterable[ComparisonModel]) -> list[float]:
    """Return the unadjusted p of each comparison that has one."""
    return [comparison.p for comparison in comparisons if comparison.p is not None]


def repeat(plan: Path, number: int) -> SimulatedOutcome:
    """Carry out one study without and one with an effect; both have the same faces."""
    rng = np.random.default_rng([20_261_120, number])
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / DATABASE_NAME
        effective = Path(name) / "effect" / DATABASE_NAME
        misread = Path(name) / "misread" / DATABASE_NAME
        for path in (effective, misread):
            path.parent.mkdir()
        shutil.copyfile(plan, plain)
        record(plain, frames(rng))
        shutil.copyfile(plain, effective)
        record(plain, readings(rng, 0.0))
        record(effective, readings(rng, EFFECT))
        other = np.random.default_rng([20_261_121, number])
        shutil.copyfile(plan, misread)
        record(misread, misread_frames(other))
        record(misread, readings(other, 0.0))
        matching = matched(plain)
        without = compared(plain)
        effect = compared(effective)
        by_misread = compared(misread)
    anger = effect[PAIRS.index((Emotion.ANGER, Emotion.NEUTRAL))]
    return SimulatedOutcome(
        positives=sum(p < ALPHA for p in p_values(without)),
        misread_positives=sum(p < ALPHA for p in p_values(by_misread)),
        family_positive=any(c.holm_p is not None and c.holm_p < ALPHA for c in without),
        naive_positives=naive_positives(matching),
        effect_shown=anger.holm_p is not None
        and anger.holm_p < ALPHA
        and (anger.difference or 0.0) > 0,
        readings=len(matching),
    )


def figures(outcomes: Sequence[SimulatedOutcome]) -> dict[str, float]:
    """Return the rates over all repetitions."""
    positives, misread, family, naive, power, used = np.mean(
        [astuple(outcome) for outcome in outcomes], axis=0
    ).tolist()
    return {
        "false_positive_rate": positives / len(PAIRS),
        "false_positive_rate_misread": misread / len(PAIRS),
        "family_false_positive_rate": family,
        "naive_false_positive_rate": naive / len(PAIRS),
        "power": power,
        "power_by_formula": power_of(Method.PAIRED, PEOPLE, EFFECT / (REACTION_SD * math.sqrt(2))),
        "study_matched_readings": used,
        "study_repetitions": float(len(outcomes)),
    }


def run(repetitions: int, jobs: int) -> dict[str, float]:
    """Repeat the study in several processes; progress goes to stderr."""
    outcomes: list[SimulatedOutcome] = []
    with tempfile.TemporaryDirectory() as name:
        plan = Path(name) / DATABASE_NAME
        write_plan(plan)
        with ProcessPoolExecutor(jobs) as pool:
            for outcome in pool.map(
                repeat, itertools.repeat(plan), range(repetitions), chunksize=5
            ):
                outcomes.append(outcome)
                if len(outcomes) % 50 == 0:
                    say(f"{len(outcomes)} of {repetitions}")
    return figures(outcomes)


def _observation(emotion: Emotion) -> Observation:
    rest = 0.2 / (len(EMOTIONS) - 1)
    seen = Expression(tuple(0.8 if other is emotion else rest for other in EMOTIONS))
    return Observation(1, Face(Box(10, 10, 100, 120), 0.9, ()), seen, seen, emotion, True, 0.8)


OBSERVATIONS = {emotion: _observation(emotion) for emotion in EMOTIONS}


if __name__ == "__main__":
    jobs = (os.cpu_count() or 1, "processes (default: one a core)")
    benchmark(__doc__, run, repetitions=(1000, ""), jobs=jobs)
