"""Which pages there are, and when one of them is drawn."""

from __future__ import annotations

from fastapi.routing import APIRoute
from playwright.sync_api import Page, expect

from dashboard.web import routes
from dashboard.web.rendering import find_pages


def page_paths(page: Page, address: str) -> list[str]:
    """The address of every page that the dashboard serves to who is logged in: routes without
    parameters that answer with HTML.
    """
    paths = {
        route.path
        for one in find_pages(routes)
        for route in one.router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    }
    asked = sorted(path for path in paths if "{" not in path and not path.startswith("/api/"))
    shown = []
    for path in asked:
        answer = page.request.get(address + path, max_redirects=0)
        if answer.status == 200 and "text/html" in answer.headers["content-type"]:
            shown.append(path)
    return shown


def wait_for_charts(page: Page) -> None:
    """Wait until every chart of the page is drawn."""
    for chart in page.locator("figure[data-chart]").all():
        expect(chart.locator("svg.drawing")).to_have_count(2)
