"""Two checks at once, few who wait, and who goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dashboard.accounts.login import BusyError, LoginTurns


class Crowd:
    """Who is being checked, in the order in which they came to it."""

    def __init__(self, turns: LoginTurns) -> None:
        self.turns = turns
        self.checked: list[str] = []
        self.refused: list[str] = []
        self.most = 0
        self._inside = 0
        self.go_on = asyncio.Event()

    async def one(self, who: str, rank: int = 0) -> None:
        try:
            async with self.turns.turn(who, rank):
                self.checked.append(who)
                self._inside += 1
                self.most = max(self.most, self._inside)
                await self.go_on.wait()
                self._inside -= 1
        except BusyError:
            self.refused.append(who)


def play(scene: Callable[[Crowd], Awaitable[None]], turns: tuple[int, int] = (2, 4)) -> Crowd:
    async def whole() -> Crowd:
        crowd = Crowd(LoginTurns(*turns))
        await scene(crowd)
        return crowd

    return asyncio.run(whole())


async def come(crowd: Crowd, *who: tuple[str, int]) -> list[asyncio.Task[None]]:
    """Let them come one after the other, and return when each has its place or its refusal."""
    tasks = []
    for name, rank in who:
        tasks.append(asyncio.create_task(crowd.one(name, rank)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def all_checked(crowd: Crowd, tasks: list[asyncio.Task[None]]) -> None:
    crowd.go_on.set()
    await asyncio.gather(*tasks)


def test_two_are_checked_at_once_four_wait_and_the_others_come_again() -> None:
    async def scene(crowd: Crowd) -> None:
        tasks = await come(crowd, *((f"10.0.0.{n}", 0) for n in range(100)))
        assert len(crowd.checked) == 2 and len(crowd.refused) == 94
        await all_checked(crowd, tasks)

    crowd = play(scene)
    assert crowd.most == 2
    assert crowd.checked == [f"10.0.0.{n}" for n in range(6)]


def test_one_address_has_one_place() -> None:
    async def scene(crowd: Crowd) -> None:
        await all_checked(crowd, await come(crowd, ("a", 0), ("a", 0), ("b", 0)))

    crowd = play(scene)
    assert (crowd.checked, crowd.refused) == (["a", "b"], ["a"])


def test_who_is_believed_goes_before_who_was_wrong_and_takes_their_place() -> None:
    async def scene(crowd: Crowd) -> None:
        tasks = await come(crowd, ("x", 0), ("wrong 3", 3), ("wrong 1", 1), ("known", -1))
        assert crowd.refused == ["wrong 3"]
        await all_checked(crowd, tasks)

    assert play(scene, (1, 2)).checked == ["x", "known", "wrong 1"]


def test_who_leaves_while_waiting_holds_up_nobody() -> None:
    async def scene(crowd: Crowd) -> None:
        tasks = await come(crowd, ("a", 0), ("b", 0), ("c", 0))
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        await all_checked(crowd, [tasks[0], tasks[2]])
        crowd.go_on.clear()
        await all_checked(crowd, await come(crowd, ("d", 0)))

    assert play(scene, (1, 2)).checked == ["a", "c", "d"]


def test_who_is_called_and_leaves_in_the_same_moment_passes_the_turn_on() -> None:
    async def scene(crowd: Crowd) -> None:
        tasks = await come(crowd, ("a", 0), ("b", 0), ("c", 0))
        crowd.go_on.set()
        await asyncio.sleep(0)  # "a" goes and has called "b", which has not run yet
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert play(scene, (1, 2)).checked in (["a", "c"], ["a", "b", "c"])
