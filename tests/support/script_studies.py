"""Studies whose bundles the scripts are run on, and what is asked of them."""

from __future__ import annotations

import math
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.analysis.query import DOUBTS, AnalysisQuery
from dashboard.analysis.rendering.tables import groups_of
from dashboard.analysis.results import AnalysisModel
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.own_neutral import calibrate_session
from tests.support.studies import DIASTOLIC, HEART, SYSTOLIC, States, add_session, add_stimuli
from tests.support.timeline import Row, movement_row, query, reading, row, timeline

STATES = ("anger", "happiness", "neutral")
_SESSION_S = 3600.0
INTERVALS = VitalKind.RR_INTERVAL
Make = Callable[[Path], None]
"""Makes the study at the path of its database."""


def example(path: Path) -> None:
    """The example study."""
    migrate(path)
    seed_example_study(path, SimulatedPerson)


def few(path: Path) -> None:
    """Ties, a constant difference, missing states, other labels, flags, several sessions, groups
    without pairs.
    """
    rng = random.Random(3)
    for number in range(9):
        code = f"P-{number:02d}"
        states: tuple[str, ...] = ("anger" if number < 7 else "neutral",)
        if number < 5:
            states = ("Anger", "HAPPINESS ", "neutral")
        values: States = {
            state: {
                HEART: [float(60 + (number * 3 + len(state)) % 7)],  # ties
                # the same difference in everybody
                SYSTOLIC: [110.0 + number + (5.0 if state == "Anger" else 0.0)],
                DIASTOLIC: [70 + rng.gauss(0, 8) for _ in range(3)],
            }
            for state in states
        }
        add_session(path, code, {**values, "disgust": {HEART: [99.0]}})
    add_session(path, "P-00", {"anger": {HEART: [90.5, 91.25]}})
    add_session(path, "P-01", {"anger": {HEART: [260.0]}}, flags=[VitalFlag.OUT_OF_RANGE])
    add_session(path, "P-02", {"neutral": {HEART: [55.0]}}, flags=[VitalFlag.ESTIMATED])
    for session in range(1, 6):
        start = 3600.0 * (session - 1)
        said: list[Row] = [{"session": session, "at": start + 270, "value": 3}]
        for number, state in enumerate(STATES):
            told = {"condition": state, "scale": "emotion", "value": state}
            said.append({"session": session, "at": start + 260 + 300 * number, **told})
        timeline(path, self_report=said)


def sessions(path: Path) -> None:
    """Several sessions of a person of different level and length, states that are missing or never
    in one session, flags of each kind, and readings before anything has settled.
    """
    rng = random.Random(9)
    flags = [(), (), (), *([flag] for flag in DOUBTS), [VitalFlag.MANUAL]]
    migrate(path)
    for number in range(11):
        code = f"P-{number:02d}"
        for visit in range(1 + number % 3):
            states = STATES if number < 5 or visit else STATES[number % 3 :]
            level = rng.gauss(95, 6)  # in the range of all three: an import flags what is not
            values: States = {
                state: {
                    kind: [level + rng.gauss(0, 4) for _ in range(rng.randrange(1, 9))]
                    for kind in (HEART, SYSTOLIC, DIASTOLIC)
                }
                for state in states
            }
            add_session(path, code, values, flags=flags[(3 * number + visit) % len(flags)])
    for state in STATES:
        add_session(path, "P-90", {state: {HEART: [rng.gauss(70, 9)], SYSTOLIC: [120.0]}})
    for number in range(6):
        order = rng.sample(STATES, 3)
        add_stimuli(path, f"Q-{number}", {s: [rng.gauss(80, 9) for _ in range(40)] for s in order})


def left_out(path: Path) -> None:
    """The example study, of which a session, the middle of a stimulus, a whole stimulus and the
    time before one are left out, and a part of a stimulus calibrated the participant's own neutral.
    """
    example(path)
    starts = "SELECT at FROM marker WHERE session = ? AND kind = 'stimulus_start' ORDER BY at"
    leave_out(path, 2, None, reason="=the camera, moved", actor="ada")
    for session, place, after, before in ((1, 0, 20, 40), (3, 1, 0, 120), (4, 2, -15, 5)):
        at = query(path, starts, session)[place][0]
        span = (at + 1000 * after, at + 1000 * before)
        leave_out(path, session, span, reason="phone rang", actor="ada")
    calibrate_session(path, 5, 70, 90)


def turns(path: Path) -> None:
    """Faces take turns while the heart calms down, and show more and more anger; in the first two
    sessions each emotion comes in one piece, anger last, and nobody
    has a cuff. Every tenth reading has a flag that counts.
    """
    rng = random.Random(12)
    migrate(path)
    shown, readings = [], []
    for number in range(9):
        add_session(path, f"P-{number}", {"baseline": {}})
        level = rng.gauss(80, 7)
        face = Emotion.NEUTRAL
        for second in range(600):
            if number < 2:
                face = (Emotion.HAPPINESS, Emotion.NEUTRAL, Emotion.ANGER)[second // 200]
            elif second % 20 == 0:
                others = (Emotion.HAPPINESS, Emotion.NEUTRAL)
                face = Emotion.ANGER if rng.random() < 0.1 + second / 1200 else rng.choice(others)
            at = 3600.0 * number + second
            shown.append(row(at, face))
            flags = [VitalFlag.MANUAL] if second % 10 == 0 else []
            value = level - second / 75 + (1.5 if face is Emotion.ANGER else 0.0) + rng.gauss(0, 3)
            readings.append(reading(at + 0.4, value, flags=flags))
            if number > 1 and second % 25 == 0:
                readings.append(reading(at + 0.4, value + 40, SYSTOLIC, "cuff"))
    timeline(path, expression=shown, vital=readings)


def groups(path: Path) -> None:
    """Nobody has two states: Welch's test of groups of unequal size and spread."""
    rng = random.Random(5)
    sizes = (("anger", 4, 9.0), ("happiness", 7, 2.0), ("neutral", 5, 4.0))
    for place, (state, people, spread) in enumerate(sizes):
        for number in range(people):
            readings = {
                kind: [rng.gauss(80 + 4 * place, spread)] for kind in (HEART, SYSTOLIC, DIASTOLIC)
            }
            add_session(path, f"{state[0].upper()}-{number}", {state: readings})


def many(path: Path) -> None:
    """So many people that ranks are no longer counted one by one.

    Values far from and near each other.
    """
    rng = random.Random(8)
    for number in range(55):
        states: States = {
            state: {
                HEART: [rng.gauss(70, 9)],
                SYSTOLIC: [1e12 * rng.lognormvariate(0, 1)],
                DIASTOLIC: [1e-9 * rng.random()],
            }
            for state in STATES
        }
        add_session(path, f"P-{number:02d}", states)


def tenths(path: Path) -> None:
    """Readings to one decimal, with differences of ± 0.2 and ± 0.3 that floating point does not
    give exactly, and groups that share values up to their last bits.
    """
    rng = random.Random(9)
    for number in range(12):
        level = rng.randrange(500, 1300)
        first = level + rng.choice((-3, -2, 2, 3))
        shared = rng.randrange(1, 9)
        states: States = {
            "anger": {HEART: [first / 10], SYSTOLIC: [0.1 * shared + 0.2]},
            "neutral": {HEART: [level / 10], SYSTOLIC: [(shared + rng.choice((2, 5))) / 10]},
        }
        state = "anger" if number % 2 else "neutral"
        add_session(path, f"P-{number:02d}", {**states, state: states[state]})
        add_session(path, f"Q-{number:02d}", {state: {DIASTOLIC: states[state][SYSTOLIC]}})


def equal(path: Path) -> None:
    """Differences that are the same in everybody, but for the last bits of a double: none, in the
    heart rate, and 0.3, in the systolic pressure; and groups that do not vary.
    """
    for number in range(13):
        low = 60.1 + 0.7 * number
        states: States = {
            "anger": {HEART: [low, low + 0.2, low + 0.1], SYSTOLIC: [low + 50.3]},
            "neutral": {HEART: [low + 0.1], SYSTOLIC: [low + 50.0]},
        }
        add_session(path, f"P-{number}", states)
        state = "anger" if number % 2 else "neutral"
        shared = [70.1, 70.2, 70.3] if number % 2 else [70.2]
        add_session(path, f"Q-{number}", {state: {DIASTOLIC: shared}})


def two_sensors(path: Path) -> None:
    """A strap and a watch that reads 9 more; here the one, there the other has more readings, and
    some of the strap's are in doubt.
    """
    rng = random.Random(4)
    for number in range(8):
        code = f"P-{number:02d}"
        level = rng.gauss(70, 9)

        def by(bias: float, count: int, level: float = level) -> States:
            return {
                s: {HEART: [level + bias + rng.gauss(0, 4) for _ in range(count)]} for s in STATES
            }

        watch = by(9.0, 3 + number % 4)
        if number == 3:
            watch = {state: kinds for state, kinds in watch.items() if state != "anger"}
        flags = [VitalFlag.CONTACT_LOST] if number == 5 else []
        add_session(path, code, by(0.0, 4), flags=flags, second=("watch", watch))
        add_session(path, code, by(9.0, 5), source="watch")


def one_order(path: Path) -> None:
    """Hearts that calm down; of twenty people fourteen met neutral before anger, so that time takes
    from anger what it adds.
    """
    rng = random.Random(7)
    for number in range(20):
        level = rng.gauss(70, 8)
        order = ("neutral", "anger") if number % 10 < 7 else ("anger", "neutral")
        # Own lengths of the first condition: else all gaps are the same five minutes.
        first = [*order, "happiness"] if number % 3 else [order[0], "happiness", order[1]]
        values: States = {
            state: {
                kind: [level + 3 * (state == "anger") - 2 * place + rng.gauss(0, 1.5)]
                for kind in (HEART, SYSTOLIC)
            }
            for place, state in enumerate(first)
        }
        add_session(path, f"P-{number:02d}", values)


def places(path: Path) -> None:
    """Hearts that calm down fast at first, among other conditions; most people have one order. A
    first stimulus is left out entirely, a state comes back in one session, and who comes twice has
    another order then.
    """
    rng = random.Random(8)
    migrate(path)
    for number in range(17):
        level = rng.gauss(70, 8)
        order = ["neutral", "happiness", "anger"]
        if number % 10 > 6:
            rng.shuffle(order)
        for visit in range(1 + (number == 3)):
            met = ["baseline", *(order[::-1] if visit else order)]
            met.insert(2, "pause")
            if number == 5:
                met.append(met[1].upper())
            values: States = {
                state: {
                    kind: [level + 12 * 0.4**place + rng.gauss(0, 1.5)]
                    for kind in (HEART, SYSTOLIC)
                }
                for place, state in enumerate(met)
            }
            add_session(path, f"P-{number:02d}", values)
    first = query(path, "SELECT at FROM marker WHERE session = 2 AND kind = 'stimulus_start'")[0][0]
    leave_out(path, 2, (first, first + 300_000), reason="phone rang", actor="ada")


def coming_back(path: Path) -> None:
    """Each state comes twice while hearts calm down, and most people have neutral first."""
    rng = random.Random(14)
    for number in range(16):
        level = rng.gauss(70, 8)
        order = ("neutral", "anger") if number % 4 else ("anger", "neutral")
        met = (*order, *(state.upper() for state in order))
        values: States = {
            state: {HEART: [level - 2 * place + rng.gauss(0, 1.5)]}
            for place, state in enumerate(met)
        }
        add_session(path, f"P-{number:02d}", values)


def beats(path: Path) -> None:
    """Four people with heart rate, intervals between beats and skin conductance in two states."""
    rng = random.Random(11)
    timeline(path, vital=list(_conductance(4)))
    for number in range(4):
        values: States = {
            state: {
                HEART: [rng.gauss(70, 5)],
                INTERVALS: [1 + rng.gauss(0, spread) for _ in range(150)],
            }
            for state, spread in (("neutral", 0.03), ("anger", 0.02))
        }
        add_session(path, f"P-{number}", values)


def _conductance(people: int) -> Iterator[VitalReading]:
    """Yield skin conductance of the first two conditions, with a wave as long as their number."""
    for number in range(people):
        for place in range(2400):
            wave = math.sin(place / (4 + place // 1200 + number / 3))
            at = _SESSION_S * number + 10 + place / 4
            yield reading(at, 5 + 0.2 * wave, VitalKind.SKIN_CONDUCTANCE, "bridge")


def rested(path: Path) -> None:
    """Groups whose people have a baseline each, but one."""
    rng = random.Random(9)
    for number in range(9):
        level = rng.gauss(70, 9)
        state = "anger" if number < 5 else "neutral"
        first = {} if number == 8 else {"baseline": {HEART: [level + rng.gauss(0, 1)]}}
        add_session(path, f"P-{number}", {**first, state: {HEART: [level + rng.gauss(3, 2)]}})


def moved(path: Path) -> None:
    """Faces that smile in happiness, with a row before the stimulus settled, a bystander, and rows
    of other programs, which do not tell all.
    """
    rng = random.Random(12)
    for number in range(7):
        states = STATES[: 2 if number == 6 else 3]
        add_session(path, f"P-{number}", {state: {HEART: [rng.gauss(70, 9)]} for state in states})
        rows = []
        for place, state in enumerate(states):
            begin = 3600.0 * number + 10 + 300 * place
            smile = 0.6 if state == "happiness" else 0.1
            rows.append(movement_row(begin + 0.5, smile=1.0, yaw=80.0))
            rows.append(movement_row(begin + 30, primary=False, smile=1.0))
            for second in range(2, 20 + number):
                strength = min(1.0, max(0.0, rng.gauss(smile, 0.1)))
                rows.append(movement_row(begin + second, smile=strength, yaw=rng.gauss(-4, 6)))
            rows.append(movement_row(begin + 25, source="py-feat", unread="yaw", smile=0.9))
        if not number:
            rows = [{**row, "source": "OpenFace", "jaw_open": None} for row in rows]
        timeline(path, movement=rows)


def unpacked(make: Make, folder: Path) -> tuple[Path, Path]:
    """Make a study and its bundle in an empty folder; return the database and the bundle."""
    database = folder / "affect-edge.db"
    make(database)
    file = BUNDLE.export(database, folder / "bundle.zip", ExportChoice())[0]
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "bundle")
    return database, folder / "bundle"


@dataclass(frozen=True)
class Question:
    """What is asked of page and scripts alike."""

    make: Callable[[Path], None]
    words: tuple[str, ...] = ()

    @property
    def query(self) -> AnalysisQuery:
        given: dict[str, Any] = {}
        words = list(self.words)
        while words:
            name = words.pop(0).removeprefix("--").replace("-", "_")
            if name in {"count_flagged", "prefer_source", "states", "family", "vital"}:
                given[name] = (*given.get(name, ()), words.pop(0))
            else:
                given[name] = True if name in {"leave_out_flagged", "estimated"} else words.pop(0)
        if "session" in given:
            given |= {"sample": "selected", "session": (given["session"],)}
        return AnalysisQuery.model_validate(given)


QUESTIONS = {
    "example": Question(example),
    "example-observed": Question(example, ("--state", "observed")),
    "example-two-states": Question(example, ("--states", "Happiness", "--states", "anger")),
    "example-families": Question(
        example, ("--family", "systolic, diastolic", "--family", "heart_rate: anger, neutral")
    ),
    "example-observed-families": Question(
        example,
        ("--state", "observed", "--family", "All: Anger, neutral; heart_rate: happiness, neutral"),
    ),
    "few-other-states": Question(
        few, ("--states", "neutral", "--states", "disgust", "--states", "ANGER", "--states", "fear")
    ),
    "example-reported": Question(
        example, ("--state", "reported", "--correction", "benjamini_hochberg")
    ),
    "few": Question(few, ("--bound-heart-rate", "2.5", "--bound-pressure", "1")),
    "few-without-flagged": Question(few, ("--leave-out-flagged", "--estimated")),
    "few-reported": Question(few, ("--state", "reported", "--design", "paired")),
    "sessions": Question(sessions),
    "sessions-counted": Question(
        sessions,
        ("--count-flagged", "contact_lost", "--count-flagged", "out_of_range", "--estimated"),
    ),
    "sessions-settling": Question(
        sessions, ("--settling-heart-rate", "2.5", "--settling-pressure", "62")
    ),
    "groups": Question(groups, ("--design", "independent")),
    "many": Question(many),
    "tenths": Question(tenths),
    "equal": Question(equal),
    "two-sensors": Question(two_sensors),
    "two-sensors-preferred": Question(two_sensors, ("--prefer-source", "watch")),
    "movements": Question(
        moved, ("--vital", "heart_rate", "--vital", "smile", "--vital", "yaw", "--vital", "frown")
    ),
    "faces": Question(
        left_out,
        (
            *("--vital", "anger", "--vital", "valence", "--vital", "labelled_anger"),
            *("--vital", "labelled_happiness", "--vital", "sam_valence", "--vital", "sam_arousal"),
        ),
    ),
    "left-out": Question(left_out),
    "left-out-observed": Question(left_out, ("--state", "observed")),
    "turns-observed": Question(turns, ("--state", "observed")),
    "left-out-reported": Question(left_out, ("--state", "reported")),
    "one-order": Question(one_order, ("--correction", "benjamini_hochberg")),
    "places": Question(places, ("--design", "paired")),
    "places-model": Question(places),
    "coming-back": Question(coming_back),
    "nobody": Question(migrate),
    "one-session": Question(few, ("--session", "1")),
}


def shown_by(answer: AnalysisModel) -> list[tuple[str, ...]]:
    """The rows of the page's table of tests."""
    rows = [row for group in groups_of(answer) for row in group.rows]
    names = (
        "comparison", "test", "n", "left_out", "difference", "interval", "t", "df", "p",
        "adjusted_p", "g", "g_interval", "shapiro", "rank", "adjusted_rank", "equivalence",
        "adjusted_equivalence", "needed", "bayes_factor",
    )  # fmt: skip
    return [tuple(getattr(row, name) for name in names) for row in rows]


def printed_rows(text: str) -> list[tuple[str, ...]]:
    """The same rows as a script printed them."""
    table = text.rpartition("The t-tests in full:\n")[2].partition("\nIntervals between beats")[0]
    lines = [
        tuple(cell.strip() for cell in line.split("|"))
        for line in table.splitlines()
        if " | " in line
    ]
    width = len(lines[0])
    return [line + ("",) * (width - len(line)) for line in lines[1:]]
