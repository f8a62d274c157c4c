"""A device that is revoked, from the broker to the page Fleet in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from playwright.sync_api import Browser, expect

from tests.integration.fleet.enrolment.test_revoking import connected, joined
from tests.integration.fleet.enrolment.test_telling_of_revoked import collector_of, wait_for
from tests.support.browser import PHONE, has_sideways_scroll, watched_page
from tests.support.dashboard import DashboardProcess
from tests.support.fleet.enrolment import FleetHere, fleet_here
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs, running_postgres

pytestmark = [
    pytest.mark.browser,
    pytest.mark.broker,
    pytest.mark.skipif(postgres_programs() is None, reason=INSTALL),
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[FleetHere, Postgres]]:
    with running_postgres() as postgres, fleet_here(tmp_path / "server") as here:
        yield here, postgres


def test_the_page_says_that_a_device_is_revoked(
    browser: Browser, tmp_path: Path, server: tuple[FleetHere, Postgres]
) -> None:
    here, postgres = server
    config = tmp_path / "fleet.toml"
    config.write_text(f'[dashboard]\nsource = "{postgres.address}"\n', encoding="utf-8")
    with (
        collector_of(here, tmp_path, postgres),
        psycopg.connect(postgres.address, autocommit=True) as there,
    ):
        first, _ = joined(tmp_path, here, "room-1", "room-2")
        with connected(first):
            here.fleet.revoke("room-1")
        wait_for(there, "room-1", "revoked")
        wait_for(there, "room-2", "joined")
        with (
            DashboardProcess(tmp_path / "own", "--config", str(config), "--login-link") as process,
            watched_page(browser) as page,
        ):
            page.goto(process.login_link)
            page.goto(f"{process.address}/fleet")
            row = page.get_by_role("row").filter(has_text="room-1")
            expect(row.get_by_text("revoked", exact=True)).to_be_visible()
            expect(row.get_by_text("since")).to_be_visible()
            expect(row.get_by_text("offline")).to_have_count(0)
            page.get_by_label("Which").select_option("Revoked")
            page.get_by_role("button", name="Show").click()
            expect(page.get_by_role("rowheader", name="room-1")).to_be_visible()
            expect(page.get_by_role("rowheader", name="room-2")).to_have_count(0)
            page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            page.reload()
            assert not has_sideways_scroll(page)
