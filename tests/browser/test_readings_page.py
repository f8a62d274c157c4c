"""The page Readings in a real browser: by keyboard, with a file, with a token."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, expect

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


def test_a_file_is_explained_in_the_readers_time_zone_and_imported(
    browser: Browser, dashboard: Served, tmp_path: Path
) -> None:
    with watched_page(browser, dashboard.login(), PHONE) as page:
        page.goto(f"{dashboard.address}/study/import")
        page.locator("#file").set_input_files(
            FilePayload(name="cuff.csv", mimeType="text/csv", buffer=CUFF)
        )
        readings = page.get_by_role("region", name="Readings of one device")
        readings.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What is in cuff.csv?")
        taken = page.get_by_label("Meaning of the column SYS (kPa)")
        expect(taken).to_have_value("systolic")
        expect(page.get_by_label("Unit of systolic pressure")).to_have_value("kPa")
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
