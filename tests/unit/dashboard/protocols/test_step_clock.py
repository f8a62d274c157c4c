"""Orders that are balanced, screens that follow from them, and positions that lose no time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.protocols.file import EXAMPLES, load_protocol
from dashboard.protocols.screens import (
    RunOrder,
    from_json,
    order_rows,
    screens_of,
    to_json,
    williams,
)
from dashboard.protocols.state import Position, StepClock, StepEntry
from dashboard.protocols.steps import ScreenKind

EXAMPLE = EXAMPLES / "three-conditions.toml"
lengths = st.lists(st.one_of(st.none(), st.floats(0.5, 100)), min_size=1, max_size=8).map(tuple)


def test_the_design_for_four_and_for_three_is_that_of_the_literature() -> None:
    # The square for four treatments begins 0 1 3 2 (Williams 1949; the usual A B D C).
    assert williams(4) == ((0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1))
    assert williams(3) == ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 2, 1), (1, 0, 2))
    assert williams(1) == ((0,),)


@pytest.mark.parametrize("count", range(2, 12))
def test_each_stimulus_has_each_place_and_each_neighbour_equally_often(count: int) -> None:
    rows = williams(count)
    assert len(set(rows)) == len(rows) == (count if count % 2 == 0 else 2 * count)
    places = Counter((place, item) for row in rows for place, item in enumerate(row))
    assert set(places.values()) == {len(rows) // count}
    follows = Counter(pair for row in rows for pair in pairwise(row))
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) == 1


def test_the_stimuli_change_places_and_all_else_stays() -> None:
    protocol = load_protocol(EXAMPLE)
    assert order_rows(protocol) == 6
    orders = []
    for row in range(6):
        screens = screens_of(protocol, RunOrder(row))
        orders.append([s.condition for s in screens if s.kind is ScreenKind.STIMULUS])
        assert [s.kind.value for s in screens[:7]] == [
            "baseline",
            "stimulus",
            "pressure",
            "scale",
            "scale",
            "scale",
            "rest",
        ]
        assert screens[2].condition == screens[1].condition
        assert not screens[2].opens
        assert screens[3].condition is None
        assert from_json(to_json(screens, protocol.texts)) == (screens, protocol.texts)
    assert orders[0] == ["neutral", "happiness", "anger"]
    assert len({tuple(order) for order in orders}) == 6


def test_a_protocol_in_its_given_order_has_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        EXAMPLE.read_text(encoding="utf-8").replace('order = "counter', 'order = "given" # '),
        "utf-8",
    )
    assert order_rows(load_protocol(path)) == 1
    path.write_text('title = "A"\norder = "counterbalanced"\n[[step]]\nkind = "rest"\n', "utf-8")
    assert order_rows(load_protocol(path)) == 1
    assert [s.title for s in screens_of(load_protocol(path))] == ["rest"]


def test_steps_begin_when_they_are_due_however_late_they_are_checked() -> None:
    step_clock = StepClock((10.0, 5.0, None, 3.0))
    position = step_clock.run(Position(), 100.0)
    position, entries = step_clock.advance(position, 117.3)
    assert entries == (StepEntry(1, 110.0), StepEntry(2, 115.0))
    assert step_clock.remaining(position, 117.3) is None
    assert step_clock.ends(position) is None
    position = step_clock.leave(position, 120.0)
    assert step_clock.remaining(position, 121.0) == 2.0
    position, entries = step_clock.advance(position, 999.0)
    assert entries == (StepEntry(4, 123.0),)
    assert step_clock.is_over(position)
    assert step_clock.remaining(position, 999.0) == 0.0
    assert step_clock.ends(position) is None
    over = [
        step_clock.run(position, 1.0),
        step_clock.leave(position, 1.0),
        step_clock.repeat(position, 1.0),
    ]
    assert over == [position] * 3


@given(lengths, st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=8))
def test_a_pause_of_any_length_takes_nothing_from_a_step(
    seconds: tuple[float | None, ...], spells: list[tuple[float, float]]
) -> None:
    step_clock = StepClock(seconds)
    now = 1000.0
    ran = 0.0
    position = Position()
    for run, pause in spells:
        position = step_clock.run(position, now)
        now = now + run
        ran = ran + run
        position, _ = step_clock.advance(position, now)
        position = step_clock.halt(position, now)
        assert position.since is None
        before = step_clock.remaining(position, now)
        now += pause
        assert step_clock.remaining(position, now) == before
        assert step_clock.advance(position, now) == (position, ())
    straight, _ = step_clock.advance(step_clock.run(Position(), 0.0), ran)
    assert abs(straight.step - position.step) <= 1  # at a boundary, rounding decides
    if straight.step == position.step and not step_clock.is_over(position):
        left = step_clock.remaining(position, now)
        expected = step_clock.remaining(straight, ran)
        assert (left is None) == (expected is None)
        assert left is None or expected is None or left == pytest.approx(expected, abs=1e-6)


@given(lengths, st.lists(st.sampled_from(["run", "halt", "leave", "repeat", "wait"]), max_size=30))
def test_whatever_is_pressed_the_place_stays_within_the_course(
    seconds: tuple[float | None, ...], keys: list[str]
) -> None:
    step_clock = StepClock(seconds)
    position = Position()
    now = 0.0
    for key in keys:
        now += 1.0
        before, _ = step_clock.advance(position, now)
        match key:
            case "run":
                position = step_clock.run(before, now)
            case "halt":
                position = step_clock.halt(before, now)
            case "leave":
                position = step_clock.leave(before, now)
            case "repeat":
                position = step_clock.repeat(before, now)
            case _:
                position = before
        assert before.step <= position.step <= min(before.step + 1, len(seconds))
        assert position.since is None or position.since <= now
        left = step_clock.remaining(position, now)
        if left is not None and not step_clock.is_over(position):
            assert 0 <= left <= (seconds[position.step] or 0.0)
        assert not (step_clock.is_over(position) and position.since is not None)
