"""Places that go round: nobody fills all of them, and each has a turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from edge_agent.core.helper.places import FairPlaces
from tests.support.broker import wait_until

SOON_S = 30.0


class Scene:
    """Askers that come to two places one after the other.

    Attributes:
        entered: who had a place, in this order.
        may_leave: lets those with a place leave it, by who they are.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.places = FairPlaces(2)
        self.entered: list[str] = []
        self.may_leave: dict[str, threading.Event] = {}
        self._threads = threads

    def come(self, who: str) -> None:
        """Let somebody come, such as "eve 2" for another question of eve."""
        asker = who.partition(" ")[0]
        self.may_leave[who] = threading.Event()

        def hold() -> None:
            with self.places.place(asker):
                self.entered.append(who)
                assert self.may_leave[who].wait(SOON_S)

        before = len(self.entered) + self.places.waiting
        self._threads.submit(hold)
        wait_until(lambda: len(self.entered) + self.places.waiting > before, who, SOON_S)

    def expect(self, *whose: str) -> None:
        wait_until(lambda: self.entered == list(whose), f"the turn of {whose[-1]}", SOON_S)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with ThreadPoolExecutor(8) as threads:
        made = Scene(threads)
        yield made
        for event in made.may_leave.values():
            event.set()


def test_places_one_asker_without_end_leaves_one_to_others(scene: Scene) -> None:
    for who in ("eve 1", "eve 2", "eve 3", "ada 1"):
        scene.come(who)
    scene.expect("eve 1", "ada 1")
    scene.may_leave["ada 1"].set()
    scene.come("ada 2")
    scene.expect("eve 1", "ada 1", "ada 2")


def test_places_all_taken_next_is_whose_turn_is_longest_ago(scene: Scene) -> None:
    for who in ("eve 1", "mallory 1", "eve 2", "mallory 2", "ada 1"):
        scene.come(who)
    order = ["eve 1", "mallory 1"]
    scene.expect(*order)
    for leaves, enters in (("mallory 1", "ada 1"), ("eve 1", "eve 2"), ("ada 1", "mallory 2")):
        scene.may_leave[leaves].set()
        order.append(enters)
        scene.expect(*order)
