"""What an analysis makes of sessions whose own neutral is calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery, Outcome, StateBy
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import Notice
from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.measures import MovementKind
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.schema import NAMES
from edge_agent.timeline.read.matching import UNCERTAIN_CATEGORY
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.rollups import per_mille
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import (
    START_MS,
    Row,
    add,
    database,
    instant,
    mostly,
    query,
    reading,
    row,
)

HEART = VitalKind.HEART_RATE
FAINT = Expression((0.68, 0.01, 0.01, 0.01, 0.26, 0.01, 0.01, 0.01))
UNSURE = Expression((0.4, 0.05, 0.05, 0.05, 0.3, 0.05, 0.05, 0.05))


def face(seconds: float, label: Emotion | None, read: Expression) -> Row:
    shown = row(seconds, label, shown=mostly(label or Emotion.NEUTRAL))
    return shown | dict(zip(NAMES, per_mille(read), strict=True))


def study(folder: Path, people: int = 4) -> Path:
    """Each rests from 0 to 20 s, then shows a faint anger, which only the shift finds, from 21 to
    80 s, and neutral until 160 s. The heart is faster by 10 in anger; at rest it is at 200.
    """
    path = database(folder)
    study = Study(path)
    for number in range(people):
        start = number * 200.0
        study.create_participant(f"P-{number}")
        study.give_consent(f"P-{number}", "1")
        session = study.start_session(
            NewSession(f"P-{number}", Purpose.RESEARCH), instant(start)
        ).id
        study.add_marker(MarkerKind.STIMULUS_START, "neutral", instant(start))
        study.end_session(instant(start + 160))
        rested = mostly(Emotion.NEUTRAL)
        rows = [face(start + at, Emotion.NEUTRAL, rested) for at in range(1, 21)]
        rows += [face(start + at, Emotion.ANGER, FAINT) for at in range(21, 81)]
        rows += [face(start + at, Emotion.NEUTRAL, rested) for at in range(81, 160)]
        beats = [200.0] * 20 + [80.0 + number] * 65 + [70.0 + 2 * number] * 75
        add(path, rows, [reading(start + at, beat) for at, beat in enumerate(beats)])
        calibrate_session(path, session, 0, 20)
    return path


def asked(state: StateBy, *vitals: VitalKind | MovementKind) -> AnalysisQuery:
    return AnalysisQuery(
        state=state, vital=vitals or (HEART,), states=("anger", "neutral"), lag_heart_rate=0
    )


def test_plain_labels_are_those_of_the_means_where_the_shift_was_applied(tmp_path: Path) -> None:
    path = study(tmp_path, people=1)
    add(path, [face(159.5, Emotion.SADNESS, UNSURE)])
    reader = Reader(path)
    sessions = reader.session_list()
    shifted = reader.face_labels(sessions)[1]
    plain = reader.face_labels(sessions, plain=True)[1]
    assert np.array_equal(shifted.at_ms, plain.at_ms)
    anger, neutral = EMOTIONS.index(Emotion.ANGER), EMOTIONS.index(Emotion.NEUTRAL)
    assert shifted.held_in(0, 2**62)[[anger, neutral]].tolist() == [60, 80]
    assert plain.held_in(0, 2**62)[[anger, neutral]].tolist() == [0, 140]
    assert plain.categories[-1] == UNCERTAIN_CATEGORY
    assert shifted.at_ms[0] == START_MS + 20_000, "the baseline has no labels"


def test_observed_emotions_are_tested_with_and_without_own_neutral(tmp_path: Path) -> None:
    found = analyse(Reader(study(tmp_path)), asked(StateBy.OBSERVED))
    (test,) = found.answer.comparisons
    assert test.difference is not None
    assert test.n_both == 4
    (plain,) = found.answer.without_own_neutral
    assert (plain.difference, plain.changes) == (None, True)
    answer = response_of(found)
    assert answer.own_neutral_sessions == (1, 2, 3, 4)
    assert Notice.OWN_NEUTRAL in answer.warning_codes
    said = answer.warnings[answer.warning_codes.index(Notice.OWN_NEUTRAL)]
    assert said == (
        "In 4 sessions a baseline calibrated the participant’s own neutral; it is in no test. The "
        "observed emotions after it are shifted. Without the shift 1 test of 1 would reach "
        "another conclusion; see below."
    )
    (told,) = answer.without_own_neutral
    assert told.sentence.endswith(
        "without: no test. The conclusion is another one: it rests on the shift."
    )


def test_baseline_that_calibrates_is_no_condition_of_a_test(tmp_path: Path) -> None:
    path = study(tmp_path)
    found = analyse(Reader(path), asked(StateBy.CONDITION))
    (first, *_) = [mean for mean in found.means if mean.state == "neutral"]
    # 65 readings of 80 and 75 of 70: none of the twenty of 200 at rest
    assert first.mean == pytest.approx((65 * 80 + 75 * 70) / 140, abs=0.1)
    assert found.answer.without_own_neutral == ()
    told = "In 4 sessions a baseline calibrated the participant’s own neutral; it is in no test."
    assert told in response_of(found).warnings


def test_baseline_that_calibrates_stays_what_changes_are_taken_from(tmp_path: Path) -> None:
    path = study(tmp_path)
    for session in range(1, 5):
        ((start,),) = query(path, "SELECT started FROM session WHERE id = ?", session)
        with write_transaction(path) as connection:
            insert(
                connection,
                "marker",
                session=session,
                at=start + 1,
                kind="baseline",
                label="neutral",
            )
    changed = asked(StateBy.CONDITION).model_copy(update={"outcome": Outcome.CHANGE})
    found = analyse(Reader(path), changed)
    # the whole condition, the twenty readings of 200 in it: (20 · 200 + 65 · 80 + 75 · 70) / 160
    assert sorted(found.baselines.values()) == [90.3125, 91.65625, 93.0, 94.34375]


def test_sessions_without_own_neutral_say_nothing_of_it(tmp_path: Path) -> None:
    path = study(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM own_neutral")
    answer = response_of(analyse(Reader(path), asked(StateBy.OBSERVED)))
    assert (answer.own_neutral_sessions, answer.without_own_neutral) == ((), ())
    assert Notice.OWN_NEUTRAL not in answer.warning_codes


@pytest.mark.parametrize(
    ("state", "kind", "second", "is_told"),
    [
        (StateBy.OBSERVED, "expression", ("bb", "fitted"), True),
        (StateBy.OBSERVED, "expression", ("aa", "data"), True),
        (StateBy.OBSERVED, "expression", ("aa", "fitted"), False),
        (StateBy.OBSERVED, "face-movements", ("bb", "none"), False),
        (StateBy.CONDITION, "expression", ("bb", "fitted"), False),
    ],
)
def test_comparison_across_a_change_of_model_or_prior_says_so(
    tmp_path: Path, state: StateBy, kind: str, second: tuple[str, str], is_told: bool
) -> None:
    path = study(tmp_path)
    with write_transaction(path) as connection:
        for since, (sha256, prior) in (
            (START_MS - 1, ("aa", "fitted")),
            (START_MS + 300_000, second),
        ):
            insert(
                connection,
                "model",
                kind=kind,
                name="m",
                version="1",
                sha256=sha256,
                since=since,
                prior=prior,
            )
    answer = response_of(analyse(Reader(path), asked(state)))
    assert (Notice.READING_CHANGED in answer.warning_codes) is is_told
    if is_told:
        said = answer.warnings[answer.warning_codes.index(Notice.READING_CHANGED)]
        assert said == (
            "Faces are read in another way since 21 Sept 2026, 14:25 UTC: the model or its prior "
            "changed between these sessions. A difference may come from the change; compare "
            "sessions on one side of it."
        )


def test_movements_across_a_change_of_their_model_say_so(tmp_path: Path) -> None:
    path = study(tmp_path)
    with write_transaction(path) as connection:
        for since, sha256 in ((START_MS - 1, "aa"), (START_MS + 300_000, "bb")):
            insert(
                connection,
                "model",
                kind="face-movements",
                name="m",
                version="1",
                sha256=sha256,
                since=since,
                prior="none",
            )
    found = analyse(Reader(path), asked(StateBy.CONDITION, MovementKind.SMILE))
    assert Notice.READING_CHANGED in response_of(found).warning_codes
