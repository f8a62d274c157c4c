"""Endless requests of one account do not keep other accounts from acts that protect people."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.password_queue import PasswordQueue, PasswordsBusyError
from dashboard.accounts.roles import Role
from dashboard.computing.processes import Computing
from dashboard.web.authentication import DEVICE_COOKIE
from dashboard.web.guards.login_throttle import Asker, HeldUpError, LoginThrottle
from dashboard.web.services import ShortLived
from edge_agent.core import clock
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.write.merged_notes import write_note
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import Seconds, WallClock
from tests.support.dashboard import (
    NAME,
    PASSWORD,
    another_browser,
    client_of,
    log_in_as,
    services_of,
    set_up,
)
from tests.support.timeline import query, timeline

CARERS = [f"carer {number}" for number in range(5)]
ACTS_MS = 100
"""Ten requests a second."""
BEFORE = 6_000
SOON_S = 30.0
NEW = "Kraniche ziehen 47 nach Sueden"


def log_in(client: TestClient) -> int:
    form = {"name": NAME, "password": PASSWORD}
    return another_browser(client, "192.0.2.9").post("/login", data=form).status_code


def flood(client: TestClient, names: list[str], wall: WallClock) -> list[int]:
    """Let carers log in and out by turns, the last time with others among them, who are answered.

    What the trail holds of the first ten minutes is written at once.
    """
    services = services_of(client)
    for name in names:
        log_in_as(client, Role.CARER, name)
    with write_transaction(services.options.database) as connection:
        for number in range(BEFORE):
            name, action = names[number % len(names)], ("login", "logout")[number % 2]
            write_note(connection, name, action, f"from 192.0.2.{number % 7}", clock.now())
            wall.ms += ACTS_MS
    answers = []
    for name in names:
        account = services.accounts.named_by_proxy(name)
        for _ in range(20 // len(names)):
            services.accounts.log_out(services.accounts.log_in(account))
            wall.ms += 2 * ACTS_MS
        answers.append(log_in(client))
    return answers


@pytest.mark.parametrize("names", [CARERS[:1], CARERS], ids=["one", "five"])
def test_accounts_that_log_in_without_end_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    database = timeline(tmp_path)
    with client_of(tmp_path, Seconds()) as client:
        ada = set_up(client, tmp_path)
        wall = WallClock()
        monkeypatch.setattr(clock, "now", wall)
        assert set(flood(client, names, wall)) == {303}
        members = services_of(client).members
        for name in names:
            assert ada.post(f"/accounts/{members.find(name).id}/remove").status_code == 303
        assert ada.post("/logout").status_code == 303
        wall.ms += 3_600_000
        assert log_in(client) == 303
    lines = query(
        database,
        "SELECT detail FROM audit WHERE actor LIKE 'carer%' AND action IN ('login', 'logout')",
    )
    counted = [int(one[0].split()[1].replace(",", "")) for one in lines if one[0][:1] == "×"]
    in_full = len(lines) - len(counted)
    assert sum(counted) + in_full == BEFORE + 40 + len(names), "a log-in is in no line"
    assert in_full <= 210 * len(names)


def test_half_logins_of_one_account_end_none_of_others() -> None:
    kept: ShortLived[str] = ShortLived(Seconds(), 300, most=20)
    ada = kept.keep("ada", 1)
    eve = [kept.keep(f"eve {number}", 2) for number in range(100)]
    assert kept.of(ada) == "ada"
    assert [kept.of(key) for key in eve[:-19]] == [None] * 81
    assert [kept.of(key) for key in eve[-19:]] == [f"eve {number}" for number in range(81, 100)]


def test_account_known_in_many_browsers_has_one_place_in_the_queue(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    throttle = LoginThrottle(path, Seconds())
    cookies = [throttle.devices.cookie_for("eve") for _ in range(20)]

    async def scene() -> list[object]:
        began, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def check() -> str:
            loop.call_soon_threadsafe(began.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(60)
            return "in"

        flooding = [
            asyncio.create_task(throttle.checked(Asker("192.0.2.7", "eve", cookie), check))
            for cookie in cookies
        ]
        await began.wait()
        other = asyncio.create_task(throttle.checked(Asker("192.0.2.9", "ada"), check))
        await asyncio.sleep(0)
        go_on.set()
        return [*await asyncio.gather(*flooding, return_exceptions=True), await other]

    *answers, ada = asyncio.run(scene())
    assert ada == "in"
    assert answers[0] == "in"
    assert all(isinstance(one, HeldUpError) and one.status == 503 for one in answers[1:])


def test_who_had_turns_lately_gives_way_to_who_had_none() -> None:
    seconds = Seconds()

    async def scene() -> list[str]:
        turns = PasswordQueue(1, 2, seconds)
        for name in ("a", "b", "c"):
            async with turns.turn(name, -1):
                pass
            async with turns.turn(name, -1):
                pass
        checked: list[str] = []
        go_on = asyncio.Event()

        async def one(name: str, rank: int) -> None:
            try:
                async with turns.turn(name, rank):
                    checked.append(name)
                    await go_on.wait()
            except PasswordsBusyError:
                checked.append(f"not {name}")

        tasks = []
        for name, rank in (("a", -1), ("b", -1), ("c", -1), ("new", 0)):
            tasks.append(asyncio.create_task(one(name, rank)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*tasks)
        return checked

    assert asyncio.run(scene()) == ["a", "not c", "new", "b"]


class BusyComputing(Computing):
    """Computes for somebody else until it may go on.

    Attributes:
        asked: how many wait for a computation.
        may_go_on: whether they get an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.may_go_on = threading.Event()

    def call(self, function: Callable[..., Any], *values: Any, **_nothing: Any) -> Any:
        self.asked += 1
        assert self.may_go_on.wait(SOON_S)
        return function(*values)


def test_new_passwords_that_wait_for_a_computation_keep_nobody_out(tmp_path: Path) -> None:
    timeline(tmp_path)
    computing = BusyComputing()
    with client_of(tmp_path, computing=computing) as client, ThreadPoolExecutor(4) as threads:
        set_up(client, tmp_path)
        carla = log_in_as(client, Role.CARER, "carla")
        known = log_in_as(client, Role.CARER, "carla")
        known.cookies.set(
            DEVICE_COOKIE, services_of(client).login_throttle.devices.cookie_for("carla")
        )
        link = services_of(client).members.add_with_link("eve", Role.CARER, NAME)
        chosen = {"link": link.partition("link=")[2], "new": NEW, "again": NEW}
        change = {"old": NEW, "new": NEW, "again": NEW}
        waiting = [
            threads.submit(browser.post, "/account/password", data=change)
            for browser in (carla, known)
        ]
        waiting.append(threads.submit(another_browser(client).post, "/welcome", data=chosen))
        try:
            wait_until(lambda: computing.asked == 3, "all to wait", SOON_S)
            assert threads.submit(log_in, client).result(SOON_S) == 303
        finally:
            computing.may_go_on.set()
        assert waiting[2].result(SOON_S).status_code == 303
    computing.close()


def test_account_logged_in_has_one_place_with_or_without_the_cookie(tmp_path: Path) -> None:
    database = timeline(tmp_path)

    async def scene() -> None:
        throttle = LoginThrottle(database, Seconds())
        cookie = throttle.devices.cookie_for("carla")
        checked, may_end = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def check() -> None:
            loop.call_soon_threadsafe(checked.set)
            assert may_end.wait(SOON_S)

        first = asyncio.create_task(
            throttle.checked(Asker("192.0.2.7", "carla", is_logged_in=True), check)
        )
        await checked.wait()
        try:
            for second in (
                Asker("192.0.2.8", "carla", is_logged_in=True),
                Asker("192.0.2.7", "carla", cookie, is_logged_in=True),
                Asker("192.0.2.7", "carla", step="second factor", is_logged_in=True),
                Asker("192.0.2.7", "carla", cookie),
            ):
                with pytest.raises(HeldUpError) as caught:
                    await throttle.checked(second, lambda: None)
                assert caught.value.status == 503
            await throttle.checked(Asker("192.0.2.7", "ada"), lambda: None)
        finally:
            may_end.set()
        await first

    asyncio.run(scene())


def test_links_that_another_site_asks_for_use_up_no_attempts(tmp_path: Path) -> None:
    timeline(tmp_path)
    with client_of(tmp_path) as client:
        set_up(client, tmp_path)
        reader = another_browser(client, "192.0.2.9")
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
        answers = [reader.get(f"/login?link=bad{n}", headers=foreign) for n in range(7)]
        assert {answer.status_code for answer in answers} == {403}
        assert log_in(client) == 303
