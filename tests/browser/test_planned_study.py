"""A study from its plan to its report, as a researcher walks through it in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.served import Served
from tests.support.browser import sheets, watched_page

pytestmark = pytest.mark.browser


def test_a_study_is_planned_preregistered_and_analysed(browser: Browser, own: Served) -> None:
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/study")
        page.get_by_role("link", name="Plan", exact=True).click()
        page.get_by_label("Smallest difference").fill("8")
        page.get_by_role("button", name="Plan", exact=True).click()
        people = page.get_by_label("People who will take part").input_value()
        expect(page.get_by_text(f"in 80 % of studies takes {people} people")).to_be_visible()

        page.goto(f"{own.address}/analysis?sample=example")
        expect(page.get_by_role("heading", name="Nothing was preregistered")).to_be_visible()
        page.get_by_role("link", name="Preregister this question").click()
        page.get_by_label("People who will take part").fill(people)
        page.get_by_label("Stopping rule").fill(f"After {people} people.")
        page.get_by_role("button", name="Freeze").click()
        expect(page.get_by_text(f"After {people} people.")).to_be_visible()

        page.goto(f"{own.address}/analysis?sample=example")
        expect(page.get_by_role("heading", name="As preregistered on")).to_be_visible()
        page.goto(f"{own.address}/analysis?sample=example&bound_heart_rate=2")
        expect(page.get_by_role("heading", name="Not as preregistered on")).to_be_visible()
        expect(page.get_by_text("bound heart rate: preregistered 5, asked 2.")).to_be_visible()

        expect(page.get_by_role("button", name="Print or save as PDF")).to_be_visible()
        assert sheets(page) == 1
