"""The page Readings in a real browser: by keyboard, with a file, with a token."""

from __future__ import annotations

import sqlite3
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
