"""Who is to blame when a broker hangs up, and who never is."""

from __future__ import annotations

from edge_agent.mqtt.connection import DROPS
from edge_agent.mqtt.delivery import MOST_SKIPPED, DropGuard


def dropped_alone(guard: DropGuard, message: int) -> None:
    """The broker hangs up at a message until it is passed over."""
    for _ in range(DROPS):
        assert guard.is_careful and message not in guard.skipped
        guard.note_end([message])
    assert message in guard.skipped


def test_guard_end_with_many_messages_blames_none_and_is_careful() -> None:
    guard = DropGuard()
    assert not guard.is_careful
    for _ in range(DROPS * 2):
        guard.note_end([1, 2, 3])
    assert guard.is_careful and not guard.skipped
    assert guard.blame_skipped(1) == guard.blame_skipped(2) == frozenset()
    assert guard.is_careful
    guard.blame_skipped(3)
    assert not guard.is_careful


def test_guard_later_message_taken_blames_the_skipped_ones() -> None:
    guard = DropGuard()
    guard.note_end([1, 2, 3])
    dropped_alone(guard, 1)
    dropped_alone(guard, 2)
    assert guard.blame_skipped(3) == {1, 2}
    assert not guard.is_careful and not guard.skipped


def test_guard_message_taken_in_the_end_is_forgiven() -> None:
    guard = DropGuard()
    guard.note_end([1])
    for _ in range(DROPS - 1):
        guard.note_end([1])
    assert guard.blame_skipped(1) == frozenset()
    guard.note_end([1])
    assert not guard.skipped


def test_guard_broker_taking_nothing_blames_no_message() -> None:
    guard = DropGuard()
    guard.note_end(range(100))
    for message in range(MOST_SKIPPED - 1):
        dropped_alone(guard, message)
    for _ in range(DROPS):
        guard.note_end([MOST_SKIPPED])
    assert not guard.skipped and guard.is_careful
    assert guard.blame_skipped(0) == frozenset()


def test_guard_messages_deleted_are_forgotten() -> None:
    guard = DropGuard()
    guard.note_end([1, 2])
    dropped_alone(guard, 1)
    guard.forget_before(3)
    assert not guard.is_careful and not guard.skipped
