"""The settings in a browser: a change from field to file, on a phone, by an administrator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.served import Served
from tests.support.browser import PHONE, has_sideways_scroll, watched_page

pytestmark = pytest.mark.browser
SHIPPED = Path(__file__).parents[3] / "config" / "affect-edge.toml"


def test_a_setting_and_a_rule_go_from_the_form_into_the_file(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "affect-edge.toml"
    shutil.copyfile(SHIPPED, file)
    with (
        Served(tmp_path / "data", file) as dashboard,
        watched_page(browser, dashboard.login(), PHONE) as page,
    ):
        page.goto(f"{dashboard.address}/settings")
        page.get_by_text("camera", exact=True).first.click()
        page.get_by_label("fps").fill("10")
        page.locator("summary", has_text="alerts").click()
        new = page.get_by_role("group", name="A new rule")
        new.get_by_label("name").fill("no-face")
        new.get_by_label("when").select_option("face")
        assert not has_sideways_scroll(page)
        page.get_by_role("button", name="Show what would change").click()
        expect(page.get_by_role("region", name="Changed lines")).to_contain_text("+fps = 10")
        assert not has_sideways_scroll(page)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("is written")
    text = file.read_text(encoding="utf-8")
    assert 'name = "no-face"\nwhen = "face"' in text and "fps = 10 " in text
