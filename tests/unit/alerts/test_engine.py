"""When an alert begins and ends: lasting, hysteresis, what is not known, a restart."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alerts.rules import FORGET_S, AlertEngine, Change, Zone
from edge_agent.alerts.signals import zone_of
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.vitals import VitalKind

HIGH = RuleSettings(
    name="hr",
    when=AlertKind.VITAL,
    vital=VitalKind.HEART_RATE,
    above=120,
    below=45,
    margin=5,
    seconds=10,
    clear_seconds=30,
)


def changes_of(values: Iterable[float | None], engine: AlertEngine) -> list[tuple[int, Change]]:
    """Give a value each second (``None``: none is known); return what changed at which second."""
    changes = []
    for second, value in enumerate(values):
        zone = Zone.UNKNOWN if value is None else zone_of(HIGH, value)
        change = engine.step("hr", zone, float(second))
        if change is not None:
            changes.append((second, change))
    return changes


def test_it_begins_after_the_time_without_a_break_and_ends_within_the_margin() -> None:
    values = [130.0] * 20 + [118.0] * 100 + [110.0] * 40
    assert changes_of(values, AlertEngine([HIGH])) == [
        (10, Change.BEGUN),
        (150, Change.OVER),  # 118 is within the limit, and not by the margin
    ]


def test_a_moment_within_the_limit_lets_the_time_begin_anew() -> None:
    values = [130.0] * 9 + [119.0] + [130.0] * 9
    assert changes_of(values, AlertEngine([HIGH])) == []


def test_both_limits_count() -> None:
    assert changes_of([44.0] * 11, AlertEngine([HIGH])) == [(10, Change.BEGUN)]
    assert changes_of([45.0] * 99 + [120.0] * 99, AlertEngine([HIGH])) == []


def test_a_value_that_flaps_around_the_limit_makes_one_alert() -> None:
    """Every five seconds over the limit and just below it, for an hour."""
    values = [130.0] * 15 + ([121.0] * 5 + [117.0] * 5) * 360
    assert changes_of(values, AlertEngine([HIGH])) == [(10, Change.BEGUN)]


def test_what_is_not_known_neither_begins_nor_ends_until_it_is_forgotten() -> None:
    engine = AlertEngine([HIGH])
    lost = round(FORGET_S)
    assert changes_of([130.0] * 11 + [None] * (lost - 1) + [130.0], engine) == [(10, Change.BEGUN)]
    assert changes_of([None] * (lost + 1), AlertEngine([HIGH], ["hr"])) == [
        (lost, Change.NOT_KNOWN)
    ]
    assert changes_of([None] * 1000, AlertEngine([HIGH])) == []


def test_an_alert_of_before_goes_on_and_is_not_begun_again() -> None:
    engine = AlertEngine([HIGH], open_rules=["hr"])
    assert changes_of([130.0] * 100, engine) == []
    assert engine.is_open("hr")
    engine.forget("hr")
    assert changes_of([130.0] * 11, engine) == [(10, Change.BEGUN)]


def test_no_time_at_all_is_at_once() -> None:
    at_once = RuleSettings(name="x", when=AlertKind.CAMERA, seconds=0, clear_seconds=0)
    engine = AlertEngine([at_once])
    assert engine.step("x", Zone.BEYOND, 5.0) is Change.BEGUN
    assert engine.step("x", Zone.WELL, 5.0) is Change.OVER


@given(st.lists(st.sampled_from(Zone), max_size=300))
def test_beginnings_and_ends_take_turns_and_each_was_deserved(zones: list[Zone]) -> None:
    engine = AlertEngine(
        [RuleSettings(name="x", when=AlertKind.CAMERA, seconds=3, clear_seconds=4)]
    )
    is_open = False
    for second, zone in enumerate(zones):
        change = engine.step("x", zone, float(second))
        if change is Change.BEGUN:
            assert not is_open
            assert zones[second - 3 : second + 1] == [Zone.BEYOND] * 4
        elif change is not None:
            assert is_open
            assert zones[second - 4 : second + 1] == [Zone.WELL] * 5
        is_open = engine.is_open("x")
