"""Who is to blame when a broker hangs up, and who never is."""

from __future__ import annotations

from edge_agent.mqtt.sending import DROPS, PASSED_OVER, DropGuard


def dropped_alone(guard: DropGuard, message: int) -> None:
    """The broker hangs up at a message until it is passed over."""
    for _ in range(DROPS):
        assert guard.is_careful and message not in guard.passed_over
        guard.ended([message])
    assert message in guard.passed_over


def test_nobody_is_to_blame_for_an_end_with_many_messages_but_then_one_goes_at_a_time() -> None:
    guard = DropGuard()
    assert not guard.is_careful
    for _ in range(DROPS * 2):
        guard.ended([1, 2, 3])
    assert guard.is_careful and not guard.passed_over
    assert guard.acknowledged(1) == guard.acknowledged(2) == frozenset()
    assert guard.is_careful
    guard.acknowledged(3)
    assert not guard.is_careful


def test_one_is_to_blame_once_the_broker_takes_another() -> None:
    guard = DropGuard()
    guard.ended([1, 2, 3])
    dropped_alone(guard, 1)
    dropped_alone(guard, 2)
    assert guard.acknowledged(3) == {1, 2}
    assert not guard.is_careful and not guard.passed_over


def test_a_message_that_gets_through_in_the_end_is_forgiven() -> None:
    guard = DropGuard()
    guard.ended([1])
    for _ in range(DROPS - 1):
        guard.ended([1])
    assert guard.acknowledged(1) == frozenset()
    guard.ended([1])
    assert not guard.passed_over


def test_a_broker_that_takes_nothing_at_all_is_no_fault_of_the_messages() -> None:
    guard = DropGuard()
    guard.ended(range(100))
    for message in range(PASSED_OVER - 1):
        dropped_alone(guard, message)
    for _ in range(DROPS):
        guard.ended([PASSED_OVER])
    assert not guard.passed_over and guard.is_careful
    assert guard.acknowledged(0) == frozenset()


def test_messages_that_are_gone_are_not_suspected_for_ever() -> None:
    guard = DropGuard()
    guard.ended([1, 2])
    dropped_alone(guard, 1)
    guard.gone_before(3)
    assert not guard.is_careful and not guard.passed_over
