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


def test_nobody_is_to_blame_for_an_end_with_many_messages_but_then_one_goes_at_a_time() -> None:
    guard = DropGuard()
    assert not guard.is_careful
    for _ in range(DROPS * 2):
        guard.note_end([1, 2, 3])
    assert guard.is_careful and not guard.skipped
    assert guard.blame_skipped(1) == guard.blame_skipped(2) == frozenset()
    assert guard.is_careful
    guard.blame_skipped(3)
    assert not guard.is_careful


def test_one_is_to_blame_once_the_broker_takes_another() -> None:
    guard = DropGuard()
    guard.note_end([1, 2, 3])
    dropped_alone(guard, 1)
    dropped_alone(guard, 2)
    assert guard.blame_skipped(3) == {1, 2}
    assert not guard.is_careful and not guard.skipped


def test_a_message_that_gets_through_in_the_end_is_forgiven() -> None:
    guard = DropGuard()
    guard.note_end([1])
    for _ in range(DROPS - 1):
        guard.note_end([1])
    assert guard.blame_skipped(1) == frozenset()
    guard.note_end([1])
    assert not guard.skipped


def test_a_broker_that_takes_nothing_at_all_is_no_fault_of_the_messages() -> None:
    guard = DropGuard()
    guard.note_end(range(100))
    for message in range(MOST_SKIPPED - 1):
        dropped_alone(guard, message)
    for _ in range(DROPS):
        guard.note_end([MOST_SKIPPED])
    assert not guard.skipped and guard.is_careful
    assert guard.blame_skipped(0) == frozenset()


def test_messages_that_are_gone_are_not_suspected_for_ever() -> None:
    guard = DropGuard()
    guard.note_end([1, 2])
    dropped_alone(guard, 1)
    guard.forget_before(3)
    assert not guard.is_careful and not guard.skipped
