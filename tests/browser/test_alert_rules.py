"""The sentence of an alert's rule, written in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from edge_agent.config.editing import rules_of
from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.browser import PHONE, watched_page

pytestmark = pytest.mark.browser


def test_rule_written_as_a_sentence_on_a_phone_is_in_the_file(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    file = tmp_path / "affect-edge.toml"
    file.write_text("[alerts]\nsound = true\n", encoding="utf-8")
    with (
        Served(tmp_path / "data", file) as shown,
        watched_page(browser, shown.login(), PHONE) as page,
    ):
        page.goto(f"{shown.address}/alerts")
        page.get_by_text("Add a rule").click()
        form = page.locator(".rule-new form")
        looks_right(page, axe)
        watched = form.get_by_label("What is watched")
        above, below = form.get_by_label("Upper limit"), form.get_by_label("Lower limit")
        unit = form.locator("[data-shown-unit]")
        expect(unit).to_have_text("/min")
        expect(watched.locator("option").first).to_have_text("heart rate")
        watched.select_option("disk")
        expect(unit).to_have_text("MB")
        expect(above).to_be_hidden()
        expect(below).to_be_visible()
        watched.select_option("camera")
        expect(below).to_be_hidden()
        expect(form.locator("span[data-limits]")).to_be_hidden()
        expect(watched.locator("option").first).not_to_have_attribute("hidden", "")
        watched.select_option("vital:heart_rate")
        above.fill("110")
        form.get_by_label("Seconds until it alerts").fill("10")
        form.get_by_role("button", name="Show what would change").click()
        expect(page.locator("ins").filter(has_text="above = 110")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        page.goto(f"{shown.address}/alerts")
        sentence = "Tell me when heart rate is above 110 /min for 10 s"
        expect(page.locator(".rule-list li").last).to_contain_text(sentence)
        page.get_by_role("link", name="Change the rule").last.click()
        changed = page.locator(".rule-list form")
        expect(changed.get_by_label("Upper limit")).to_have_value("110")
        looks_right(page, axe)
    rule = rules_of(file.read_text(encoding="utf-8"))[-1]
    assert (rule["name"], rule["above"], rule["seconds"]) == ("heart-rate", 110, 10)
