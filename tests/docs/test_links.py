"""Every link within the project leads to a file and a heading; every documented path is served."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from starlette.routing import Match

from tests.docs.pages import MORE, ROOT, anchors_of, links_of, pages, text_of
from tests.support.dashboard import client_of
from tools.documents.reference import is_made

PAGES = [*pages(), *MORE]
PATH = re.compile(
    r"(?<![\w.…])/(?:api/v1|study|participate|healthz|login|setup|static|live|trends|analysis"
    r"|export|health|readings|account|protocol)(?![\w.])[\w/{}.-]*"
)
NO_ROUTE = {"/api/v1/NAME": "of a page that somebody is going to write"}
FILES = re.compile(r"\.(toml|py|md|html|css|js)$")


def fault_of(page: str, target: str) -> str:
    """Say what is wrong with a link; an empty text when it leads somewhere."""
    parts = urlsplit(target)
    if parts.scheme:
        return "" if parts.scheme in {"https", "mailto"} else f"{parts.scheme} is not encrypted"
    file = (ROOT / page).parent / unquote(parts.path) if parts.path else ROOT / page
    name = file.resolve().relative_to(ROOT).as_posix()
    if not (file.exists() or is_made(name)):
        return "there is no such file"
    if parts.fragment and file.suffix == ".md" and parts.fragment not in anchors_of(name):
        return f"{name} has no heading #{parts.fragment}"
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_the_page_leads_somewhere(page: str) -> None:
    faults = [
        f"{target}: {fault}" for target in links_of(page) if (fault := fault_of(page, target))
    ]
    assert faults == []


def test_a_link_to_nowhere_would_be_found() -> None:
    assert fault_of("README.md", "docs/nowhere.md") == "there is no such file"
    assert "no heading" in fault_of("README.md", "docs/data.md#nowhere")
    assert fault_of("docs/data.md", "#views") == ""


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = set[str]()
    waiting = ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for target in links_of(page):
            path = urlsplit(target).path
            file = ((ROOT / page).parent / path).resolve()
            if path.endswith(".md") and file.is_relative_to(ROOT):
                name = file.relative_to(ROOT).as_posix()
                if name not in reached:
                    waiting.append(name)
    models = {page for page in PAGES if page.startswith("docs/models/")}
    assert set(PAGES) - reached - models == set()


def is_served(app: Any, path: str) -> bool:
    scope = {"type": "http", "path": path, "method": "GET", "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is not Match.NONE for route in app.routes)


def documented_paths() -> list[tuple[str, str]]:
    found = set()
    for page in pages():
        for hit in PATH.findall(text_of(page)):
            path = "/static/" if hit.startswith("/static") else hit.rstrip(".-/")
            if not FILES.search(path) and path not in NO_ROUTE:
                found.add((page, path))
    return sorted(found)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return client_of(tmp_path_factory.mktemp("dashboard")).app


@pytest.mark.parametrize(("page", "path"), documented_paths())
def test_a_documented_path_is_served(page: str, path: str, dashboard: Any) -> None:
    assert is_served(dashboard, path), f"{page}: {path}"


def test_a_path_that_is_not_served_would_be_found(dashboard: Any) -> None:
    assert not is_served(dashboard, "/api/v1/nowhere")
    assert is_served(dashboard, "/api/v1/exports/ID/file")
