"""When something is due, whose turn it is, and how fast a counter grows."""

from __future__ import annotations

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Every, Rate
from edge_agent.core.threads import Turns


class Boot:
    """A boot clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def boot(monkeypatch: pytest.MonkeyPatch) -> Boot:
    turned = Boot()
    monkeypatch.setattr(clock, "boot_seconds", turned)
    return turned


def due_at(timer: Every, boot: Boot, *seconds: float) -> list[bool]:
    """What it answers at these seconds after the start."""
    answers = []
    for second in seconds:
        boot.now_s = 1000.0 + second
        answers.append(timer.due())
    return answers


def test_timer_is_due_once_an_interval_however_late_it_is_asked(boot: Boot) -> None:
    timer = Every(10)
    answers = due_at(timer, boot, 0, 9.9, 10, 10.1, 19.9, 25, 26, 29.9, 30)
    assert answers == [False, False, True, False, False, True, False, False, True]


def test_asked_for_at_once_it_is_due_at_once_and_then_after_an_interval(boot: Boot) -> None:
    assert due_at(Every(10, at_once=True), boot, 0, 0, 9.9, 10) == [True, False, False, True]


def test_after_a_whole_interval_without_a_question_it_begins_anew(boot: Boot) -> None:
    assert due_at(Every(10), boot, 20, 29.9, 30, 41, 45, 50.9, 51) == [
        True, True, True, True, False, True, False,
    ]  # fmt: skip
    assert due_at(Every(10), boot, 75, 75, 84.9, 85) == [True, False, False, True]


def test_a_rate_is_that_of_the_last_two_seconds(boot: Boot) -> None:
    rate = Rate()
    found = []
    for second, count in ((1.9, 40), (2, 40), (3.9, 400), (4, 50), (8, 50), (9, 60)):
        boot.now_s = 1000 + second
        found.append(rate.per_second(count))
    assert found == [0, 20, 20, 5, 0, 0]


def test_turns_of_who_left_or_asks_no_more_pass_to_the_next(boot: Boot) -> None:
    turns = Turns(kept_s=30.0)

    def before(name: str) -> int:
        with turns.asked_by(name) as count:
            return count

    with turns.asked_by("ada") as ada:
        assert [ada, before("eve"), before("zoe"), before("ida")] == [0, 1, 2, 3]
        turns.leave("eve")
        assert before("ida") == 2
        boot.now_s += 31
        assert before("ida") == 1, "zoe has not asked for half a minute"
        with pytest.raises(ValueError, match="wrong"), turns.asked_by("ida"):
            raise ValueError("wrong")
        assert before("zoe") == 2
    assert [before("zoe"), before("ida"), before("zoe")] == [1, 0, 0]
