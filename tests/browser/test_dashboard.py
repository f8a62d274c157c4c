"""Live, Study, Export and Health in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, StorageState, expect

from dashboard.web import routes
from dashboard.web.rendering import DEVICE, find_pages, navigation_of
from edge_agent.core.expression import Emotion
from edge_agent.core.study import MarkerKind
from tests.browser.live_agent import LiveAgent
from tests.browser.served import Served
from tests.support.browser import watched_page

pytestmark = pytest.mark.browser
ENTRIES = [entry for entry in navigation_of(find_pages(routes)) if entry.of != "fleet"]
MENU = {entry.menu_entry.title for entry in ENTRIES}
OF_DEVICE = {entry.title for entry in ENTRIES if entry.group == DEVICE}


def test_the_live_page_follows_the_agent_and_tells_when_it_goes(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/live")
        expect(page.get_by_text("agent offline")).to_be_visible()
        expect(page.get_by_text("The agent is not running.", exact=True)).to_be_visible()
        with LiveAgent(shown.folder, Emotion.HAPPINESS):
            expect(page.get_by_text("agent running")).to_be_visible()
            expect(page.locator("#now-label")).to_have_text("happiness")
            expect(page.locator("#bars [data-emotion=happiness] .bar-value")).to_have_text("86 %")
            expect(page.locator("#valence-value")).to_have_text("0.76")
            expect(page.locator("rect.face-primary")).to_have_attribute("width", "160")
            tile = page.locator("[data-tile=heart_rate]")
            expect(tile).to_contain_text("71 /min")
            expect(tile.get_by_text("simulated")).to_be_visible()
            expect(page.locator("#strip-text")).to_have_text(re.compile(r"\d+ %"))
            before = page.get_by_role("region", name="Before a session").get_by_role("listitem")
            expect(before.filter(has_text="Strap")).to_contain_text("connected, 71 bpm")
            expect(before.filter(has_text="Face and light")).to_contain_text("the face is read")
            page.reload()
            expect(page.locator("#now-label")).to_have_text("happiness")
        expect(page.get_by_text("agent offline")).to_be_visible()
        with LiveAgent(shown.folder, None):
            expect(page.locator("#now-label")).to_have_text("uncertain")


def test_a_session_is_run_from_consent_to_end_by_clicking(browser: Browser, own: Served) -> None:
    with watched_page(browser, own.login()) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{own.address}/study")
        page.get_by_role("textbox", name="Code (leave empty").fill("P-99")
        page.get_by_role("button", name="Add and ask for consent").click()
        page.get_by_label("P-99 has read this text").check()
        page.get_by_role("button", name="Record the consent").click()
        expect(page.get_by_role("combobox", name="Participant")).to_have_value("P-99")
        page.get_by_role("combobox", name="Purpose").select_option("research")
        page.get_by_role("textbox", name=re.compile("^Name")).fill("films")
        page.get_by_role("button", name="Start the session").click()
        bar = page.get_by_label("Session", exact=True)
        expect(bar.get_by_role("heading")).to_have_text("films")
        bar.get_by_role("button", name="anger").click()
        expect(bar.get_by_role("button", name="anger")).to_have_attribute("aria-pressed", "true")
        bar.get_by_role("textbox", name="Another condition").fill("stroop")
        bar.get_by_role("button", name="Start", exact=True).click()
        expect(bar.get_by_role("button", name="stroop")).to_have_attribute("aria-pressed", "true")
        expect(bar.get_by_role("button", name="anger")).to_have_attribute("aria-pressed", "false")
        bar.get_by_role("button", name="End the condition").click()
        expect(bar.get_by_role("status")).to_have_text("stroop ended")
        expect(bar.get_by_role("button", name="End the condition")).to_be_hidden()
        bar.get_by_role("textbox", name="Note").fill("coughed")
        bar.get_by_role("button", name="Add").click()
        expect(bar).to_contain_text("4 markers")
        expect(bar.locator("#session-timer")).to_have_text(re.compile(r"^\d:\d\d$"))
        expect(bar.locator("#condition-timer")).to_have_text("–")
        own.study.add_marker(MarkerKind.STIMULUS_START, "by program")
        expect(bar.get_by_role("button", name="by program")).to_have_attribute(
            "aria-pressed", "true"
        )
        bar.get_by_role("button", name="End the session").click()
        expect(bar).to_be_hidden()
        page.get_by_role("link", name="Show the session").click()
        markers = page.get_by_role("region", name="Table of markers")
        expect(markers.get_by_role("row")).to_have_count(6)
        page.get_by_role("link", name="Correct markers").click()
        row = page.get_by_role("row").filter(has_text="coughed")
        row.get_by_text("Correct", exact=True).click()
        row.get_by_label("Reason").fill("pressed by mistake")
        row.get_by_role("button", name="Leave out").click()
        expect(markers.get_by_role("row")).to_have_count(5)
        changes = page.get_by_role("region", name="Table of corrections")
        expect(changes).to_contain_text("pressed by mistake")
        page.goto(f"{own.address}/study")
        page.get_by_role("region", name="Table of participants").get_by_text("P-99").click()
        page.get_by_role("button", name="Withdraw").click()
        page.get_by_role("link", name="Keep everything").click()  # erasure is offered at once
        expect(page.get_by_role("row", name="P-99").filter(has_text="withdrawn")).to_be_visible()


def test_a_double_click_adds_one_participant_and_chooses_nobody(
    browser: Browser, own: Served
) -> None:
    study = own.study
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/study")
        page.get_by_text("Start a session", exact=True).click()
        expect(page.get_by_role("combobox", name="Participant")).to_have_value("")
        before = len(study.participants())
        page.get_by_role("button", name="Add and ask for consent").dblclick()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Consent of P-")
    assert len(study.participants()) == before + 1


def test_the_keyboard_alone_reaches_navigation_content_and_logout(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/alerts")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        reached = []
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert visible != "none", reached[-1]
            if reached[-1] == "Audit":
                break
        assert MENU | OF_DEVICE | {"Log out"} <= set(reached)


def test_sessions_are_chosen_exported_downloaded_and_deleted(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/export")
        prepare = page.get_by_role("button", name="Prepare the export")
        page.get_by_role("radio", name="Chosen sessions").check()
        expect(prepare).to_be_disabled()
        page.get_by_role("button", name="Choose all").click()
        prepare.click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_be_visible()
        with page.expect_download():
            page.get_by_role("link", name="Download", exact=True).click()
        page.get_by_role("button", name="Delete it from this device").click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_have_count(0)


def test_table_of_sessions_at_1024_pixels_shows_every_column(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, (1024, 900)) as page:
        page.goto(f"{shown.address}/study")
        table = page.get_by_role("region", name="Table of sessions")
        assert table.evaluate("one => one.scrollWidth <= one.clientWidth")
        readings = table.get_by_role("columnheader", name="Readings").bounding_box()
        assert readings is not None and readings["x"] + readings["width"] <= 1024
        name = table.get_by_role("link", name="Example study (simulated)").first
        lines = name.evaluate("one => one.getClientRects().length")
        assert lines <= 2


def test_fields_of_a_session_form_stand_in_rows_whatever_their_labels_need(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, (1920, 1080)) as page:
        page.goto(f"{shown.address}/study")
        page.get_by_text("Start a session", exact=True).click()
        form = page.locator(".session-form")
        tops = {
            name: form.get_by_label(re.compile(f"^{name}")).evaluate(
                "one => one.getBoundingClientRect().top"
            )
            for name in ("Participant", "Purpose", "Setting")
        }
        assert len(set(tops.values())) == 1, tops
        setting = form.get_by_label(re.compile("^Setting"))
        assert setting.evaluate("one => one.labels[0].offsetHeight > 30")
