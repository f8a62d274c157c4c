"""Attempts that outlive a restart, and browsers that are known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dashboard.accounts import attempts as attempts_module
from dashboard.accounts.attempts import KeptAttempts, KnownDevices
from dashboard.accounts.password_queue import PasswordQueue, PasswordsBusyError
from tests.support.clocks.simulated_time import WallClock
from tests.support.timeline import query_dashboard


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    turned = WallClock()
    monkeypatch.setattr(attempts_module, "now", turned)
    return turned


def test_another_program_reads_how_old_each_attempt_is(path: Path, now: WallClock) -> None:
    kept = KeptAttempts(path)
    who = kept.hash_of("192.0.2.7")
    kept.add(who)
    now.ms += 40_000
    kept.add(who)
    now.ms += 2_000
    assert KeptAttempts(path).ages() == {who: [42.0, 2.0]}
    kept.forget(who)
    assert KeptAttempts(path).ages() == {}


def test_no_address_can_be_read_from_the_table_and_an_hour_is_all_it_keeps(
    path: Path, now: WallClock
) -> None:
    kept = KeptAttempts(path)
    kept.add(kept.hash_of("192.0.2.7"))
    assert "192.0.2.7" not in str(query_dashboard(path, "SELECT * FROM attempt"))
    now.ms += 3_600_000
    assert kept.ages() == {}
    kept.add(kept.hash_of("192.0.2.8"))
    assert query_dashboard(path, "SELECT count(*) FROM attempt") == [(1,)]


def test_clock_that_goes_back_forgives_nothing_and_keeps_nothing_for_ever(
    path: Path, now: WallClock
) -> None:
    kept = KeptAttempts(path)
    who = kept.hash_of("192.0.2.7")
    kept.add(who)
    now.ms -= 86_400_000
    assert kept.ages() == {who: [0.0]}
    kept.add(kept.hash_of("192.0.2.8"))
    now.ms += 3_600_000
    assert kept.ages() == {}


def test_a_browser_is_known_by_the_name_that_logged_in_with_it(path: Path) -> None:
    devices = KnownDevices(KeptAttempts(path))
    cookie = devices.cookie_for("ada")
    device = devices.device_of(cookie, " ADA ")
    assert device is not None
    assert KnownDevices(KeptAttempts(path)).device_of(cookie, "ada") == device
    assert devices.device_of(devices.cookie_for("ada"), "ada") != device
    for wrong in ("", ".", cookie[:-1], cookie.partition(".")[2], "ä" + cookie):
        assert devices.device_of(wrong, "ada") is None
    assert devices.device_of(cookie, "eve") is None


class Crowd:
    """Who is being checked, in the order in which they came to it."""

    def __init__(self, turns: PasswordQueue) -> None:
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
        except PasswordsBusyError:
            self.refused.append(who)


def play(scene: Callable[[Crowd], Awaitable[None]], turns: tuple[int, int] = (2, 4)) -> Crowd:
    async def whole() -> Crowd:
        crowd = Crowd(PasswordQueue(*turns))
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


def test_waiting_attempt_that_leaves_holds_up_no_other() -> None:
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
