"""The page Readings in a real browser: by keyboard, with a file, with a token."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.served import Served
from tests.support.browser import PHONE, has_sideways_scroll, watched_page

pytestmark = pytest.mark.browser
CUFF = b"""Date,Time,SYS (kPa),DIA (kPa),Note
05.01.2026,08:00,16,10.5,rest
05.01.2026,20:00,16.4,11,
"""


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Served]:
    """A dashboard over an empty folder."""
    with Served(tmp_path) as served:
        yield served


def stored(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "affect-edge.db")) as connection:
        return connection.execute(
            "SELECT at, kind, round(value, 1), source, flags FROM vital ORDER BY at, kind"
        ).fetchall()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that id has the focus."""
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")


def test_a_reading_is_entered_corrected_and_stored_by_keyboard_alone(
    browser: Browser, dashboard: Served, tmp_path: Path
) -> None:
    with watched_page(browser, dashboard.login(), refusals=(422,)) as page:
        page.goto(f"{dashboard.address}/readings")
        tab_to(page, "systolic")
        page.keyboard.type("121")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(
            "Nothing was saved. 1 field needs a correction: diastolic."
        )
        assert stored(tmp_path) == []
        tab_to(page, "diastolic")
        expect(page.get_by_label("Diastolic")).to_have_attribute("aria-invalid", "true")
        page.keyboard.type("80")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("2 readings were saved.")
    assert [row[1:] for row in stored(tmp_path)] == [
        ("diastolic", 80.0, "manual:demo", "manual"),
        ("systolic", 121.0, "manual:demo", "manual"),
    ]


def test_a_slip_is_asked_about_and_an_entry_is_corrected_and_removed(
    browser: Browser, dashboard: Served, tmp_path: Path
) -> None:
    with watched_page(browser, dashboard.login(), PHONE, refusals=(422,)) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{dashboard.address}/readings")
        page.get_by_label("Systolic").fill("1280")
        page.get_by_label("Diastolic").fill("81")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("1280 mmHg is not between 50 and 250")
        assert stored(tmp_path) == []
        page.get_by_label("Systolic").fill("128")
        page.get_by_role("button", name="Save as it is").dblclick()
        expect(page.get_by_role("status")).to_contain_text("2 readings were saved.")
        line = page.get_by_role("row").filter(has_text="Systolic pressure")
        line.get_by_text("Correct").click()
        line.get_by_label("Systolic pressure, mmHg").fill("131")
        assert not has_sideways_scroll(page)
        line.get_by_role("button", name="Save").click()
        expect(line).to_contain_text("Systolic pressure 131 mmHg corrected, was 128")
        page.get_by_role("button", name="Remove diastolic pressure 81").click()
        expect(page.get_by_role("status")).to_contain_text("The reading was removed.")
    assert [row[1:3] for row in stored(tmp_path)] == [("systolic", 131.0)]


def test_a_file_is_explained_in_the_readers_time_zone_and_imported(
    browser: Browser, dashboard: Served, tmp_path: Path
) -> None:
    with watched_page(browser, dashboard.login(), PHONE) as page:
        page.goto(f"{dashboard.address}/readings")
        page.locator("#file").set_input_files(
            FilePayload(name="cuff.csv", mimeType="text/csv", buffer=CUFF)
        )
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What is in cuff.csv?")
        expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
        expect(page.get_by_label("How times are written")).to_have_value("dmy")
        page.get_by_role("button", name="Update preview").click()
        expect(page.get_by_text("All of these rows are valid")).to_be_visible()
        assert not has_sideways_scroll(page)
        page.get_by_role("button", name="Import this file").click()
        said = page.get_by_role("status")
        expect(said).to_contain_text(["4 readings were saved.", "4 of 4 lie in no session"])
    first = stored(tmp_path)[0]
    assert first == (1_767_596_400_000, "diastolic", 78.8, "csv:cuff.csv", "imported"), (
        "2026-01-05T07:00:00Z"
    )


def test_a_token_of_the_page_lets_a_program_in_until_it_is_revoked(
    browser: Browser, dashboard: Served, tmp_path: Path
) -> None:
    def hand_in(secret: str) -> int:
        body = json.dumps({"kind": "heart_rate", "value": 72}).encode()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{dashboard.address}/api/v1/vitals", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with watched_page(browser, dashboard.login()) as page:
        page.goto(f"{dashboard.address}/tokens")
        page.get_by_label("Name of the program").fill("watch bridge")
        page.get_by_label("readings sends readings").check()
        page.get_by_label("At the most as").select_option("operator")
        page.get_by_role("button", name="Create token").click()
        secret = page.locator("#secret").inner_text()
        assert re.fullmatch(r"affect-edge-[\w-]{43}", secret)
        assert hand_in(secret) == 200
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke the token of watch bridge").click()
        expect(page.get_by_role("cell", name="revoked")).to_be_visible()
        assert hand_in(secret) == 401
    assert len(stored(tmp_path)) == 1
