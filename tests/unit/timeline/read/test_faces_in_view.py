"""How often the followed face of a session was out of view, and who else was in view."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read import faces_in_view
from edge_agent.timeline.read.faces_in_view import FacesInView, Unknown, in_words, together
from edge_agent.timeline.read.reader import Reader
from tests.support.timeline import START_MS, Row, row, second_of, session_row, timeline

IN_WORDS = "It is not known whether it was always the same person."


def face(seconds: Iterable[int], track: int = 1, *, primary: bool = True) -> list[Row]:
    """Rows of one face at these seconds."""
    return [row(second, track=track, primary=primary) for second in seconds]


def viewed(
    path: Path, *faces: list[Row], end: float | None = 100, **tables: list[Row]
) -> FacesInView:
    """How the faces of one session were in view."""
    rows = [one for rows in faces for one in rows]
    file = timeline(path, session=[session_row(0, end)], expression=rows, **tables)
    reader = Reader(file)
    return reader.faces_in_view(reader.session_list())[1]


def test_face_that_stays_alone_was_never_out_of_view(tmp_path: Path) -> None:
    view = viewed(tmp_path, face(range(1, 60)))

    assert view == FacesInView(left=0, several_s=0.0, changed=0, unknown=None)
    assert in_words(view) == "One face was followed without a break, and no other was in view."


def test_face_that_is_not_known_for_a_while_was_never_out_of_view(tmp_path: Path) -> None:
    unknown = [row(at, primary=False, attribution="unknown") for at in range(20, 40)]

    view = viewed(tmp_path, face(range(1, 20)), unknown, face(range(40, 60)))

    assert view == FacesInView(0, 0.0, 0, None, not_known_s=20.0)


def test_face_unknown_for_seconds_counts_as_another_followed_one(tmp_path: Path) -> None:
    unknown = [row(at, track=2, primary=False, attribution="unknown") for at in range(20, 28)]

    view = viewed(tmp_path, face(range(1, 20)), unknown, face(range(28, 60)))

    assert (view.left, view.not_known_s) == (2, 8.0)
    assert "without a break" not in in_words(view)


def test_rejected_frames_of_an_unknown_face_are_not_known_either(tmp_path: Path) -> None:
    about = {"is_primary": 0, "attribution": "unknown"}
    turned = [{"at": at, **about} for at in (19, 20, 21)]  # at 19 the participant was read, too
    unknown = [row(20, primary=False, attribution="unknown")]

    view = viewed(tmp_path, face(range(1, 20)), unknown, unfit=turned)

    assert view.not_known_s == 2.0


def test_unknown_stretch_says_how_many_faces_were_in_view(tmp_path: Path) -> None:
    unknown = [row(at, track=2, primary=False, attribution="unknown") for at in (22, 23, 30)]
    beside = face((22, 23), 3, primary=False)
    path = timeline(tmp_path, session=[session_row(0, 100)], expression=[*unknown, *beside])

    with Reader(path).connect() as connection:
        stretches = faces_in_view.unknown_stretches(connection, START_MS, START_MS + 100_000)

    assert [(second_of(one.end_ms), one.faces) for one in stretches] == [(23, 2), (30, 1)]


def test_other_track_after_a_pause_left_and_came_back(tmp_path: Path) -> None:
    view = viewed(tmp_path, face(range(1, 20)), face(range(23, 40), 2), face(range(40, 60), 3))

    assert view == FacesInView(left=2, several_s=0.0, changed=0, unknown=None)
    assert in_words(view) == (
        f"The face was out of view 2 times, and each time a face came back. {IN_WORDS}"
    )


def test_face_that_was_hidden_and_kept_its_track_did_not_leave(tmp_path: Path) -> None:
    assert viewed(tmp_path, face(range(1, 20)), face(range(25, 40))).left == 0


def test_face_that_was_seen_and_not_read_did_not_leave(tmp_path: Path) -> None:
    unread = [
        {"at": second, "track": 1, "reason": "turned_away", "frames": 5, "is_primary": 1}
        for second in range(20, 40)
    ]

    view = viewed(tmp_path, face(range(1, 20)), face(range(40, 60)), unfit=unread)

    assert view.left == 0


def test_same_track_after_the_longest_memory_left(tmp_path: Path) -> None:
    assert viewed(tmp_path, face(range(1, 20)), face(range(40, 60))).left == 1


def test_same_track_of_an_agent_that_began_again_left(tmp_path: Path) -> None:
    stopped = {"started": 20, "ended": 23, "reason": "agent_stopped", "source": "recorder"}

    assert viewed(tmp_path, face(range(1, 21)), face(range(25, 60)), gap=[stopped]).left == 1


def test_faces_side_by_side_are_timed_and_their_change_counted(tmp_path: Path) -> None:
    first = [*face(range(1, 31)), *face(range(31, 41), primary=False)]
    second = [*face(range(11, 31), 2, primary=False), *face(range(31, 60), 2)]

    view = viewed(tmp_path, first, second)

    assert view == FacesInView(left=0, several_s=30.0, changed=1, unknown=None)
    assert in_words(view) == (
        "For 30 s more than one face was in view. Once another face in view was followed instead. "
        f"{IN_WORDS}"
    )


def test_face_that_follows_another_within_a_second_is_not_beside_it(tmp_path: Path) -> None:
    view = viewed(
        tmp_path, face(range(1, 21)), face([20], 2, primary=False), face(range(21, 40), 2)
    )

    assert view == FacesInView(left=1, several_s=0.0, changed=0, unknown=None)


def test_rows_of_frames_are_counted_by_their_times(tmp_path: Path) -> None:
    first = [row(0.1 * n, track=1, interval_ms=0) for n in range(1, 101)]
    beside = [row(0.1 * n, track=2, primary=False, interval_ms=0) for n in range(51, 71)]
    later = [row(13 + 0.1 * n, track=3, interval_ms=0) for n in range(20)]

    view = viewed(tmp_path, first, beside, later)

    assert (view.left, view.changed) == (1, 0)
    assert view.several_s == pytest.approx(2.0)


def test_session_without_a_face_says_so_and_is_no_zero(tmp_path: Path) -> None:
    view = viewed(tmp_path)

    assert view == FacesInView(None, None, None, Unknown.NO_FACE)
    assert in_words(view) == ""


@pytest.mark.parametrize("columns", [{"track": 0}, {"track": 1, "face_size": 0.0}])
def test_faces_that_nobody_followed_are_not_known(tmp_path: Path, columns: Row) -> None:
    view = viewed(tmp_path, [row(second, **columns) for second in range(1, 60)])

    assert (view.left, view.several_s, view.unknown) == (None, None, Unknown.NOT_FOLLOWED)
    assert "is not known" in in_words(view)


def test_deleted_rows_are_not_known_and_no_zero(tmp_path: Path) -> None:
    sessions = [session_row(0, 600), session_row(3600, 4200)]
    rows = [*face(range(1, 600)), *face(range(3601, 4200))]
    file = timeline(tmp_path, session=sessions, expression=rows)
    with write_transaction(file) as connection:
        connection.execute("DELETE FROM expression WHERE at < ?", (START_MS + 300_000,))
    reader = Reader(file)

    views = reader.faces_in_view(reader.session_list())

    assert views[1] == FacesInView(unknown=Unknown.ROWS_DELETED)
    assert views[2] == FacesInView(0, 0.0, 0, None)
    both = together(views.values())
    assert both == FacesInView(0, 0.0, 0, None, sessions=2, unknown_sessions=1)
    assert in_words(both).startswith("In each session one face was followed without a break")
    assert in_words(both).endswith("Sessions without these figures: 1.")


def test_session_without_a_face_lost_no_rows_when_those_beside_it_did(tmp_path: Path) -> None:
    sessions = [session_row(400, 900), session_row(1_000, 1_200)]
    file = timeline(tmp_path, session=sessions, expression=face(range(1, 300)))
    with write_transaction(file) as connection:
        connection.execute("DELETE FROM expression")
        connection.execute("DELETE FROM expression_minute")
    reader = Reader(file)

    views = reader.faces_in_view(reader.session_list())

    assert views == dict.fromkeys((1, 2), FacesInView())


def test_change_of_track_between_sessions_is_in_neither(tmp_path: Path) -> None:
    sessions = [session_row(100 * n, 100 * n + 90) for n in range(5)]
    rows = [one for n in range(5) for one in face(range(100 * n + 1, 100 * n + 80), n + 1)]
    file = timeline(tmp_path, session=sessions, expression=rows)
    reader = Reader(file)

    views = reader.faces_in_view(reader.session_list())

    assert views == dict.fromkeys(range(1, 6), FacesInView(0, 0.0, 0, None))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1 s"), (119, "119 s"), (120, "2 min"), (3_569, "59 min"), (3_900, "1 h 05 min")],
)
def test_time_with_several_faces_is_written_in_its_size(seconds: float, shown: str) -> None:
    view = FacesInView(left=0, several_s=seconds, changed=0, unknown=None)

    assert in_words(view).startswith(f"For {shown} more than one face was in view.")


def test_first_place_that_is_lost_and_won_again_changed_twice(tmp_path: Path) -> None:
    first = [*face(range(1, 21)), *face(range(21, 31), primary=False), *face(range(31, 51))]
    second = [
        *face(range(11, 21), 2, primary=False),
        *face(range(21, 31), 2),
        *face(range(31, 41), 2, primary=False),
    ]

    view = viewed(tmp_path, first, second)

    assert (view.left, view.several_s, view.changed) == (0, 30.0, 2)


def test_third_face_in_view_is_timed_once(tmp_path: Path) -> None:
    others = [face(range(10, 20), track, primary=False) for track in (2, 3)]

    assert viewed(tmp_path, face(range(1, 30)), *others).several_s == 10.0


@pytest.mark.parametrize("seed", range(4))
def test_rows_left_out_of_a_read_change_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    reader = Reader(_restless(tmp_path, Random(seed)))
    sessions = reader.session_list()

    counted = reader.faces_in_view(sessions)
    monkeypatch.setattr(faces_in_view, "_MOST_BREAKS", 0)  # reads all rows

    assert counted == reader.faces_in_view(sessions)
    assert any(view.breaks for view in counted.values())


def _restless(path: Path, rng: Random) -> Path:
    """Three sessions with faces that change, pause, share intervals and cannot be read, stored in
    order of time or, of some seeds, in two parts of which the later is stored first.
    """
    faces, unfit, stops = [], [], []
    second, track = 0.0, 1
    while second < 400:
        second += rng.choice([1.01, 0.99, 2, 5, 11.5]) if rng.random() < 0.15 else 1
        track += rng.random() < 0.03
        faces.append(row(second, track=track, primary=rng.random() > 0.02))
        if rng.random() < 0.05:
            faces.append(row(second, track=900, primary=rng.random() < 0.1))
        if rng.random() < 0.04:
            at = second + rng.choice([0, 0.5])
            read = {"track": rng.choice([track, 900]), "is_primary": rng.choice([0, 1])}
            unfit.append({"at": at, "reason": "turned_away", "frames": 5, **read})
        if rng.random() < 0.01:
            stop = {"started": second - 0.5, "ended": second + rng.choice([0, 0.3])}
            stops.append({**stop, "reason": "agent_stopped", "source": "recorder"})
    if rng.random() < 0.5:
        faces = faces[200:] + faces[:200]
    sessions = [session_row(0, 130), session_row(150.5, 260), session_row(260, 401)]
    return timeline(path, session=sessions, expression=faces, unfit=unfit, gap=stops)
