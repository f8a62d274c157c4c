"""What the tests of pages that follow the live feed share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, StorageState, expect

from tests.support.browser import DEADLINE_MS


@contextmanager
def live_page(
    browser: Browser,
    address: str,
    login: StorageState,
    script: str = "",
    *,
    has_own_clock: bool = False,
) -> Iterator[Page]:
    """Open the live page, and wait until it shows a face.

    Args:
        browser: where it is opened.
        address: of the dashboard, or of what leads there.
        login: of whoever looks.
        script: what the page runs first.
        has_own_clock: whether the test moves the clock of the page.
    """
    context = browser.new_context(storage_state=login, locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(DEADLINE_MS)
    context.add_init_script(script)
    try:
        page = context.new_page()
        if has_own_clock:
            page.clock.install()
        page.goto(f"{address}/live")
        expect(page.locator("#now-label")).to_have_text("happiness")
        yield page
    finally:
        context.close()
