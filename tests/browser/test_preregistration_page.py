"""The page of a preregistration: on paper from the first sheet on, and back to its question."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dashboard.analysis.preregistration import PreregistrationDocument, preregister
from tests.browser.served import Served
from tests.support.browser import sheets, watched_page
from tests.support.dashboard import fill

pytestmark = pytest.mark.browser
LONG = "Sessions in which the phone rang, and people who moved more than they were asked to. "


def test_long_preregistration_begins_on_the_first_sheet(browser: Browser, tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        fill(served.database, minutes=1)
        decided = {"people": 24, "stopping": "then", "exclusions": LONG * 40, "expectation": LONG}
        preregister(served.database, PreregistrationDocument.model_validate(decided), "ada")
        with watched_page(browser, served.login()) as page:
            page.goto(f"{served.address}/plan/preregistrations/1")
            # Three where the card begins on the second.
            assert sheets(page) == 2
            page.get_by_role("link", name="Ask this question").click()
            expect(page).to_have_url(re.compile(r"/analysis\?.*vital=systolic"))
            page.get_by_text("Preregistration", exact=True).click()
            expect(page.get_by_text("People: 24 preregistered")).to_be_visible()
            expect(page.get_by_text("Ask the preregistered question")).to_have_count(0)
