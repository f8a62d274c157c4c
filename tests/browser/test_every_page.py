"""Every page has a title and a place in the navigation, complains of nothing, asks no other
machine, keeps nobody out and does not scroll sideways.
"""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, StorageState

from dashboard.web import routes
from dashboard.web.rendering import find_pages, navigation_of
from tests.browser.barriers import MISSING, complaints_at_all_sizes, complaints_of, english_in
from tests.browser.page_paths import page_paths
from tests.browser.served import Served
from tests.support.browser import DESKTOP, PHONE, watched_page

pytestmark = pytest.mark.browser
LINKS = {
    entry.path: entry.title for entry in navigation_of(find_pages(routes)) if entry.of != "fleet"
}
OUTSIDE = {"/account", "/docs", "/first-steps", "/setup", MISSING}
"""Pages that no entry of the navigation leads to."""
PARTS = 4
"""Of all pages, each a test: together they take longer than a test may."""
PARTS_AT_ALL_SIZES = 12


@pytest.fixture(scope="module")
def paths(browser: Browser, shown: Served, login: StorageState) -> list[str]:
    """All pages: those without parameters, and those of one session and one participant."""
    with watched_page(browser, login) as page:
        session = page.request.get(f"{shown.address}/api/v1/sessions").json()[0]
        plain = page_paths(page, shown.address)
    assert {"/live", "/trends", "/account", "/analysis/statistics"} <= set(plain)
    code = session["participant"]
    of_one = [
        f"/study/sessions/{session['id']}{part}" for part in ("?whole=yes", "/course", "/quality")
    ]
    of_one += [
        f"/study/participants/{code}/{part}"
        for part in ("consent", "erase", "attributes", "letter")
    ]
    # A zone in the address, or the page's script goes to the reader's own.
    of_one.append(f"/study/participants/{code}/days?weeks=4&zone=UTC")
    range_of_it = f"/trends?start={session['start']}&end={session['end']}&beside={session['start']}"
    return [*plain, *of_one, range_of_it, f"/trends?participant={code}", MISSING]


@pytest.mark.parametrize("part", range(PARTS))
def test_no_page_has_a_barrier_a_complaint_or_a_foreign_address(
    browser: Browser, shown: Served, login: StorageState, paths: list[str], axe: str, part: int
) -> None:
    complaints: list[str] = []
    with watched_page(browser, login, DESKTOP, refusals=(404,)) as page:
        page.context.add_init_script(axe)
        for path in paths[part::PARTS]:
            found = complaints_of(page, shown.address + path, axe)
            complaints += [f"{path}: {one}" for one in found]
            here = page.locator("nav [aria-current=page]").all_inner_texts()
            if path in LINKS and LINKS[path] not in here:
                complaints.append(f"{path}: the navigation is at {here}")
            if path not in OUTSIDE and not page.locator("header nav [aria-current]").count():
                complaints.append(f"{path}: the navigation is nowhere")
    assert not complaints, "\n".join(complaints)


@pytest.mark.deep
@pytest.mark.parametrize("part", range(PARTS_AT_ALL_SIZES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_no_page_has_a_barrier_at_any_size(
    browser: Browser,
    shown: Served,
    login: StorageState,
    axe: str,
    paths: list[str],
    scheme: Literal["light", "dark"],
    language: str,
    part: int,
) -> None:
    complaints: list[str] = []
    with watched_page(browser, login, PHONE, scheme, refusals=(404,), locale=language) as page:
        page.context.add_init_script(axe)
        for path in paths[part::PARTS_AT_ALL_SIZES]:
            found = complaints_at_all_sizes(page, shown.address + path, axe, scheme)
            complaints += [f"{path} {one}" for one in found]
            complaints += [f"{path} {one}" for one in english_in(page, language)]
    assert not complaints, "\n".join(complaints)
