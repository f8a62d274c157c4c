"""The own neutral of the open session: from the frames of a baseline to the recognizer's shift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.agent.own_neutral import OwnNeutralWatch, classifier_of
from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import Emotion, Expression, Recognition, RejectReason
from edge_agent.core.own_neutral import BaselineRefusal, NeutralShift, OwnNeutralState
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.study.own_neutral import OwnNeutral, own_neutrals, read_open_session
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from tests.support.timeline import (
    START_MS,
    database,
    instant,
    movements,
    observation,
    query,
    recognition,
)

RESTING = Expression((0.95, 0.005, 0.005, 0.02, 0.005, 0.005, 0.005, 0.005))
SMILING = Expression((0.02, 0.95, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return open_recognizer(VisionSettings(movements=False), covers=False)


@pytest.fixture
def study(tmp_path: Path, recognizer: Recognizer) -> Study:
    recognizer.neutral_shift = None
    study = Study(database(tmp_path))
    study.create_participant("P01")
    study.give_consent("P01", "2026-10 v2")
    return study


def watch_of(study: Study, recognizer: Recognizer, *, wanted: bool = False) -> OwnNeutralWatch:
    return OwnNeutralWatch(
        study._path, recognizer, classifier_of(recognizer, "fitted"), wanted=wanted
    )


def start(study: Study, *, own_neutral: bool | None = True) -> int:
    return study.start_session(
        NewSession("P01", Purpose.RESEARCH, own_neutral=own_neutral), instant(0)
    ).id


def kept(study: Study) -> dict[int, OwnNeutral]:
    with read_transaction(study._path) as connection:
        return own_neutrals(connection)


def faces(first: float, last: float, raw: Expression = RESTING) -> Iterable[Recognition]:
    """Five frames per second."""
    for number in range(round(5 * first), round(5 * last)):
        yield recognition(number / 5, observation(Emotion.NEUTRAL, raw=raw))


def see(watch: OwnNeutralWatch, frames: Iterable[Recognition]) -> None:
    for frame in frames:
        watch.see(frame)


def calibrated(study: Study, recognizer: Recognizer) -> OwnNeutralWatch:
    """A watch that has just judged a baseline from 5 to 25 s."""
    watch = watch_of(study, recognizer)
    start(study)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(5))
    see(watch, faces(0, 5, SMILING))
    see(watch, faces(5, 25))
    watch.look(instant(25.2))
    assert recognizer.neutral_shift is None, "its last frames are still being read"
    watch.look(instant(26))
    return watch


def test_baseline_of_session_that_asks_calibrates_and_shifts_from_then_on(
    study: Study, recognizer: Recognizer
) -> None:
    watch = calibrated(study, recognizer)
    own = kept(study)[1]
    assert (own.state, own.reason, own.seconds) == (OwnNeutralState.CALIBRATED, None, 20)
    assert own.baseline == (START_MS + 5_000, START_MS + 25_000)
    # 2 − 0.7631 · ln(0.95 / 0.02)
    assert own.shift is not None
    assert own.shift == pytest.approx(-0.9461, abs=1e-4)
    assert own.applied is not None
    assert own.applied[0] == START_MS + 26_000
    assert recognizer.neutral_shift == NeutralShift(own.shift, recognizer.temperature)
    (logits,) = query(study._path, "SELECT neutral - sadness, neutral - anger FROM own_neutral")
    assert logits == pytest.approx((2.9461, 4.0040), abs=1e-4)
    study.end_session(instant(40))
    watch.look(instant(41))
    assert recognizer.neutral_shift is None, "the next session has its own"
    assert kept(study)[1].applied == (START_MS + 26_000, START_MS + 40_000)


def test_session_that_does_not_say_follows_the_configuration(
    study: Study, recognizer: Recognizer
) -> None:
    start(study, own_neutral=None)
    watch_of(study, recognizer).look(instant(1))
    assert kept(study) == {}
    watch_of(study, recognizer, wanted=True).look(instant(2))
    assert kept(study)[1].state is OwnNeutralState.ASKED


def test_session_that_declines_is_not_calibrated(study: Study, recognizer: Recognizer) -> None:
    start(study, own_neutral=False)
    watch = watch_of(study, recognizer, wanted=True)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    see(watch, faces(2, 22))
    watch.look(instant(30))
    assert kept(study) == {1: OwnNeutral(1, OwnNeutralState.OFF)}
    assert recognizer.neutral_shift is None


def test_baseline_ends_where_a_stimulus_begins(study: Study, recognizer: Recognizer) -> None:
    watch = watch_of(study, recognizer)
    start(study)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", instant(14))
    see(watch, faces(2, 14))
    see(watch, faces(14, 22, SMILING))
    watch.look(instant(15))
    assert kept(study)[1].baseline == (START_MS + 2_000, START_MS + 14_000)
    assert kept(study)[1].state is OwnNeutralState.CALIBRATED


def test_refused_baseline_says_why_and_a_second_one_calibrates(
    study: Study, recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watch_of(study, recognizer)
    start(study)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    see(watch, faces(2, 22, SMILING))
    watch.look(instant(23))
    own = kept(study)[1]
    assert (own.state, own.reason, own.shift) == (
        OwnNeutralState.REFUSED,
        BaselineRefusal.SMILING,
        None,
    )
    assert (own.applied, recognizer.neutral_shift) == (None, None)
    assert "the baseline of session 1 was refused: smiling" in caplog.text
    study.add_marker(MarkerKind.BASELINE, "", instant(30))
    see(watch, faces(30, 50))
    watch.look(instant(51))
    assert (kept(study)[1].state, kept(study)[1].reason) == (OwnNeutralState.CALIBRATED, None)
    study.add_marker(MarkerKind.BASELINE, "", instant(60))
    see(watch, faces(60, 80, SMILING))
    watch.look(instant(81))
    assert kept(study)[1].baseline == (START_MS + 30_000, START_MS + 50_000), "one neutral"


def test_rejected_and_turned_faces_and_other_people_do_not_count(
    study: Study, recognizer: Recognizer
) -> None:
    watch = watch_of(study, recognizer)
    start(study)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    for frame in faces(2, 22):
        face = frame.observations[0]
        away = replace(face, reject_reason=RejectReason.TURNED_AWAY)
        beside = replace(face, track=2, primary=False)
        watch.see(replace(frame, observations=(away, beside)))
    watch.look(instant(23))
    own = kept(study)[1]
    assert (own.reason, own.seconds) == (BaselineRefusal.TURNED_AWAY, 0)


def test_restart_in_a_session_keeps_its_own_neutral(study: Study, recognizer: Recognizer) -> None:
    calibrated(study, recognizer)
    shift = recognizer.neutral_shift
    recognizer.neutral_shift = None
    watch_of(study, recognizer).look(instant(30))
    assert recognizer.neutral_shift == shift is not None


def test_restart_with_another_prior_ends_the_shift_and_says_so(
    study: Study, recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    calibrated(study, recognizer)
    other = open_recognizer(VisionSettings(movements=False, prior="data"), covers=False)
    OwnNeutralWatch(study._path, other, classifier_of(other, "data"), wanted=False).look(
        instant(30)
    )
    assert other.neutral_shift is None
    assert "another classifier or prior reads session 1 now" in caplog.text
    assert kept(study)[1].applied == (START_MS + 26_000, START_MS + 30_000)
    watch_of(study, recognizer).look(instant(40))
    assert recognizer.neutral_shift is None, "once ended, it stays so"


def test_closed_smile_that_reads_as_neutral_is_refused_by_its_movement(
    study: Study, recognizer: Recognizer
) -> None:
    watch = watch_of(study, recognizer)
    start(study)
    watch.look(instant(1))
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    for frame in faces(2, 22):
        smiling = replace(frame.observations[0], movements=movements(smile=0.3))
        watch.see(replace(frame, observations=(smiling,)))
    watch.look(instant(23))
    assert kept(study)[1].reason is BaselineRefusal.SMILING


def test_restart_within_a_baseline_counts_what_is_left_of_it(
    study: Study, recognizer: Recognizer
) -> None:
    start(study)
    study.add_marker(MarkerKind.BASELINE, "", instant(2))
    watch = watch_of(study, recognizer)
    watch.look(instant(16))
    see(watch, faces(16, 22))
    watch.look(instant(23))
    assert (kept(study)[1].reason, kept(study)[1].seconds) == (BaselineRefusal.FEW_FACES, 6)


def test_erasure_removes_the_own_neutral(study: Study, recognizer: Recognizer) -> None:
    calibrated(study, recognizer)
    study.end_session(instant(40))
    erase_participant(study._path, "P01", actor="test")
    assert query(study._path, "SELECT count(*) FROM own_neutral") == [(0,)]


def test_database_without_a_commit_is_not_read_again(
    study: Study, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = calibrated(study, recognizer)
    reads: list[Path] = []

    def read(path: Path) -> object:
        reads.append(path)
        return read_open_session(path)

    monkeypatch.setattr("edge_agent.agent.own_neutral.read_open_session", read)
    for second in range(27, 40):
        watch.look(instant(second))
    assert len(reads) == 1, "once more, for what it wrote itself"
    study.end_session(instant(40))
    watch.look(instant(41))
    assert len(reads) == 2
    assert recognizer.neutral_shift is None
