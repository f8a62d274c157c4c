"""What the tests of pages that follow the live feed share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

if TYPE_CHECKING:
    from tests.browser.live.test_never_untrue import Stand


@pytest.fixture(scope="module")
def state(browser: Browser, stand: Stand) -> str:
    """A login, kept as the name of the file of its cookie."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stand.dashboard.login_link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Live")
    file = stand.agent.data.parent / "login.json"
    context.storage_state(path=file)
    context.close()
    return str(file)
