"""Every route without a login, with methods it does not have, from other sites, with any body."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from tests.support.dashboard import client_of, log_in_as, services_of, set_up
from tests.support.security.routes import (
    BODIES,
    FROM_ELSEWHERE,
    try_bodies,
    try_methods,
    try_other_sites,
)
from tests.support.timeline import query


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    client = set_up(client_of(tmp_path), tmp_path)
    # event streams end at once
    services_of(client).stopping.set()
    return client


@pytest.mark.deep
def test_no_address_takes_a_method_that_it_does_not_name(ada: TestClient) -> None:
    tried = try_methods(ada)
    assert not tried.wrong
    assert tried.requests > 500


def test_no_page_of_another_site_changes_anything(ada: TestClient) -> None:
    tried = try_other_sites(ada, FROM_ELSEWHERE[1:2], {"text/plain": BODIES["text/plain"]})
    assert not tried.wrong
    assert tried.requests > 60


@pytest.mark.deep
def test_no_page_of_another_site_changes_anything_whatever_it_sends(
    ada: TestClient, tmp_path: Path
) -> None:
    log_in_as(ada, Role.ADMINISTRATOR)
    # each request is made by a log-in of its own
    others = "SELECT id, action, detail FROM audit WHERE action != 'login'"
    before = query(tmp_path / "affect-edge.db", others)
    tried = try_other_sites(ada)
    assert not tried.wrong
    assert tried.requests > 2000
    assert query(tmp_path / "affect-edge.db", others) == before


@pytest.mark.deep
def test_no_kind_of_body_brings_about_an_error_of_ours(ada: TestClient) -> None:
    tried = try_bodies(ada)
    assert not tried.wrong
    assert tried.requests > 500
