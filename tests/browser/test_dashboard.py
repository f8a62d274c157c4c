"""The dashboard in a real browser, as the process that people run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect

from dashboard.web import routes
from dashboard.web.pages import find_pages, navigation_of
from dashboard.web.settings import DashboardOptions
from edge_agent.core import clock
from edge_agent.core.expression import Emotion
from edge_agent.core.study import MarkerKind
from edge_agent.runtime.health.alarms import AgentFigures
from edge_agent.runtime.health.report import HealthMonitor
from edge_agent.store.study.example_study import seed_example_study
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.copy_report import Standing
from edge_agent.vitals.simulated import SimulatedPerson
from tests.browser.live_agent import LiveAgent
from tests.browser.page_paths import page_paths, wait_for_charts
from tests.support.broker import wait_until
from tests.support.browser import DESKTOP, PHONE, has_sideways_scroll, watched_page
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess, fill

pytestmark = pytest.mark.browser
TITLES = tuple(entry.title for entry in navigation_of(find_pages(routes)) if entry.of != "fleet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the example study and half an hour of live recording."""
    made = tmp_path_factory.mktemp("dashboard")
    database = DashboardOptions(data=made).database
    fill(database, minutes=30, simulated=True)
    seed_example_study(database, SimulatedPerson)
    return made


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[DashboardProcess]:
    """The dashboard over that folder."""
    with DashboardProcess(folder) as process:
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """Set the first account up as a person does, and keep its cookie."""
    with watched_page(browser, refusals=(400,)) as page:
        page.goto(dashboard.address)
        expect(page).to_have_title("Welcome · Affect Edge")
        page.get_by_label("Setup code").fill("WRONG-CODE")
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_role("alert")).to_contain_text("That is not the setup code")
        page.get_by_label("Setup code").fill(dashboard.setup_code)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("First steps")
        return page.context.storage_state()


def test_every_page_is_reached_by_its_link_without_a_complaint_or_a_foreign_address(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(dashboard.address)
        for title in TITLES:
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(title)
            expect(page.get_by_role("link", name=title, exact=True)).to_have_attribute(
                "aria-current", "page"
            )
            wait_for_charts(page)


@pytest.fixture(scope="module")
def paths(browser: Browser, dashboard: DashboardProcess, login: StorageState) -> list[str]:
    """The addresses of all pages."""
    with watched_page(browser, login) as page:
        return page_paths(page, dashboard.address)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_scrolls_sideways_in_light_or_dark(
    browser: Browser,
    dashboard: DashboardProcess,
    login: StorageState,
    paths: list[str],
    size: tuple[int, int],
) -> None:
    with watched_page(browser, login, size) as page:
        assert {"/live", "/trends", "/account", "/analysis/statistics"} <= set(paths)
        for path in paths:
            page.emulate_media(color_scheme="light")
            page.goto(dashboard.address + path)
            wait_for_charts(page)
            assert not has_sideways_scroll(page), path
            page.emulate_media(color_scheme="dark")
            assert not has_sideways_scroll(page), f"{path} in dark"


def test_dark_and_light_have_other_colours_in_charts_too(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?range=1h")
        wait_for_charts(page)
        fill_of = "getComputedStyle(document.querySelector('.js-fill')).fill"
        light = (
            page.evaluate(fill_of),
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
        )
        page.emulate_media(color_scheme="dark")
        # Asked from here: a page under our content policy may not evaluate what a waiting function
        # is made of.
        wait_until(lambda: page.evaluate(fill_of) != light[0], "the chart in other colours")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light[1]


def test_the_trends_chart_is_described_in_words_and_as_a_table_in_the_readers_time(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?range=1h")
        wait_for_charts(page)
        expect(page.get_by_role("img").first).to_have_accessible_name(
            re.compile(r"of [\d,]+ recorded rows")
        )
        page.get_by_text("Data as a table").click()
        table = page.get_by_role("table")
        expect(table.get_by_role("columnheader").first).to_have_text("from")
        expect(table.get_by_role("row").nth(1).get_by_role("cell").first).to_have_text(
            re.compile(r"\d{4}, \d\d:\d\d")
        )
        expect(page.get_by_text("contains simulated data")).to_be_visible()


def test_a_range_of_ones_own_is_entered_in_local_time(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends")
        page.get_by_text("Custom range").click()
        page.get_by_label("From", exact=True).fill("2026-07-01T12:00")
        page.get_by_label("To", exact=True).fill("2026-07-01T13:00")
        page.get_by_role("button", name="Show").click()
        # 10:00 and 11:00 UTC
        expect(page).to_have_url(re.compile(r"start=1782900000000&end=1782903600000"))
        expect(page.get_by_text("Nothing was recorded from 1 Jul 2026, 12:00")).to_be_visible()
        expect(page.get_by_label("From", exact=True)).to_have_value("2026-07-01T12:00")


def test_the_live_page_follows_the_agent_and_tells_when_it_goes(
    browser: Browser, dashboard: DashboardProcess, folder: Path, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.get_by_text("agent offline")).to_be_visible()
        expect(page.get_by_text("The agent is not running.", exact=True)).to_be_visible()
        with LiveAgent(folder, Emotion.HAPPINESS):
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
            expect(before.filter(has_text="Strap")).to_contain_text("speaks, 71 /min")
            expect(before.filter(has_text="Face and light")).to_contain_text("the face is read")
            page.reload()
            expect(page.locator("#now-label")).to_have_text("happiness")
        expect(page.get_by_text("agent offline")).to_be_visible()
        with LiveAgent(folder, None):
            expect(page.locator("#now-label")).to_have_text("uncertain")


def test_a_session_is_run_from_consent_to_end_by_clicking(
    browser: Browser, dashboard: DashboardProcess, folder: Path, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{dashboard.address}/study")
        page.get_by_role("textbox", name="Code").fill("P-99")
        page.get_by_role("button", name="Add and ask for consent").click()
        page.get_by_label("P-99 has read this text").check()
        page.get_by_role("button", name="Record the consent").click()
        expect(page.get_by_role("combobox", name="Participant")).to_have_value("P-99")
        page.get_by_role("combobox", name="Purpose").select_option("research")
        page.get_by_role("textbox", name="Name").fill("films")
        page.get_by_role("button", name="Start the session").click()
        bar = page.get_by_label("Session", exact=True)
        expect(bar.get_by_role("heading")).to_have_text("films")
        bar.get_by_role("button", name="anger").click()
        expect(bar.get_by_role("button", name="anger")).to_have_attribute("aria-pressed", "true")
        bar.get_by_role("textbox", name="Another condition").fill("stroop")
        bar.get_by_role("button", name="Start", exact=True).click()
        expect(bar.get_by_role("button", name="stroop")).to_have_attribute("aria-pressed", "true")
        expect(bar.get_by_role("button", name="anger")).to_have_attribute("aria-pressed", "false")
        bar.get_by_role("button", name="stroop").click()
        expect(bar.get_by_role("status")).to_have_text("stroop ended")
        bar.get_by_role("textbox", name="Note").fill("coughed")
        bar.get_by_role("button", name="Add").click()
        expect(bar).to_contain_text("4 markers")
        expect(bar.locator("#session-timer")).to_have_text(re.compile(r"^\d:\d\d$"))
        expect(bar.locator("#condition-timer")).to_have_text("–")
        Study(DashboardOptions(data=folder).database).add_marker(
            MarkerKind.STIMULUS_START, "by program"
        )
        expect(bar.get_by_role("button", name="by program")).to_have_attribute(
            "aria-pressed", "true"
        )
        bar.get_by_role("button", name="End the session").click()
        expect(bar).to_be_hidden()
        page.get_by_role("link", name="Show the session").click()
        markers = page.get_by_role("region", name="Table of markers")
        expect(markers.get_by_role("row")).to_have_count(6)
        page.goto(f"{dashboard.address}/study")
        page.get_by_role("button", name="Withdraw consent of P-99").click()
        page.get_by_role("link", name="Keep everything").click()  # erasure is offered at once
        expect(page.get_by_role("row", name="P-99").filter(has_text="withdrawn")).to_be_visible()


def test_a_double_click_adds_one_participant_and_nobody_is_chosen_for_a_session(
    browser: Browser, dashboard: DashboardProcess, folder: Path, login: StorageState
) -> None:
    study = Study(DashboardOptions(data=folder).database)
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/study")
        expect(page.get_by_role("combobox", name="Participant")).to_have_value("")
        before = len(study.participants())
        page.get_by_role("button", name="Add and ask for consent").dblclick()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Consent of P-")
    assert len(study.participants()) == before + 1


def test_the_scripts_of_a_downloaded_bundle_print_the_numbers_of_the_analysis_page(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, tmp_path: Path
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/analysis?sample=example")
        page.get_by_text("Every figure of every test").click()
        rows = page.locator("table.tests tbody tr:not(.group)")
        expect(rows).to_have_count(9)
        shown = [
            [cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()
        ]
        page.goto(f"{dashboard.address}/export")
        prepare = page.get_by_role("button", name="Prepare the sessions")
        expect(prepare).to_be_disabled()
        page.get_by_role("button", name="Choose all").click()
        prepare.click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download", exact=True).click()
        download.value.save_as(tmp_path / "bundle.zip")
        page.get_by_role("button", name="Delete it from this device").click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_have_count(0)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path)
    programs = [[sys.executable, "-I", "analysis.py"]]
    programs += [
        [program, "--vanilla", "analysis.R"] for program in [shutil.which("Rscript")] if program
    ]
    for program in programs:
        text = subprocess.run(
            program, cwd=tmp_path, capture_output=True, check=True, timeout=60
        ).stdout.decode("utf-8")
        lines = [
            [cell.strip() for cell in line.split("|")]
            for line in text.splitlines()
            if " | " in line
        ]
        # the Bayes factor, in the last column, stands in a table of its own on the page
        assert [as_on_the_page(line[:-1]) for line in lines[1:]] == shown, program


def as_on_the_page(cells: list[str]) -> list[str]:
    """The cells of a script's line as the page shows them: intervals behind their numbers, dashes
    where nothing is.
    """
    pairs = {4: f"{cells[4]} ({cells[5]})", 10: f"{cells[10]} ({cells[11]})"}
    return [
        pairs.get(place, cell or "–") for place, cell in enumerate(cells) if place not in {5, 11}
    ]


def test_an_analysis_is_asked_for_by_keyboard_on_a_phone_and_every_picture_is_described(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.goto(f"{dashboard.address}/analysis?sample=example")
        page.get_by_text("Vital signs, design, correction, bounds").press("Enter")
        page.get_by_role("checkbox", name="Systolic pressure").press("Space")
        page.get_by_role("checkbox", name="Diastolic pressure").press("Space")
        page.get_by_role("radio", name="Benjamini–Hochberg").press("Space")
        page.get_by_label("Heart rate, ± /min").fill("9")
        page.get_by_role("button", name="Compare").press("Enter")
        expect(page.get_by_role("heading", name="All 3 t-tests")).to_be_visible()
        expect(page.get_by_role("radio", name="Benjamini–Hochberg")).to_be_checked()
        page.get_by_text("Each comparison in a sentence").press("Enter")
        expect(
            page.get_by_text("A difference of 9 /min or more either way is").first
        ).to_be_visible()
        figures = page.locator("figure[data-chart]")
        expect(figures).to_have_count(3)
        for figure in figures.all():
            figure.scroll_into_view_if_needed()
            expect(figure).to_have_attribute("data-drawn", "yes")
            expect(figure.locator(".chart-sentence")).to_contain_text(re.compile(r"\w{3,}"))
        page.get_by_text("Sentences for a report").press("Enter")
        page.get_by_role("button", name="Copy").first.press("Enter")
        expect(page.get_by_role("button", name=re.compile("Copied|Selected"))).to_have_count(1)
        page.get_by_text("Mixed model, t-test and Bayes factor side by side").press("Enter")
        flow = page.get_by_role("region", name="From consent to the tests")
        expect(flow.locator(".flow-step").first).not_to_be_visible()
        flow.locator("summary").press("Enter")
        expect(flow.locator(".flow-step")).to_have_count(6)
        expect(flow.locator(".flow-step").last).to_be_visible()
        assert not has_sideways_scroll(page)


def test_the_keyboard_alone_reaches_navigation_content_and_logout(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/export")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        reached = []
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            visible = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert visible != "none", reached[-1]
            if reached[-1] == "Log out":
                break
        assert {*TITLES, "Log out"} <= set(reached)


def test_an_error_page_is_calm_and_leads_back(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login, refusals=(404,)) as page:
        page.goto(f"{dashboard.address}/nothing")
        expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
        page.get_by_role("link", name="Go to the live page").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")


def test_logging_out_and_in_again_leads_back_to_the_page(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, refusals=(401,)) as page:
        page.goto(f"{dashboard.address}/study")
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Password").fill("wrong password")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Study")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        page.goto(f"{dashboard.address}/live")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_the_health_page_tells_the_age_of_the_last_good_copy_and_its_alarm(
    browser: Browser, dashboard: DashboardProcess, folder: Path, login: StorageState
) -> None:
    figures = AgentFigures(copies=Standing(260_000, overdue=True))
    health = HealthMonitor(folder, "lab", "1").report(figures, clock.now())
    with LiveAgent(folder, None) as agent, watched_page(browser, login) as page:
        agent.say({"type": "health", **health})
        page.goto(f"{dashboard.address}/health")
        tile = page.locator(".tile").filter(has_text="Last good copy")
        expect(tile).to_contain_text("3 d ago")
        expect(page.locator("#alarms")).to_contain_text("good copy of the database is 3 days old")
        health["copies"]["last_good_age_seconds"] = None
        agent.say({"type": "health", **health})
        expect(tile).to_contain_text("none")
