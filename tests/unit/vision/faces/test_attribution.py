"""Which evidence a followed face has, with made-up faces through the real tracker."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from benchmarks.simulated import attribution as people
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Attribution, Box, Face, Whose
from edge_agent.vision.faces.attribution import LIFE_S, STILL_S, Attributor, StillFaces
from edge_agent.vision.faces.tracking import Tracker

SIZE = (640, 480)
SEAT = people.SEAT


def face(x: float, side: float = 100) -> Face:
    return Face(Box(x - side / 2, 190, side, side), 0.9, ())


def at(seconds: float) -> Instant:
    return Instant(round(1000 * seconds) + 1, 1_790_000_000_000 + round(1000 * seconds))


def evidence(
    attributor: Attributor, *frames: tuple[float, Sequence[tuple[int, Face]]]
) -> list[tuple[int | None, Attribution | None]]:
    return [attributor.attribute(faces, SIZE, at(seconds)) for seconds, faces in frames]


def test_leading_face_names_its_strongest_evidence() -> None:
    seen = evidence(
        Attributor("leading", SEAT),
        (0, [(1, face(320))]),
        (1, [(1, face(20))]),
        (2, [(1, face(20, 200)), (2, face(620, 60))]),
    )
    assert [one for _, one in seen] == ["seat", "alone", "leading"]


def test_face_is_in_no_seat_where_none_was_drawn() -> None:
    seen = evidence(
        Attributor(), (0, [(1, face(320))]), (2, [(1, face(320, 200)), (2, face(620, 60))])
    )
    assert [one for _, one in seen] == ["alone", "leading"]


def test_seat_follows_the_seated_face_before_a_larger_one() -> None:
    (seen,) = evidence(Attributor("seat", SEAT), (0, [(1, face(320, 60)), (2, face(600, 200))]))
    assert seen == (1, Attribution.SEAT)


def test_seat_without_anybody_leaves_the_leading_face_unknown() -> None:
    (seen,) = evidence(Attributor("seat", SEAT), (0, [(2, face(620, 200))]))
    assert seen == (2, Attribution.UNKNOWN)


def test_alone_waits_ten_seconds_after_another_face() -> None:
    attributor = Attributor("alone")
    two, one = [(1, face(320)), (2, face(500, 60))], [(1, face(320))]
    seen = evidence(attributor, (0, two), (9.9, one), (10.1, one))
    assert [one for _, one in seen] == ["unknown", "unknown", "alone"]


def test_still_face_is_a_picture_until_it_moves() -> None:
    still = StillFaces()
    found = [still.update([(1, face(320))], at(second)) for second in range(int(STILL_S) + 1)]
    assert (found[-2], found[-1]) == (frozenset(), frozenset({1}))
    for second in range(3):
        moved = still.update([(1, face(380))], at(STILL_S + 1 + second))
    assert not moved


def test_picture_that_comes_back_is_known_by_its_place() -> None:
    still = StillFaces()
    for second in range(int(STILL_S) + 1):
        still.update([(1, face(320))], at(second))
    still.update([], at(300))
    assert still.update([(7, face(321))], at(600)) == {7}


def seconds_of(
    attributor: Attributor, end: int, faces: Sequence[tuple[int, Face]], begin: int = 0
) -> list[tuple[int | None, Attribution | None]]:
    return evidence(attributor, *((second, faces) for second in range(begin, end)))


@pytest.mark.parametrize("whose", ["leading", "seat", "alone"])
def test_picture_alone_is_nobody(whose: Whose) -> None:
    attributor = Attributor(whose, SEAT)
    seen = seconds_of(attributor, 240, [(1, face(320))])
    assert seen[-1] == (1, Attribution.UNKNOWN)
    assert attributor.pictures == {1}


@pytest.mark.parametrize("whose", ["leading", "seat", "alone", "declared"])
def test_picture_yields_at_once_to_a_small_living_face(whose: Whose) -> None:
    attributor = Attributor(whose, SEAT)
    portrait = (1, face(320, 150))
    seconds_of(attributor, 240, [portrait])
    (seen,) = evidence(attributor, (240, [portrait, (2, face(420, 60))]))
    assert seen[0] == 2


def test_press_beside_a_picture_declares_who_lives() -> None:
    attributor = Attributor("declared")
    portrait = (1, face(320, 150))
    seconds_of(attributor, 240, [portrait])
    both = [portrait, (2, face(500, 60))]
    evidence(attributor, (240, both))
    attributor.pressed = at(240.1)
    assert evidence(attributor, (240.2, both)) == [(2, Attribution.DECLARED)]


def test_declared_picture_is_nobody_and_yields() -> None:
    attributor = Attributor("declared")
    portrait = (1, face(320, 150))
    seconds_of(attributor, 10, [portrait])
    attributor.pressed = at(9.5)
    seen = seconds_of(attributor, 240, [portrait], begin=10)
    assert (seen[10][1], seen[-1][1]) == (Attribution.DECLARED, Attribution.UNKNOWN)
    assert evidence(attributor, (240, [portrait, (2, face(500, 60))]))[0][0] == 2


def test_living_face_that_is_missed_leaves_no_picture_in_its_place() -> None:
    attributor = Attributor()
    portrait = (1, face(200, 150))
    seconds_of(attributor, 240, [portrait])
    (lives, missed) = evidence(
        attributor, (240, [portrait, (2, face(500, 60))]), (240.2, [portrait])
    )
    assert (lives[0], missed[0]) == (2, None)


def test_participant_who_sat_down_keeps_ten_still_minutes() -> None:
    attributor = Attributor()
    came = evidence(
        attributor, *((tenth / 5, [(1, face(100 + 10 * tenth))]) for tenth in range(22))
    )
    seen = seconds_of(attributor, 605, [(1, face(310))], begin=5)
    assert {one for _, one in came + seen} == {Attribution.ALONE}


@pytest.mark.parametrize(
    ("name", "value", "lives"),
    [("eye_blink", 0.6, True), ("happiness", 0.5, True), ("yaw", 14.0, True),
     ("eye_blink", 0.1, False), ("happiness", 0.15, False), ("yaw", 5.0, False)],
)  # fmt: skip
def test_face_that_blinks_turns_or_smiles_lives_however_still(
    name: str, value: float, lives: bool
) -> None:
    still = StillFaces()
    found: frozenset[int] = frozenset()
    for second in range(700):
        found = still.update([(1, face(320))], at(second))
        still.see(1, {name: value if second == 60 else 0.0}, at(second))
    assert found == (frozenset() if lives else {1})


def in_view(
    minutes: float,
    where: Callable[[float], tuple[float, float] | None],
    shows: Callable[[float], dict[str, float]] = lambda _second: {},
    *,
    noise: float = 0.02,
    found: float = 0.98,
    fps: int = 5,
) -> list[bool]:
    """Return for each sighting of the only face whether it is a picture.

    ``where``: its middle and side in pixels at a second, ``None`` where it is hidden; ``noise`` of
    its box in sides; ``found``: share of the frames in which it is found.
    """
    rng, tracker, still = random.Random(4), Tracker(), StillFaces()
    pictures = []
    for frame in range(int(minutes * 60 * fps)):
        second = frame / fps
        faces, place = [], where(second)
        if place is not None and rng.random() < found:
            x, side = place
            faces = [face(x + rng.gauss(0, noise * side), side * (1 + rng.gauss(0, noise)))]
        tracked = tracker.update(faces, at(second))
        known = still.update(tracked, at(second))
        pictures += [track in known for track, _ in tracked]
        for track, _ in tracked:
            still.see(track, shows(second), at(second))
    return pictures


@pytest.mark.parametrize("fps", [5, 15])
@pytest.mark.parametrize("noise", [0.015, 0.03])
@pytest.mark.parametrize(
    ("where", "found"),
    [
        (lambda second: (320, 90) if second % 100 < 90 else None, 0.98),
        (lambda second: (320, 90) if second % 40 < 20 else None, 0.98),
        (lambda _second: (320, 90), 0.35),
        (lambda second: (320, 90) if second < 200 else (345, 90), 0.98),
        (lambda second: (320 + 15 * math.sin(second / 2), 100) if second < 90 else (340, 72), 0.98),
    ],
    ids=["hidden at times", "hidden half of the time", "seldom found", "pushed", "uncovered"],
)
def test_picture_is_known_however_it_is_seen(
    where: Callable[[float], tuple[float, float] | None], found: float, noise: float, fps: int
) -> None:
    pictures = in_view(12, where, found=found, noise=noise, fps=fps)
    assert all(pictures[-len(pictures) // 4 :])


@pytest.mark.parametrize("fps", [2, 15])
@pytest.mark.parametrize("noise", [0.015, 0.05])
@pytest.mark.parametrize(
    ("where", "shows"),
    [
        (lambda second: (320 - 90 * max(0.0, 2 - second), 90), {}),
        (lambda _second: (320, 90), {"eye_blink": lambda second: 0.9 * (second % 20 < 0.6)}),
        (lambda _second: (320, 90), {"yaw": lambda second: 25.0 * (second % 90 > 75)}),
        (lambda second: (320 + 45 * min(max(second % 900 - 60, 0) / 2, 1), 90), {}),
    ],
    ids=["chin rest", "blinks", "looks away", "sleeper who turns"],
)
def test_person_who_sits_still_is_no_picture(
    where: Callable[[float], tuple[float, float] | None],
    shows: dict[str, Callable[[float], float]],
    noise: float,
    fps: int,
) -> None:
    values = lambda second: {name: value(second) for name, value in shows.items()}  # noqa: E731
    assert not any(in_view(10, where, values, noise=noise, fps=fps))


def test_other_face_in_the_same_place_is_no_sign_of_life() -> None:
    def shows(second: float) -> dict[str, float]:
        past = min(max(second - 60, 0) / 2, 1)  # the shown values are smoothed
        return {"happiness": 0.9 * past, "yaw": 20 * past, "eye_blink": 0.7 * past}

    assert in_view(8, lambda _second: (320, 90), shows)[-1]


def test_still_face_that_slid_away_lives_for_an_hour() -> None:
    def where(second: float) -> tuple[float, float]:
        return 320 + 60 * min(max(second - 200, 0) / 2, 1), 90

    pictures = in_view(LIFE_S / 60 + 10, where, fps=2)
    assert (pictures[2 * 180], pictures[2 * 600], pictures[-1]) == (True, False, True)


def test_still_face_of_a_recorded_video_counts() -> None:
    seen = seconds_of(Attributor(judges_pictures=False), 600, [(1, face(320))])
    assert seen[-1] == (1, Attribution.ALONE)


def test_press_declares_the_face_that_led_then() -> None:
    attributor = Attributor("declared")
    one = [(1, face(320)), (2, face(500, 60))]
    attributor.attribute(one, SIZE, at(0))
    attributor.pressed = at(0.05)
    seen = evidence(attributor, (0.1, one), (0.2, [(1, face(320, 50)), (2, face(500, 200))]))
    assert seen == [(1, Attribution.DECLARED), (1, Attribution.DECLARED)]


def test_declaration_ends_where_the_face_is_away_for_a_second() -> None:
    attributor = Attributor("declared")
    attributor.attribute([(1, face(320))], SIZE, at(0))
    attributor.pressed = at(0)
    seen = evidence(
        attributor,
        *((tenth / 10, [(1, face(320))]) for tenth in range(1, 3)),
        *((tenth / 10, []) for tenth in range(3, 12)),
        (1.2, [(1, face(320))]),
    )
    assert [one for _, one in (seen[1], seen[-1])] == ["declared", "unknown"]


def test_declaration_ends_where_a_face_comes_back_elsewhere() -> None:
    attributor = Attributor("declared")
    attributor.attribute([(1, face(320)), (2, face(400))], SIZE, at(0))
    attributor.pressed = at(0)
    seen = evidence(
        attributor,
        (0.1, [(1, face(320)), (2, face(400))]),
        *((tenth / 10, [(2, face(360))]) for tenth in range(2, 6)),
        (0.6, [(1, face(400)), (2, face(320))]),
    )
    assert attributor.declared is None
    assert seen[-1][1] is Attribution.UNKNOWN


@pytest.mark.parametrize("passes_s", [4, 8])
def test_declaration_outlasts_somebody_who_passes_in_front(passes_s: float) -> None:
    count = people.play(
        people.passing_in_front(passes_s), "declared", 1, seconds=80, pressed_until_s=10
    )
    assert count.wrong_percent == 0
    assert count.kept_percent >= 90


def test_late_press_for_a_face_that_left_declares_nothing() -> None:
    attributor = Attributor("declared")
    attributor.attribute([(1, face(320))], SIZE, at(0))
    evidence(attributor, *((second, []) for second in (1, 2)))
    attributor.pressed = at(0)
    (seen,) = evidence(attributor, (3, [(2, face(320))]))
    assert seen == (2, Attribution.UNKNOWN)


def test_withdrawn_press_ends_the_declaration() -> None:
    attributor = Attributor()
    attributor.attribute([(1, face(320))], SIZE, at(0))
    attributor.pressed = at(0)
    attributor.attribute([(1, face(320))], SIZE, at(0.1))
    attributor.pressed = None
    attributor.attribute([(1, face(320))], SIZE, at(0.2))
    assert attributor.declared is None


@pytest.mark.parametrize(
    ("whose", "name", "place", "wrong", "kept"),
    [
        ("declared", "after_1_s", people.MIDDLE, 2, 95),
        ("declared", "side_by_side", people.MIDDLE, 2, 95),
        ("seat", "after_3_s", people.OUTSIDE, 5, 90),
        ("alone", "walking_behind", people.MIDDLE, 2, 85),
    ],
)
def test_two_people_are_kept_apart_by_evidence(
    whose: Whose, name: str, place: float, wrong: float, kept: float
) -> None:
    scene = people.scenes(place)[name]
    # The shares that the project promises, of five minutes of made-up people.
    count = people.play(scene, whose, 1, seconds=300, presses=whose == "declared")
    assert count.wrong_percent <= wrong
    assert count.kept_percent >= kept
