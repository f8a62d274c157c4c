"""Coupling of face and vital beside others at the same stimuli: found, explained, refused."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from starlette.testclient import TestClient

from dashboard.__main__ import main as dashboard
from dashboard.analysis.readings.series import CountedSeries
from dashboard.questions.coupling.answer import CouplingModel, CouplingQuery, Disturbance, NotTested
from dashboard.questions.coupling.presentations import held_of
from dashboard.questions.coupling.question import answer as answer_to
from dashboard.questions.entry import Inquiry
from dashboard.statistics.responses import Reals
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Purpose, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.exclusions import leave_out
from tests.support.studies import read_otherwise
from tests.support.timeline import Row, expression, instant, reading, row, session_row, timeline

APART_S = 1000
SECONDS = 240
FOLLOWS_S = 4
MOTION_S = 5


def face(at: float, happiness: float) -> Row:
    """A row of a face that is happy so much, and else neutral."""
    return row(at, shown=expression(happiness=happiness, neutral=1 - happiness), interval_ms=1000)


def study(
    folder: Path,
    people: int,
    follows: float = 6.0,
    *,
    stimuli: Sequence[tuple[float, float, str]] = ((0, SECONDS, "film"),),
    film: Reals | None = None,
    moved: Reals | None = None,
    turned: bool = False,
    worn: bool = False,
    apart_s: int = 1,
) -> Path:
    """Write a session for each person: happiness wanders, and the heart follows it by 4 s.

    Args:
        folder: where.
        people: how many.
        follows: by how much the heart follows.
        stimuli: start, end and label of each, from the start of a session.
        film: what the faces of all do, and their hearts ten times as much 4 s later.
        moved: the same of each person, at the same time.
        turned: whether the head's pose is recorded, which turns by as many degrees a second.
        worn: whether the wearer's motion is recorded, then at times of each person's own.
        apart_s: seconds from one reading of the heart to the next.
    """
    sessions, faces, readings, poses = [], [], [], []
    shared = np.zeros(SECONDS) if film is None else film
    for person in range(people):
        start = person * APART_S
        rng = np.random.default_rng(person)
        happy = 0.5 + 0.45 * np.tanh(np.cumsum(rng.normal(0, 0.3, SECONDS)))
        heart = 70 + person + rng.normal(0, 1.5, SECONDS)
        heart[FOLLOWS_S:] += follows * happy[:-FOLLOWS_S] + 10 * shared[:-FOLLOWS_S]
        own = np.zeros(SECONDS) if moved is None else rng.permutation(moved)
        if worn:
            motion = rng.lognormal(1, 0.3, SECONDS // MOTION_S)
            own = np.zeros(SECONDS) if moved is None else np.roll(moved, rng.integers(SECONDS))
            motion += 60 * own.reshape(-1, MOTION_S).mean(axis=1)
            readings += [
                reading(start + MOTION_S * (place + 1), round(value, 1), VitalKind.BODY_MOTION)
                for place, value in enumerate(motion.tolist())
            ]
        happy = np.clip(happy * (follows > 0 or 0.3) + shared + 0.5 * own, 0, 1)
        heart += 10 * own
        shown = [(start + first, start + last, label) for first, last, label in stimuli]
        sessions.append(session_row(start, start + SECONDS, *shown, participant=f"P{person:02d}"))
        at_rest = rng.integers(-20, 21, SECONDS)
        for second in range(SECONDS):
            faces.append(face(start + second + 1, float(happy[second])))
            if second % apart_s == 0:
                readings.append(reading(start + second + 0.5, round(float(heart[second]), 1)))
            if turned:
                yaw = int(at_rest[second] + 300 * own[second] * (1 if second % 2 else -1))
                poses.append({"at": start + second + 1, "yaw": yaw})
    return timeline(folder, session=sessions, expression=faces, vital=readings, movement=poses)


def waves(at: int) -> Reals:
    """Return six rises of the whole audience."""
    return np.asarray(0.5 * np.exp(-(((np.arange(at) % 40) - 15) ** 2) / 30), np.float64)


def starts(seconds: int) -> Reals:
    """Return a movement in every tenth second or so."""
    return np.asarray(np.arange(seconds) % 10 == 0, np.float64)


def bouts(seconds: int) -> Reals:
    """Return movements of seven seconds, at uneven distances."""
    at = np.arange(seconds)
    return np.asarray(at % 61 < 7, np.float64) + (at % 83 < 7)


def answer(path: Path, **question: object) -> CouplingModel:
    return answer_to(Inquiry((("", path),), CouplingQuery.model_validate(question)))


def test_coupling_that_is_there_is_reported_with_one_value_a_person(tmp_path: Path) -> None:
    path = study(tmp_path, 8)
    found = answer(path, measure="happiness", lag=FOLLOWS_S, lags=10)
    assert (len(found.people), found.step_s, found.lag_s, found.df) == (8, 1.0, 4.0, 7)
    assert [one.pairs for one in found.people] == [SECONDS - FOLLOWS_S] * 8
    mean_z = sum(math.atanh(one.r) for one in found.people) / 8
    assert found.r == pytest.approx(math.tanh(mean_z), abs=1e-12)
    assert found.shown and found.r is not None and found.r > 0.5 and found.repeated_r is not None
    assert max(found.lags, key=lambda one: one.r).lag_s == FOLLOWS_S
    assert (found.flips, found.is_exact, found.lags_people) == (256, True, 8)
    assert (found.stimuli, {one.others for one in found.people}) == (1, {7})
    assert found.r_others is not None and abs(found.r_others) < 0.2
    differences = [one.difference for one in found.people if one.difference is not None]
    assert found.difference == pytest.approx(sum(differences) / 8, abs=1e-12)
    # SciPy: one value a person
    test = stats.ttest_1samp(differences, 0)
    assert (found.t, found.p) == pytest.approx((test.statistic, test.pvalue), rel=1e-9)
    told = found.sentences[0]
    assert told.startswith(
        "Probability of happiness and heart rate 4 s after it go together more than with others at "
        "the same stimuli: mean r = "
    )
    assert "people who did not, or of a movement that nobody recorded" in told
    assert "is no cause" in found.notes[0]
    assert "No movement of the head was recorded" in found.notes[2]


def test_coupling_that_everybody_has_with_a_film_is_not_reported(tmp_path: Path) -> None:
    found = answer(
        study(tmp_path, 8, 0.0, film=waves(SECONDS)), measure="happiness", lag=FOLLOWS_S, lags=6
    )
    assert found.r is not None and found.r > 0.5 and found.r_others is not None
    assert found.r_others == pytest.approx(found.r, abs=0.1), "others' hearts follow it as well"
    assert not found.shown and found.p is not None and found.p > 0.05
    assert all(one.p is not None and one.p > 0.05 for one in found.lags)
    assert "no association beyond that with others at the same stimuli" in found.sentences[0]


def test_coupling_without_others_at_the_stimuli_is_described(tmp_path: Path) -> None:
    found = answer(study(tmp_path, 4, stimuli=()), measure="happiness", lag=FOLLOWS_S, lags=10)
    assert (found.refused, found.p, found.low, found.shown) == (
        NotTested.NO_OTHERS,
        None,
        None,
        False,
    )
    assert found.r is not None and found.r > 0.5
    assert all(one.p is None and one.low is None for one in found.lags)
    assert "described and not tested" in found.sentences[0]
    assert found.sentences[-1].endswith("It is not tested.")


def test_coupling_beside_a_movement_that_goes_with_both_is_not_tested(tmp_path: Path) -> None:
    path = study(tmp_path, 8, 0.0, moved=starts(SECONDS), turned=True)
    found = answer(path, measure="happiness", lag=0, lags=5)
    assert (found.refused, found.p, found.low) == (NotTested.MOVEMENT, None, None)
    assert {one.kind for one in found.disturbances if one.explains} == {
        Disturbance.HEAD_MOVEMENT,
        Disturbance.HEAD_POSE,
    }
    assert all(one.p is None for one in found.lags)
    assert "how fast the head moved went with the face" in found.sentences[0]
    assert "with others at the same stimuli" in found.sentences[0]


def test_coupling_beside_a_still_head_is_tested(tmp_path: Path) -> None:
    found = answer(study(tmp_path, 8, turned=True), measure="happiness", lag=FOLLOWS_S)
    assert found.shown
    assert {one.kind for one in found.disturbances} == {
        Disturbance.HEAD_MOVEMENT,
        Disturbance.HEAD_POSE,
    }
    assert not any(one.explains for one in found.disturbances)
    assert "Movements of the head were recorded" in found.notes[2]


def test_coupling_beside_motion_that_goes_with_both_is_not_tested(tmp_path: Path) -> None:
    path = study(tmp_path, 8, 0.0, moved=bouts(SECONDS), worn=True)
    found = answer(path, measure="happiness", lag=0)
    assert (found.refused, found.p) == (NotTested.MOVEMENT, None)
    (motion,) = (one for one in found.disturbances if one.explains)
    assert (motion.kind, motion.people) == (Disturbance.BODY_MOTION, 8)
    assert "how much the wearer moved went with the face" in found.sentences[0]


def test_coupling_beside_unrelated_motion_is_tested_and_knows_it(tmp_path: Path) -> None:
    found = answer(study(tmp_path, 8, worn=True), measure="happiness", lag=FOLLOWS_S)
    assert found.shown and found.knows_motion
    assert "nobody recorded" not in found.sentences[0]
    assert "The motion of the wearer was recorded." in found.notes[2]
    other = answer(tmp_path / "affect-edge.db", vital="body_motion", measure="happiness")
    assert Disturbance.BODY_MOTION not in {one.kind for one in other.disturbances}
    assert other.knows_motion


def test_value_of_motion_is_held_for_the_seconds_before_it() -> None:
    session = Session(1, "P1", Purpose.RESEARCH, "", 0, None)
    times, values = np.array([5000, 10_200]), np.array([3.0, 40.0])
    at_ms, held = held_of(
        CountedSeries(session, VitalKind.BODY_MOTION, "strap", times, values, simulated=False)
    )
    assert at_ms.tolist() == [*range(500, 5000, 1000), *range(5700, 10_200, 1000)]
    assert held.tolist() == [3.0] * 5 + [40.0] * 5


def test_coupling_lays_stimuli_on_each_other_whatever_their_order(tmp_path: Path) -> None:
    path = study(
        tmp_path, 3, stimuli=((10, 80, "a"), (90, 150, "b"), (160, 230, "a")), film=waves(SECONDS)
    )
    stimuli = Reader(path).stimuli([1])
    assert [(one.condition, one.presentation) for one in stimuli] == [("a", 1), ("b", 1), ("a", 2)]
    found = answer(path, measure="happiness", lag=FOLLOWS_S)
    # the rows of the face stand in the middle of their second: bins of 70, 60 and 70 s, less 4 each
    assert [one.pairs for one in found.people] == [66 + 56 + 66] * 3
    assert found.stimuli == 3
    leave_out(path, 1, (instant(10).wall_ms, instant(80).wall_ms), reason="coughed", actor="ada")
    assert [one.presentation for one in Reader(path).stimuli([1])] == [1, 2]
    assert [one.pairs for one in answer(path, measure="happiness", lag=FOLLOWS_S).people] == [
        56 + 66,
        66 + 56 + 66,
        66 + 56 + 66,
    ]


@pytest.mark.parametrize(("asked", "used"), [(5, 6), (-5, -6), (3, 4), (4.9, 4), (4, 4), (0, 0)])
def test_coupling_in_bins_of_two_seconds_says_which_lag_was_used(
    tmp_path: Path, asked: float, used: float
) -> None:
    found = answer(study(tmp_path, 3, apart_s=2), measure="happiness", lag=asked)
    assert (found.step_s, found.lag_s) == (2.0, used)
    where = f"{abs(used)} s {'before' if used < 0 else 'after'} it" if used else ""
    assert where in found.sentences[0]


def test_coupling_with_the_camera_pulse_counts_only_when_asked_for(tmp_path: Path) -> None:
    path = study(tmp_path, 0)
    for person in range(3):
        start = person * APART_S
        rng = np.random.default_rng(person)
        values = rng.uniform(0.1, 0.9, SECONDS)
        timeline(
            path,
            session=[session_row(start, start + SECONDS, participant=f"C{person}")],
            expression=[face(start + n + 1, one) for n, one in enumerate(values.tolist())],
            vital=[
                reading(
                    start + n + 0.5,
                    70 + 5 * one,
                    VitalKind.HEART_RATE,
                    "camera_pulse",
                    [VitalFlag.ESTIMATED],
                )
                for n, one in enumerate(rng.uniform(0, 1, SECONDS).tolist())
            ],
        )
    assert answer(path, measure="happiness").refused is NotTested.NO_PAIRS
    assert len(answer(path, measure="happiness", estimated=True).people) == 3


def test_coupling_of_two_people_and_without_variation_is_not_tested(tmp_path: Path) -> None:
    few = answer(study(tmp_path, 2), measure="happiness")
    assert (few.refused, few.p) == (NotTested.TOO_FEW, None)
    assert few.sentences[0].endswith("2 people. A test needs 3 people at the least.")
    flat = answer(tmp_path / "affect-edge.db", measure="fear")
    assert (flat.people, flat.left_out) == ((), ("P00", "P01"))


def test_coupling_passes_over_what_was_left_out(tmp_path: Path) -> None:
    path = study(tmp_path, 3)
    span = (instant(0).wall_ms, instant(60).wall_ms)
    leave_out(path, 1, span, reason="coughed", actor="ada")
    found = answer(path, measure="happiness", lag=0)
    # the last row of the face stands at the end of the session, which is not part of it
    assert [one.pairs for one in found.people] == [SECONDS - 61, SECONDS - 1, SECONDS - 1]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"vital": "systolic"}, "does not come all the time"),
        ({"measure": "heart_rate"}, "is no measure of the face"),
        ({"measure": "sam_arousal"}, "is no measure of the face"),
        ({"lag": 90}, "less than or equal to 60"),
        ({"session": [1]}, "only then"),
    ],
)
def test_coupling_refuses_what_cannot_be_asked(question: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        CouplingQuery.model_validate(question)


def test_coupling_command_and_address_say_the_same(
    ada: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study(tmp_path, 6)
    asked = ["coupling", "--data", str(tmp_path), "--measure", "happiness", "--lag", "4"]
    assert dashboard(asked) == 0
    text = capsys.readouterr().out
    assert text.startswith("Probability of happiness and heart rate 4 s after it go together")
    assert "P05  +0." in text and "with others" in text
    assert dashboard([*asked, "--json"]) == 0
    found = ada.get("/api/v1/coupling?measure=happiness&lag=4")
    assert json.loads(capsys.readouterr().out) == found.json()
    assert dashboard([*asked, "--sample", "measured", "--session", "1"]) == 2
    assert "give --sample or --session, not both" in capsys.readouterr().err
    assert ada.get("/api/v1/coupling?measure=happiness&vital=systolic").status_code == 422
    assert ada.get("/api/v1/coupling?sample=selected&session=99").status_code == 422


def test_coupling_page_shows_answer_lags_and_people(ada: TestClient, tmp_path: Path) -> None:
    assert "no session has both" in ada.get("/coupling").text
    study(tmp_path, 6)
    page = ada.get("/coupling?measure=happiness&vital=heart_rate&lag=4&lags=10&sample=measured")
    assert page.status_code == 200
    assert "go together more than with others at the same stimuli" in page.text
    assert "64 sign flips of whole people, 6 people" in page.text
    assert 'id="coupling-lags"' in page.text and ">P05</th>" in page.text
    wrong = ada.get("/coupling?lag=90")
    assert wrong.status_code == 422 and "lag = " in wrong.text


def test_coupling_across_a_change_of_model_says_so(tmp_path: Path) -> None:
    path = study(tmp_path, 6)
    asked = CouplingQuery(lag=FOLLOWS_S)
    assert answer_to(Inquiry((("", path),), asked)).reading_changed_ms is None
    read_otherwise(path, 2.5 * APART_S)
    found = answer_to(Inquiry((("", path),), asked))
    assert found.reading_changed_ms == instant(2.5 * APART_S).wall_ms
    assert any(one.startswith("Faces are read in another way since") for one in found.notes)
