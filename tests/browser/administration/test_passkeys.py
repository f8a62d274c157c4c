"""Passkeys in a real browser, with an authenticator that the browser itself simulates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.browser.administration.test_second_factor import set_up
from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.browser import PHONE, watched_page
from tests.support.dashboard import NAME, PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.deep]


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Served]:
    """A new dashboard over an empty folder, asked for by a name."""
    with Served(tmp_path, host="localhost") as served:
        yield served


def authenticator(page: Page, *, verifies: bool = True) -> tuple[CDPSession, str]:
    """Give the browser a phone that keeps passkeys and whose owner is always there."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return session, str(made["authenticatorId"])


def test_a_passkey_is_made_used_and_removed_on_a_phone(
    browser: Browser, dashboard: Served, axe: str
) -> None:
    with watched_page(browser, size=PHONE) as page:
        set_up(page, dashboard)
        session, device = authenticator(page)
        page.goto(f"{dashboard.address}/account")
        section = page.locator("#passkeys")
        looks_right(page, axe)
        section.get_by_label("Current password").fill(PASSWORD)
        section.get_by_role("button", name="Make a passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New passkey")
        looks_right(page, axe)
        page.get_by_label("Name of the passkey").fill("phone")
        page.get_by_role("button", name="Make the passkey").click()
        expect(page.locator("#recovery-codes code")).to_have_count(10)
        page.get_by_role("link", name="I have kept them").click()
        expect(section.get_by_text("phone", exact=True)).to_be_visible()
        looks_right(page, axe)
        page.goto(f"{dashboard.address}/live")
        page.get_by_role("button", name="Log out").click()
        looks_right(page, axe)
        page.get_by_role("button", name="Log in with a passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        page.goto(f"{dashboard.address}/account")
        expect(section.get_by_text("last used")).to_be_visible()
        # after the password the same passkey is asked for
        page.goto(f"{dashboard.address}/live")
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in", exact=True).click()
        looks_right(page, axe)
        page.get_by_role("button", name="Go on with a passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        page.goto(f"{dashboard.address}/account")
        section.get_by_text("phone", exact=True).click()
        looks_right(page, axe)
        section.get_by_label("Current password").first.fill(PASSWORD)
        section.get_by_role("button", name="Remove the passkey phone").click()
        expect(section.get_by_text("phone", exact=True)).to_have_count(0)
        # the phone cannot know
        kept = session.send("WebAuthn.getCredentials", {"authenticatorId": device})
        assert kept["credentials"][0]["rpId"] == "localhost"


def test_who_is_not_verified_makes_no_passkey_and_reads_why(
    browser: Browser, dashboard: Served
) -> None:
    with watched_page(browser, size=PHONE) as page:
        set_up(page, dashboard)
        authenticator(page, verifies=False)
        page.goto(f"{dashboard.address}/account")
        section = page.locator("#passkeys")
        section.get_by_label("Current password").fill(PASSWORD)
        section.get_by_role("button", name="Make a passkey").click()
        page.get_by_label("Name of the passkey").fill("phone")
        page.get_by_role("button", name="Make the passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("The browser did not go on")
