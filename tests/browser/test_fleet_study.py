"""Study, Analysis and Export of a fleet in the browser: choose a device, or several as sites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from playwright.sync_api import Browser, StorageState, expect

from edge_agent.store.database.schema import HOUR_MS
from tests.browser.served import Served
from tests.support.browser import PHONE, has_sideways_scroll, watched_page
from tests.support.fleet.clocked_device import RECORDED_MS, ClockedDevice
from tests.support.fleet.postgres import INSTALL, postgres_programs, running_postgres
from tests.support.fleet.studies_there import collect, other_device, studied_device

pytestmark = [pytest.mark.browser, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The dashboard of two devices."""
    folder = tmp_path_factory.mktemp("devices")
    devices = {"room-1": studied_device(folder), "hall": other_device(folder / "other")}
    config = folder / "fleet.toml"
    with running_postgres() as postgres:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            collect(connection, devices)
            for name, hours in (("early", 2), ("late", -26)):
                off = ClockedDevice.make(folder, name, ahead_ms=hours * HOUR_MS)
                off.record(10)
                off.send(connection)
                off.speak(connection)
        config.write_text(f'[dashboard]\nsource = "{postgres.address}"\n', encoding="utf-8")
        own = tmp_path_factory.mktemp("fleet")
        with Served(own, config) as served:
            yield served


@pytest.fixture(scope="module")
def login(dashboard: Served) -> StorageState:
    """A login to the dashboard of the fleet."""
    return dashboard.login()


def test_trends_of_all_devices_say_whose_times_are_moved(
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
