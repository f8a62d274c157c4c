"""The first steps: from the setup code to Live by the keyboard, on a phone, without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto
from tests.support.browser import DESKTOP, PHONE, watched_page
from tests.support.dashboard import PASSWORD

pytestmark = pytest.mark.browser
STEPS = ("camera", "privacy", "account", "broker", "sensors")


class Stand:
    """A new appliance whose camera is the demonstration's, its dashboard, and a broker."""

    def __init__(self, agent: Appliance, dashboard: Served, broker: Mosquitto) -> None:
        self.agent = agent
        self.dashboard = dashboard
        self.broker = broker

    def at(self, step: str) -> str:
        return f"{self.dashboard.address}/first-steps?step={step}"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder: Path = tmp_path_factory.mktemp("new")
    broker = Mosquitto(folder / "broker", users={"edge": "wonderland"})
    settings: dict[str, dict[str, Any]] = {
        "camera": {"source": "demo"},
        "mqtt": {"enabled": False, "host": "127.0.0.1", "port": broker.port},
        "vitals.simulated": {"enabled": True},
    }
    broker.start()
    try:
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs", 90)
            with Served(agent.data, agent.config) as dashboard:
                yield Stand(agent, dashboard, broker)
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def login(browser: Browser, stand: Stand) -> StorageState:
    """Whoever made the first account, which leads to the first step."""
    with watched_page(browser) as page:
        page.goto(f"{stand.dashboard.address}/setup")
        page.keyboard.type(stand.dashboard.setup_code)  # the field has the focus
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
    stand: Stand,
    login: StorageState,
    axe: str,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:
    with watched_page(browser, login, size, scheme) as page:
        for step in STEPS:
            page.goto(stand.at(step))
            looks_right(page, axe)


def test_the_camera_s_step_says_without_a_picture_how_a_face_stands(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(stand.at("camera"))
        expect(page.locator("#camera-said")).to_contain_text("The camera gives pictures")
        expect(page.locator("#standing")).to_contain_text("camera open")
        expect(page.locator("#framing-ready")).to_have_text("ready")
        assert page.locator("canvas, img:not([alt=''])").count() == 0


def test_a_setting_is_changed_by_the_settings_page_which_leads_back(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(stand.at("camera"))
        type_into(page, "fps", "10")
        press(page, "Show what would change")
        expect(page.get_by_text("fps = 10")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Saved")).to_be_visible()
        page.get_by_role("link", name="Go on with the first steps").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("First steps")
    assert "fps = 10" in stand.agent.config.read_text(encoding="utf-8")


def test_each_step_by_the_keyboard_some_skipped_and_then_live(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    with watched_page(browser, login, DESKTOP) as page:
        page.goto(f"{stand.dashboard.address}/first-steps")
        press(page, "Done, go on")
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

        page.goto(f"{stand.dashboard.address}/live")
        page.get_by_role("link", name="The first steps").click()
        expect(page.get_by_role("heading", level=2)).to_have_text(
            "Who else works with this device?"
        )
        steps = page.get_by_role("navigation", name="Steps")
        expect(steps).to_contain_text("1. Camera done")
        expect(steps).to_contain_text("2. Privacy skipped")
        press(page, "Done, go on")
        press(page, "Done, go on")
        expect(page.get_by_role("heading", level=2)).to_have_text("Which sensors are heard?")
        expect(page.get_by_role("list", name="Newest readings")).to_contain_text("Heart rate")
        press(page, "Finish, and go to Live")
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        assert page.get_by_role("link", name="The first steps").count() == 0


def test_the_broker_is_tried_with_what_was_typed_which_is_not_kept(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    before = stand.agent.config.read_text(encoding="utf-8")
    with watched_page(browser, login, DESKTOP) as page:
        page.goto(stand.at("broker"))
        press(page, "Test the connection")
        expect(page.locator("#answer.notice-warn")).to_be_visible()
        type_into(page, "User name", "edge")
        type_into(page, "Password", "wonderland")
        press(page, "Test the connection")
        expect(page.locator("#answer.notice-good")).to_contain_text("lets us in as 'edge'")
        command = page.locator("pre.command")
        expect(command).to_contain_text("mqtt.username=")
        assert "wonderland" not in page.content()
        type_into(page, "Port", "1")
        press(page, "Test the connection")
        expect(page.locator("#answer.notice-warn")).to_be_visible()
        type_into(page, "Port", "many")
        press(page, "Test the connection")
        expect(page.locator("#answer.notice-bad")).to_contain_text("mqtt.port")
    assert stand.agent.config.read_text(encoding="utf-8") == before


def test_without_scripts_the_steps_are_taken_as_well(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    with watched_page(browser, login, scripts=False) as page:
        page.goto(stand.at("camera"))
        expect(page.locator("#camera-said")).to_contain_text("The camera gives pictures")
        for _ in range(4):
            page.get_by_role("button", name="Done, go on").click()
        page.get_by_role("button", name="Finish, and go to Live").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")


def test_a_camera_that_is_not_there_is_said_with_what_to_do(
    browser: Browser, stand: Stand, login: StorageState
) -> None:
    stand.agent.stop()
    with watched_page(browser, login, DESKTOP) as page:
        page.goto(stand.at("camera"))
        expect(page.locator("#camera-said")).to_contain_text("The agent does not answer")
        expect(page.locator("#framing-ready")).to_have_text("not ready")
