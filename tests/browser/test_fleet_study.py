"""Study, Analysis and Export of a fleet in the browser: choose a device, or several as sites."""

from __future__ import annotations

import zipfile
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


@pytest.mark.deep
def test_a_researcher_goes_from_device_to_analysis_and_export(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login, refusals=(409,)) as page:
        page.goto(dashboard.address)
        pages = page.get_by_role("navigation", name="Pages")
        pages.get_by_role("link", name="Study").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Choose a device")
        page.get_by_label("Device").select_option("room-1")
        page.get_by_role("button", name="Show").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Study")
        expect(page.get_by_text("for reading only")).to_be_visible()
        for name in ("Withdraw", "Erase", "Add and ask for consent", "Start the session"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
        page.get_by_role("link", name="P00").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Participant P00")
        assert "device=room-1" in page.url
        pages.get_by_role("link", name="Analysis").click()
        assert "device=room-1" in page.url
        expect(page.get_by_text("Device: room-1")).to_be_visible()
        page.get_by_text("Device: room-1").click()
        page.get_by_role("checkbox", name="hall").check()
        page.locator("form", has=page.get_by_role("checkbox", name="hall")).get_by_role(
            "button", name="Show"
        ).click()
        expect(page.get_by_text("Devices: hall, room-1")).to_be_visible()
        page.get_by_role("radio", name="All measured").check()
        page.locator("[data-analysis-form] button[type=submit]").click()
        assert page.url.count("device=") == 2
        expect(page.get_by_text("Devices: hall, room-1")).to_be_visible()
        page.get_by_text("How this was computed", exact=True).click()
        expect(page.get_by_text("People of 2 sites are pooled: hall, room-1")).to_be_visible()
        page.goto(f"{dashboard.address}/export?device=room-1")
        page.get_by_role("button", name="Prepare the time range").click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_be_visible()
        expect(page.get_by_text("room-1: affect-edge-")).to_be_visible()
        page.get_by_role("button", name="Delete it from this device").click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_have_count(0)
        assert "device=room-1" in page.url
        page.goto(f"{dashboard.address}/export?device=room-1&device=hall")
        expect(page.get_by_text("one zip with a folder for each")).to_be_visible()
        page.get_by_role("checkbox", name="hall/P00").check()
        page.get_by_role("button", name="Prepare the sessions").click()
        expect(page.get_by_text("hall, room-1: affect-edge-")).to_be_visible(timeout=90_000)
        assert page.url.count("device=") == 2
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "analysis.json" in archive.namelist()
            assert "sites/hall/vital.csv" in archive.namelist()
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        for address in (
            "/study?device=room-1",
            "/analysis?device=room-1&device=hall",
            "/export?device=room-1&device=hall",
            "/analysis",
        ):
            page.goto(f"{dashboard.address}{address}")
            assert not has_sideways_scroll(page), address


def test_trends_of_all_devices_say_whose_times_are_moved(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?range=7d")
        page.get_by_text("Clocks that are off: times of 2 devices are moved").click()
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
        expect(page.get_by_text("Times are by the clock of the device.")).to_be_visible()
        expect(page.locator(".empty")).to_have_count(0)
        expect(page.locator("#clocks-off")).to_have_count(0)
