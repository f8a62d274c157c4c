"""The registry of pages: what it finds, and what it refuses."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from dashboard.web import routes
from dashboard.web.rendering import find_pages, navigation_of


def test_pages_in_folders_are_found_and_stand_in_the_order_of_their_positions() -> None:
    pages = find_pages(routes)
    names = {page.module.removeprefix("dashboard.web.routes.") for page in pages}
    assert {"live", "study.study", "study.quality", "protocol.participant"} <= names
    entries = navigation_of(pages)
    assert entries[0].title == "Live" and entries[-1].title == "Audit"
    assert len({entry.position for entry in entries}) == len(entries), "two entries in one place"
    assert all(entry.icon.startswith("M") for entry in entries)


def test_every_link_of_the_navigation_leads_to_a_route_of_its_own_page() -> None:
    for page in find_pages(routes):
        if page.navigation is not None:
            paths = [getattr(route, "path", "") for route in page.router.routes]
            assert page.navigation.path in paths, page.module


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "needs an APIRouter named 'router'"),
        (
            "from fastapi import APIRouter\nrouter = APIRouter()\nNAVIGATION = 'Live'",
            "NAVIGATION is not a NavigationEntry",
        ),
    ],
)
def test_a_module_that_is_no_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    package = tmp_path / f"pages_{abs(hash(text))}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "odd.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=rf"{package.name}.odd: .*{fault}"):
        find_pages(importlib.import_module(package.name))
