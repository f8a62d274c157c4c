"""The pages of a fleet in the browser: who is kept out of them, and what they say of devices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from playwright.sync_api import Browser, StorageState, expect

from edge_agent.timeline.database.schema import HOUR_MS
from tests.browser.barriers import complaints_at_all_sizes, complaints_of
from tests.browser.fleet import served_fleet
from tests.browser.page_paths import page_paths
from tests.browser.served import Served
from tests.support.browser import DESKTOP, PHONE, has_sideways_scroll, watched_page
from tests.support.fleet.clocked_device import RECORDED_MS
from tests.support.fleet.postgres import INSTALL, postgres_programs

pytestmark = [pytest.mark.browser, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]
OF_DEVICES = re.compile("/(fleet|trends|analysis|study|export|accounts)([?]|$)")
"""Pages that a fleet fills; the others are those of an appliance, which have tests of their own."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The dashboard of devices in every state."""
    with served_fleet(tmp_path_factory.mktemp("fleet")) as served:
        yield served


@pytest.fixture(scope="module")
def login(dashboard: Served) -> StorageState:
    """A login to the dashboard of the fleet."""
    return dashboard.login()


def test_trends_of_all_devices_name_those_with_shifted_times(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?range=7d")
        page.get_by_text("Wrong clocks: times of 2 devices are shifted").click()
        table = page.locator("#clocks-off tbody")
        expect(table.get_by_role("row", name="late")).to_contain_text("behind")
        expect(table.get_by_role("row", name="early")).to_contain_text("ahead")
        expect(page.locator(".empty")).to_have_count(0)
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page.reload()
        page.locator("#clocks-off summary").click()
        assert not has_sideways_scroll(page)
        before = f"start={RECORDED_MS - 40 * HOUR_MS}&end={RECORDED_MS - 20 * HOUR_MS}"
        page.goto(f"{dashboard.address}/trends?{before}")
        expect(page.locator(".empty")).to_be_visible()
        page.goto(f"{dashboard.address}/trends?{before}&device=late")
        expect(page.get_by_text("Times follow the device’s clock.")).to_be_visible()
        expect(page.locator(".empty")).to_have_count(0)
        expect(page.locator("#clocks-off")).to_have_count(0)


@pytest.fixture(scope="module")
def paths(browser: Browser, dashboard: Served, login: StorageState) -> list[str]:
    """All pages of a fleet, and those of a device that it shows."""
    with watched_page(browser, login) as page:
        plain = page_paths(page, dashboard.address)
    assert {"/fleet", "/trends", "/analysis", "/export", "/accounts"} <= set(plain)
    assert "/live" not in plain
    more = ("/fleet?name=nothing", "/study?device=room-1", "/trends?device=hall")
    return [*plain, *more, "/analysis?device=room-1&device=hall"]


def test_fleet_shows_each_state_and_accounts_who_may_not_log_in(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/fleet")
        for name, state in (("room-1", "online"), ("attic", "offline"), ("revoked", "silent")):
            row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))
            expect(row.locator(".fleet-state .badge")).to_have_text(state)
        page.goto(f"{dashboard.address}/accounts")
        expect(page.get_by_role("rowheader", name="gone")).to_contain_text("disabled")


def test_no_page_of_a_fleet_keeps_somebody_out(
    browser: Browser, dashboard: Served, login: StorageState, paths: list[str], axe: str
) -> None:
    complaints: list[str] = []
    with watched_page(browser, login, DESKTOP) as page:
        page.context.add_init_script(axe)
        for path in filter(OF_DEVICES.match, paths):
            found = complaints_of(page, dashboard.address + path, axe)
            complaints += [f"{path}: {one}" for one in found]
    assert not complaints, "\n".join(complaints)


@pytest.mark.deep
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_a_fleet_keeps_somebody_out_at_any_size(
    browser: Browser,
    dashboard: Served,
    login: StorageState,
    axe: str,
    paths: list[str],
    scheme: Literal["light", "dark"],
) -> None:
    complaints: list[str] = []
    with watched_page(browser, login, PHONE, scheme) as page:
        page.context.add_init_script(axe)
        for path in paths:
            found = complaints_at_all_sizes(page, dashboard.address + path, axe, scheme)
            complaints += [f"{path} {one}" for one in found]
    assert not complaints, "\n".join(complaints)
