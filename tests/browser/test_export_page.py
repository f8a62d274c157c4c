"""The page Export: a format is chosen on its card, by keyboard, and the file is of that format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.browser import PHONE, watched_page
from tests.support.dashboard import add_session

pytestmark = pytest.mark.browser


def test_format_chosen_on_its_card_by_keyboard_is_that_of_the_file(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    with Served(tmp_path / "data") as shown, watched_page(browser, shown.login(), PHONE) as page:
        add_session(shown.database)
        page.goto(f"{shown.address}/export")
        form = page.locator("form[data-export-form]")
        formats = form.get_by_role("group", name="Format")
        expect(formats.get_by_role("radio", checked=True)).to_have_value("bundle")
        expect(formats.get_by_role("radio", name="FHIR")).to_be_hidden()
        form.get_by_role("radio", name="Chosen sessions").check()
        expect(form.get_by_role("radio", name="NDJSON")).to_be_hidden()
        form.get_by_text("Other formats").click()
        looks_right(page, axe)
        card = form.get_by_role("group", name="For archives and hospitals")
        expect(card.get_by_text("Sessions for clinical systems")).to_be_visible()
        card.get_by_role("radio", name=re.compile("^BIDS")).focus()
        page.keyboard.press("ArrowUp")
        expect(card.get_by_role("radio", name="FHIR")).to_be_checked()
        form.get_by_role("checkbox").first.check()
        form.get_by_role("button", name="Prepare the export").click()
        expect(page.get_by_role("heading", name="Your export is ready")).to_be_visible()
        expect(page.get_by_text(".fhir.json")).to_be_visible()


def test_backup_is_prepared_and_downloaded_from_its_page(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    words = "harbour violin seventeen mossy kettle"
    with Served(tmp_path / "data") as shown, watched_page(browser, shown.login(), PHONE) as page:
        add_session(shown.database)
        page.goto(f"{shown.address}/backup")
        looks_right(page, axe)
        page.get_by_label("Passphrase", exact=True).fill(words)
        page.get_by_label("Passphrase again").fill(words)
        page.get_by_role("button", name="Prepare the backup").click()
        expect(page.get_by_role("heading", name="Your backup is ready")).to_be_visible()
        looks_right(page, axe)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename.startswith("affect-edge-backup-")
