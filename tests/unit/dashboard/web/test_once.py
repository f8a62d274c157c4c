"""Forms that are handed in twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.web.services import MOST_KEPT, Once, new_key
from edge_agent.core.errors import StudyError


def test_two_at_one_time_are_done_once_and_answered_alike() -> None:
    once = Once()
    key = new_key()
    done: list[str] = []
    both = threading.Barrier(2)

    def make() -> str:
        done.append("made")
        return f"/made/{len(done)}"

    def hand_in() -> str:
        both.wait(60)
        return once.run(key, make)

    with ThreadPoolExecutor(2) as pool:
        answers = {future.result() for future in [pool.submit(hand_in) for _ in range(2)]}
    assert answers == {"/made/1"}
    assert done == ["made"]


def test_refused_form_can_be_sent_again() -> None:
    once = Once()

    def refuse() -> str:
        raise StudyError("taken")

    with pytest.raises(StudyError):
        once.run("key", refuse)
    assert once.run("key", lambda: "/made") == "/made"
    assert once.run("", lambda: "/1") == "/1"
    assert once.run("", lambda: "/2") == "/2"


def test_only_the_newest_keys_are_kept() -> None:
    once = Once()
    for number in range(MOST_KEPT + 1):
        once.run(str(number), lambda: "/first")
    assert once.run("1", lambda: "/again") == "/first"
    assert once.run("0", lambda: "/again") == "/again"
