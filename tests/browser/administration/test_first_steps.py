"""The first steps: from the setup code to Live by the keyboard, on a phone, without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.appliance import Appliance
from tests.support.browser import DESKTOP, PHONE, watched_page
from tests.support.dashboard import PASSWORD
from tests.support.timeline import wait_for

pytestmark = pytest.mark.browser
STEPS = ("camera", "privacy", "account", "broker", "sensors")


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The dashboard of a new appliance whose camera is the demonstration's."""
    settings: dict[str, dict[str, Any]] = {
        "camera": {"source": "demo"},
        "mqtt": {"enabled": False},
        "vitals.simulated": {"enabled": True},
    }
    with Appliance(tmp_path_factory.mktemp("new") / "agent", settings) as agent:
        agent.wait_for("the agent runs")
        with Served(agent.data, agent.config) as dashboard:
            yield dashboard


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: Served) -> StorageState:
    """Whoever made the first account, which leads to the first step."""
    with watched_page(browser) as page:
        page.goto(f"{dashboard.address}/setup")
        page.keyboard.type(dashboard.setup_code)  # the field has the focus
        page.keyboard.press("Tab")
        page.keyboard.type("ada")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("First steps")
        expect(page.get_by_role("heading", level=2)).to_contain_text("Is the camera found")
        return page.context.storage_state()


def press(page: Page, button: str) -> None:
    """Reach a button by the Tab key alone, and press it."""
    wanted = page.get_by_role("button", name=button)
    for _ in range(80):
        if wanted.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    page.keyboard.press("Enter")


def type_into(page: Page, label: str, text: str) -> None:
    """Reach a field by the Tab key alone, and type in place of what it holds."""
    wanted = page.get_by_label(label, exact=True)
    for _ in range(80):
        if wanted.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        (PHONE, "dark"),
        pytest.param(PHONE, "light", marks=pytest.mark.deep),
        pytest.param((1440, 900), "dark", marks=pytest.mark.deep),
        pytest.param((1440, 900), "light", marks=pytest.mark.deep),
    ],
)
def test_no_step_has_a_barrier_or_scrolls_sideways(
    browser: Browser,
    dashboard: Served,
    login: StorageState,
    axe: str,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:
    with watched_page(browser, login, size, scheme) as page:
        for step in STEPS:
            page.goto(f"{dashboard.address}/first-steps?step={step}")
            looks_right(page, axe)


def test_the_camera_s_step_says_without_a_picture_how_a_face_stands(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{dashboard.address}/first-steps?step=camera")
        expect(page.locator("#camera-said")).to_contain_text("The camera delivers pictures")
        expect(page.locator("#standing")).to_contain_text("camera open")
        expect(page.locator("#framing-ready")).to_have_text("ready")
        assert page.locator("canvas, img:not([alt=''])").count() == 0


def test_each_step_by_the_keyboard_some_skipped_and_then_live(
    browser: Browser, dashboard: Served, login: StorageState
) -> None:
    with watched_page(browser, login, DESKTOP) as page:
        page.goto(f"{dashboard.address}/first-steps")
        press(page, "Done, continue")
        expect(page.get_by_role("heading", level=2)).to_contain_text("how long is it kept")
        expect(page.get_by_text("for 90 days")).to_be_visible()
        press(page, "Skip this step")
        expect(page.get_by_role("heading", level=2)).to_have_text(
            "Who else works with this device?"
        )
        type_into(page, "Name", "grace")
        press(page, "Add an account")
        expect(page.locator("#link")).to_contain_text("/welcome?link=")
        expect(page.get_by_text("grace operator")).to_be_visible()

        page.goto(f"{dashboard.address}/live")
        page.get_by_role("link", name="The first steps").click()
        expect(page.get_by_role("heading", level=2)).to_have_text(
            "Who else works with this device?"
        )
        steps = page.get_by_role("navigation", name="Steps")
        expect(steps).to_contain_text("1. Camera done")
        expect(steps).to_contain_text("2. Privacy skipped")
        press(page, "Done, continue")
        press(page, "Done, continue")
        expect(page.get_by_role("heading", level=2)).to_have_text("Which sensors send readings?")
        newest = page.get_by_role("list", name="Newest readings")
        # The page is of one moment, and the first reading may be written after it.
        wait_for(lambda: newest.count() > 0 or not page.reload(), 60)
        expect(newest).to_contain_text("Heart rate")
        press(page, "Finish, and go to Live")
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        assert page.get_by_role("link", name="The first steps").count() == 0
