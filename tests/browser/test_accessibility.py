"""What axe says of every page, in light and dark, on a phone, a tablet and a desktop: nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, StorageState

from dashboard.web.settings import DashboardOptions
from edge_agent.store.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.browser.page_paths import page_paths, wait_for_charts
from tests.support.browser import watched_page
from tests.support.dashboard import DashboardProcess, fill

pytestmark = pytest.mark.browser
SPEC = importlib.util.find_spec("axe_playwright_python")
RUN = """async (rules) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...rules });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
    `${id}: ${target} ${(any[0] ?? all[0] ?? none[0])?.message}`));
}"""
ALIKE = r"""() => {
  for (const body of document.querySelectorAll("tbody")) {
    const seen = new Map();
    for (const row of [...body.rows]) {
      const form = row.outerHTML.replace(/>[^<]*</g, "><")
        .replace(/ (?!class=|style=)[\w-]+="[^"]*"/g, (named) => named.replace(/\d+/g, "0"));
      seen.set(form, (seen.get(form) ?? 0) + 1);
      if (seen.get(form) > 3) row.remove();
    }
  }
}"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
SIZES = {
    "light": {360: {}, 1024: {"runOnly": ["scrollable-region-focusable"]}, 1440: {}},
    "dark": {1024: COLOURS},
}
"""The rules for each width: all at the ends, in dark those that colours decide."""
PARTS = 6
"""Of all pages, each a test: together they take longer than a test may on a slow machine."""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe."""
    if SPEC is None or SPEC.origin is None:
        pytest.skip("axe is not installed (pip install axe-playwright-python)")
    return Path(SPEC.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    """A dashboard over the example study and ten minutes of recording."""
    folder = tmp_path_factory.mktemp("axe")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=10, simulated=True)
    seed_example_study(database, SimulatedPerson)
    with DashboardProcess(folder, "--login-link") as process:
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """The cookie of somebody who is logged in."""
    with watched_page(browser) as page:
        page.goto(dashboard.login_link)
        return page.context.storage_state()


@pytest.fixture(scope="module")
def paths(browser: Browser, dashboard: DashboardProcess, login: StorageState) -> list[str]:
    """All pages: those without parameters, and those of one session and one participant."""
    address = dashboard.address
    with watched_page(browser, login) as page:
        session = page.request.get(f"{address}/api/v1/sessions").json()[0]
        plain = page_paths(page, address)
    code = session["participant"]
    of_one = [f"/study/sessions/{session['id']}{part}" for part in ("", "/course", "/quality")]
    of_one += [f"/study/participants/{code}/{part}" for part in ("consent", "erase", "attributes")]
    range_of_it = f"/trends?start={session['start']}&end={session['end']}&beside={session['start']}"
    return [*plain, *of_one, range_of_it, "/nothing"]


def unfold(page: Page) -> None:
    """Open every fold, for what is in it counts as well."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def leave_out_alike(page: Page) -> None:
    """Of rows that differ in text and numbers alone, not in colours, leave the first three in each
    table: axe takes ten seconds for the hundreds of a chart's figures.
    """
    page.evaluate(ALIKE)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_at_any_size(
    browser: Browser,
    dashboard: DashboardProcess,
    login: StorageState,
    axe: str,
    paths: list[str],
    scheme: Literal["light", "dark"],
    part: int,
) -> None:
    complaints: list[str] = []
    with watched_page(browser, login, (360, 900), scheme, refusals=(404,)) as page:
        page.context.add_init_script(axe)
        for path in paths[part::PARTS]:
            page.goto(dashboard.address + path)
            wait_for_charts(page)
            unfold(page)
            leave_out_alike(page)
            for width, rules in SIZES[scheme].items():
                page.set_viewport_size({"width": width, "height": 900})
                complaints += [f"{path} {width}: {one}" for one in page.evaluate(RUN, rules)]
    assert not complaints, "\n".join(complaints)
