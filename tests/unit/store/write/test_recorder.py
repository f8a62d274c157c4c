"""The recorder: what becomes a row, when it is committed, and what happens when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, Expression, RejectReason
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.write.outbox import OutboxMessage
from tests.support.recording import Recording
from tests.support.timeline import (
    START_MS,
    instant,
    mostly,
    observation,
    query,
    reading,
    recognition,
    wait_for,
)


def test_frames_of_a_second_become_one_row_for_each_face(path: Path) -> None:
    recording = Recording(path)
    half = Expression((0.5, 0.5, 0, 0, 0, 0, 0, 0))
    sure = Expression((0.0, 1.0, 0, 0, 0, 0, 0, 0))
    recording.submit(
        recognition(0.1, observation(raw=half), observation(Emotion.ANGER, track=2, primary=False)),
        recognition(0.5, observation(raw=sure)),
        recognition(1.1, observation(raw=sure)),
    )
    recording.finish()
    rows = query(
        path,
        "SELECT at, track, frames, neutral, happiness, emotion, face_size, quality, is_primary, "
        "interval_ms, simulated FROM expression",
    )
    assert rows == [
        (START_MS + 1000, 1, 2, 250, 750, "happiness", 120.0, 0.75, 1, 1000, 0),
        (START_MS + 1000, 2, 1, 20, 20, "anger", 120.0, 0.75, 0, 1000, 0),
        (START_MS + 1100, 1, 1, 0, 1000, "happiness", 120.0, 0.75, 1, 1000, 0),
    ]


def test_frames_that_cannot_be_read_are_counted_by_reason_and_are_in_no_mean(path: Path) -> None:
    recording = Recording(path, simulated=True)
    sure = mostly(Emotion.HAPPINESS, 1.0)
    misread = mostly(Emotion.ANGER, 1.0)
    dark = RejectReason.TOO_DARK
    turned = RejectReason.TURNED_AWAY
    recording.submit(
        recognition(0.1, observation(raw=sure)),
        recognition(
            0.3,
            observation(raw=misread, reject_reason=dark),
            observation(track=2, primary=False, reject_reason=dark),
        ),
        recognition(0.5, observation(raw=misread, reject_reason=turned)),
        recognition(0.7, observation(raw=misread, reject_reason=dark)),
        recognition(1.2, observation(raw=misread, reject_reason=turned)),
        recognition(2.5, observation(raw=sure)),
    )
    recording.finish()
    assert query(path, "SELECT at, frames, happiness, anger FROM expression ORDER BY at") == [
        (START_MS + 1000, 1, 1000, 0),
        (START_MS + 2500, 1, 1000, 0),
    ]
    assert query(
        path,
        "SELECT at, boot_ms - 1000000, interval_ms, track, reason, frames, is_primary, "
        "simulated FROM unfit",
    ) == [
        (START_MS + 1000, 1000, 1000, 1, "too_dark", 2, 1, 1),
        (START_MS + 1000, 1000, 1000, 1, "turned_away", 1, 1, 1),
        (START_MS + 1000, 1000, 1000, 2, "too_dark", 1, 0, 1),
        (START_MS + 2000, 2000, 1000, 1, "turned_away", 1, 1, 1),
    ]
    assert query(path, "SELECT count(*) FROM gap") == [(0,)], "a face was there"


def test_an_interval_of_zero_records_every_frame(path: Path) -> None:
    recording = Recording(path, interval=0.0)
    recording.submit(*(recognition(frame / 15, observation()) for frame in range(15)))
    recording.finish()
    assert query(path, "SELECT count(*), sum(frames), max(interval_ms) FROM expression") == [
        (15, 15, 0)
    ]


def test_an_uncertain_face_has_no_emotion_and_counts_as_uncertain(path: Path) -> None:
    recording = Recording(path, simulated=True)
    recording.submit(
        recognition(0.1, observation(None)), recognition(1.1, observation(Emotion.FEAR))
    )
    recording.finish()
    assert query(path, "SELECT emotion, simulated FROM expression ORDER BY at") == [
        (None, 1),
        ("fear", 1),
    ]
    for table in ("expression_minute", "expression_hour"):
        assert query(
            path, f"SELECT rows, frames, uncertain, count_fear, simulated FROM {table}"
        ) == [(2, 2, 1, 1, 2)]
    assert query(path, "SELECT emotion FROM expression_view ORDER BY at_ms") == [
        ("uncertain",),
        ("fear",),
    ]


def test_rollups_are_what_the_rows_add_up_to(path: Path) -> None:
    recording = Recording(path, batch_rows=7)
    emotions = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL, None)
    recording.submit(*(recognition(s, observation(emotions[s // 9 % 4])) for s in range(150)))
    recording.submit(recognition(151, observation(track=5, primary=False)))
    recording.finish()
    for table, length in (("expression_minute", 60_000), ("expression_hour", 3_600_000)):
        rolled = query(
            path,
            "SELECT at, rows, frames, uncertain, sum_anger, count_anger, count_happiness "
            f"FROM {table}",
        )
        assert rolled == query(
            path,
            "SELECT at / ?1 * ?1, count(*), sum(frames), sum(emotion IS NULL), sum(anger), "
            "sum(emotion IS 'anger'), sum(emotion IS 'happiness') FROM expression WHERE is_primary "
            "GROUP BY 1 ORDER BY 1".replace("?1", str(length)),
        )


def test_a_full_batch_is_committed_at_once(path: Path, recordings: list[Recording]) -> None:
    recordings.append(recording := Recording(path, batch_rows=5))
    recording.submit(*(reading(s) for s in range(5)))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital") == [(5,)]
    assert recording.recorder.last_commit_boot_s is not None
    assert recording.recorder.waiting_s == 0


def test_a_batch_that_does_not_fill_is_committed_after_its_seconds(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path, batch_seconds=0.1))
    recording.submit(reading(0))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital") == [(1,)]


def test_a_message_is_committed_at_once_with_the_rows_before_it(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path))
    recording.submit(
        reading(0), OutboxMessage("summary", {"frames": 3}), OutboxMessage("summary", {"frames": 4})
    )
    recording.committed()
    wait_for(
        lambda: query(path, "SELECT seq, topic FROM outbox") == [(1, "summary"), (2, "summary")]
    )
    assert query(path, "SELECT count(*) FROM vital") == [(1,)]


def test_faces_of_a_camera_that_stalls_are_written_without_a_further_frame(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path, interval=0.05, batch_seconds=0.05))
    recording.submit(recognition(0.01, observation()))
    recording.committed()
    assert query(path, "SELECT at FROM expression") == [(START_MS + 50,)]


def test_a_time_without_faces_becomes_a_gap_when_it_ends(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        recognition(0, observation()),
        *(recognition(s) for s in range(1, 9)),
        recognition(9, observation()),
    )
    recording.submit(recognition(9.5), recognition(10, observation()))
    recording.submit(*(recognition(s) for s in range(11, 21)))
    recording.finish()
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 9000, "no_face"),
        ("camera", START_MS + 11000, START_MS + 20000, "no_face"),
    ]


def test_a_time_in_which_the_camera_paused_is_no_time_without_faces(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        *(recognition(s) for s in range(6)), recognition(600), recognition(601, observation())
    )
    recording.submit(recognition(602), recognition(603), recognition(900, observation()))
    recording.finish()
    assert query(path, "SELECT started, ended, reason FROM gap") == [
        (START_MS, START_MS + 5000, "no_face")
    ]


def test_a_gap_that_is_submitted_is_recorded(path: Path) -> None:
    recording = Recording(path)
    recording.submit(Gap("camera", instant(1), instant(4), "stalled"))
    recording.finish()
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 4000, "stalled")
    ]


def test_readings_are_kept_with_their_flags_and_an_implausible_one_is_flagged(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        reading(0, 71.5, flags=[VitalFlag.SIMULATED]), reading(1, 500.0), reading(2, 70.0)
    )
    recording.finish()
    assert query(path, "SELECT value, flags FROM vital ORDER BY at") == [
        (71.5, "simulated"),
        (500.0, "out_of_range"),
        (70.0, ""),
    ]
    assert query(path, "SELECT n, total, least, most, flagged, simulated FROM vital_minute") == [
        (2, 141.5, 70.0, 71.5, 1, 1)
    ]


def test_a_reading_that_is_no_number_is_not_recorded_but_counted(path: Path) -> None:
    recording = Recording(path)
    recording.submit(reading(0, float("nan")), reading(1, float("inf")), reading(2, 70.0))
    recording.finish()
    assert query(path, "SELECT value FROM vital") == [(70.0,)]
    assert recording.recorder.dropped == 2


def test_the_same_reading_twice_is_one_row_and_counted_once(path: Path) -> None:
    recording = Recording(path, batch_rows=1)
    recording.submit(reading(0), reading(0), reading(0, source="other"))
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(2,)]
    assert query(path, "SELECT n FROM vital_minute") == [(2,)]


def test_a_jump_of_the_wall_clock_begins_a_new_boot_row(path: Path) -> None:
    recording = Recording(path, batch_rows=1)
    later = Instant(instant(5).boot_ms, instant(5).wall_ms + 60_000)
    jumped = VitalReading(later, VitalKind.HEART_RATE, 70.0, "strap")
    recording.submit(reading(0), reading(1), jumped)
    recording.finish()
    boots = query(path, "SELECT id, wall_minus_boot_ms - moved_ms FROM boot ORDER BY id")
    assert [offset for _, offset in boots] == [START_MS - 1_000_000, START_MS - 1_000_000 + 60_000]
    assert query(path, "SELECT boot FROM vital ORDER BY at") == [
        (boots[0][0],),
        (boots[0][0],),
        (boots[1][0],),
    ]


def test_a_boot_row_says_when_the_network_has_set_the_clock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[tuple[int]] = []
    monkeypatch.setattr(clock, "now", lambda: instant(len(states)))
    for synchronised in (False, True, False):
        monkeypatch.setattr(clock, "is_synchronised", lambda known=synchronised: known)
        recording = Recording(path)
        recording.submit(reading(len(states)))
        recording.finish()
        states += [(found,) for (found,) in query(path, "SELECT synchronised FROM boot")]
    assert states == [(0,), (1,), (1,)]


def test_a_restart_of_the_agent_goes_on_with_the_same_boot_row(path: Path) -> None:
    for second in (0, 10):
        recording = Recording(path)
        recording.submit(reading(second))
        recording.finish()
    assert query(path, "SELECT count(*) FROM boot") == [(1,)]


def test_a_model_is_recorded_once_until_another_is_used(path: Path) -> None:
    for digest in ("aa", "aa", "bb"):
        recording = Recording(path)
        recording.recorder.record_model("expression", "fast", "1.0.0", digest)
        recording.finish()
    assert query(path, "SELECT kind, name, version, sha256 FROM model") == [
        ("expression", "fast", "1.0.0", "aa"),
        ("expression", "fast", "1.0.0", "bb"),
    ]
