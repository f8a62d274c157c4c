"""Which evidence a followed face has, with made-up faces through the real tracker."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.simulated import attribution as people
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Attribution, Box, Face, Whose
from edge_agent.vision.faces.attribution import STILL_S, Attributor, StillFaces

SIZE = (640, 480)


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
        Attributor(),
        (0, [(1, face(320))]),
        (1, [(1, face(20))]),
        (2, [(1, face(20, 200)), (2, face(620, 60))]),
    )
    assert [one for _, one in seen] == ["seat", "alone", "leading"]


def test_seat_follows_the_seated_face_before_a_larger_one() -> None:
    (seen,) = evidence(Attributor("seat"), (0, [(1, face(320, 60)), (2, face(600, 200))]))
    assert seen == (1, Attribution.SEAT)


def test_seat_without_anybody_leaves_the_leading_face_unknown() -> None:
    (seen,) = evidence(Attributor("seat"), (0, [(2, face(620, 200))]))
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
