"""The page Health tells of a newer release, where somebody looks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent import __version__
from edge_agent.appliance.feed.last_look import PAGE_FOLDER, STATE_NAME, LastLook, write_look
from tests.support.dashboard import client_of, set_up

AT_MS = 1_795_400_000_000


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    return set_up(client_of(tmp_path), tmp_path)


def keep(folder: Path, **found: str) -> None:
    state = folder / PAGE_FOLDER / STATE_NAME
    write_look(state, LastLook(feed="/srv", checked_ms=AT_MS, **found))


def test_the_health_page_tells_of_a_newer_release(ada: TestClient, tmp_path: Path) -> None:
    assert "Newer releases" not in ada.get("/health").text, "nobody looks for one"
    keep(tmp_path, version="99.0.0")
    page = ada.get("/health").text
    assert "Affect Edge 99.0.0 is there" in page and "sudo affect-edge update" in page


def test_where_there_is_none_it_says_when_it_looked(ada: TestClient, tmp_path: Path) -> None:
    keep(tmp_path, version=__version__)
    page = ada.get("/health").text
    assert "is there;" not in page and "once a day, and none is installed by itself" in page


def test_what_went_wrong_is_shown_as_text(ada: TestClient, tmp_path: Path) -> None:
    keep(tmp_path, problem="https://x: leads to <script>alert(1)</script>")
    page = ada.get("/health").text
    assert "nothing was found out" in page and "&lt;script&gt;alert" in page
