"""Costs of pages in the browser: until a chart is seen, until Live can be used, on a second visit.

    python -m benchmarks.pages [--json]

A real dashboard over the example study and an hour and a half of recording, and a real Chromium
with a new profile for each visit. A chart is seen by the clock of the page, over a line of 400
kbit/s that answers after 400 ms; the time until Live is usable, with the processor slowed six
times, is by the clock, too. How far parts of a page jump is the largest of all pages, on a phone
and on a desktop, with the processor slowed eight times; of Live, Trends and Health also while an
agent speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, StorageState, ViewportSize

from benchmarks._command import benchmark
from dashboard.web.options import DashboardOptions
from edge_agent.core.expression import Emotion
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.browser.live_agent import LiveAgent
from tests.browser.page_paths import page_paths
from tests.support.browser import chromium
from tests.support.dashboard import DashboardProcess, fill

CHARTS = {
    "trends": "/trends?range=1h",
    "analysis": "/analysis?sample=example",
    "responses": "/responses?sample=example",
    "plan": "/plan",
}
SLOW_LINE = {
    "offline": False,
    "latency": 400,
    "downloadThroughput": 50_000,
    "uploadThroughput": 50_000,
}
"""400 kbit/s, as Chromium takes it: milliseconds, and bytes a second."""
OF_ONE = ("/study/sessions/1", "/study/sessions/1/quality", "/study/participants/SIM-01")
RUNS = 3
SLOWER = 6
SLOWEST = 8
SIZES: tuple[ViewportSize, ...] = ({"width": 1280, "height": 900}, {"width": 360, "height": 740})
SPOKEN_TO = ("/live", "/trends", "/health")
"""Pages that follow the agent."""
PATIENCE_MS = 180_000
SETTLED_MS = 2_000
TELL_SEEN = """const look = () => {
  const drawings = [...document.querySelectorAll("figure[data-chart] .drawing")];
  if (drawings.some((one) => one.checkVisibility())) window.seenAt = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);"""
"""A frame is drawn once the style sheets are there."""
COUNT_SHIFTS = """window.shifted = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
}).observe({ type: "layout-shift", buffered: true });"""


@contextmanager
def visit(browser: Browser, login: StorageState) -> Iterator[tuple[Page, CDPSession]]:
    """Open a new profile that is logged in and has seen nothing yet."""
    context = browser.new_context(
        storage_state=login, viewport={"width": 1280, "height": 900}, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    yield page, context.new_cdp_session(page)
    context.close()


def first_chart(browser: Browser, login: StorageState, address: str) -> tuple[float, float]:
    """Return after how many seconds a first visit sees a chart over a slow line, and the kB
    (1,000 bytes) of scripts that it fetches.
    """
    with visit(browser, login) as (page, session):
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", SLOW_LINE)
        scripts: set[str] = set()
        received: dict[str, float] = {}
        session.on(
            "Network.responseReceived",
            lambda event: scripts.add(event["requestId"]) if event["type"] == "Script" else None,
        )
        session.on(
            "Network.loadingFinished",
            lambda event: received.update({event["requestId"]: event["encodedDataLength"]}),
        )
        page.add_init_script(TELL_SEEN)
        page.goto(address, wait_until="networkidle")
        seen_ms: float = page.evaluate("window.seenAt")
    return seen_ms / 1000, sum(received.get(one, 0.0) for one in scripts) / 1000


def live_usable_s(browser: Browser, login: StorageState, address: str) -> float:
    """Return the time until the scripts of Live have run, by the clock, on a slow processor."""
    with visit(browser, login) as (page, session):
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto(f"{address}/live", wait_until="load")
        loaded_ms: float = page.evaluate(
            "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        )
    return loaded_ms / 1000


def second_visit(browser: Browser, login: StorageState, address: str, path: str) -> float:
    """Return the bytes that a page asks for when it was seen before, in kB (1,000 bytes)."""
    with visit(browser, login) as (page, session):
        page.goto(address + path, wait_until="load")
        page.goto("about:blank")
        received: list[float] = []
        session.send("Network.enable")
        session.on(
            "Network.loadingFinished", lambda event: received.append(event["encodedDataLength"])
        )
        page.goto(address + path, wait_until="load")
    return sum(received) / 1000


def layout_shift(browser: Browser, login: StorageState, address: str, path: str) -> float:
    """Return how far a page's parts jumped while it came up (Chromium's layout shift)."""
    return max(_layout_shift(browser, login, address + path, size) for size in SIZES)


def _layout_shift(browser: Browser, login: StorageState, address: str, size: ViewportSize) -> float:
    with visit(browser, login) as (page, session):
        page.set_viewport_size(size)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWEST})
        page.add_init_script(COUNT_SHIFTS)
        page.goto(address, wait_until="load")
        page.wait_for_timeout(SETTLED_MS)
        return float(page.evaluate("window.shifted"))


def measure(folder: Path) -> dict[str, float]:
    """Return all figures."""
    database = DashboardOptions(data=folder).database
    fill(database, minutes=90, simulated=True)
    seed_example_study(database, SimulatedPerson)
    config = folder / "without-alerts.toml"
    config.write_text("[alerts]\nenabled = false\n")  # the banner of a new one is no page's jump
    words = ("--config", str(config), "--login-link")
    with DashboardProcess(folder, *words) as dashboard, chromium() as browser:
        page = browser.new_page()
        page.goto(dashboard.login_link)
        login = page.context.storage_state()
        at = dashboard.address
        paths = page_paths(page, at)
        page.context.close()
        firsts = {name: first_chart(browser, login, at + path) for name, path in CHARTS.items()}
        figures = {f"pages_{name}_chart_seen_s": seen for name, (seen, _) in firsts.items()}
        figures["pages_scripts_kb_largest"] = max(scripts for _, scripts in firsts.values())
        addresses = dict.fromkeys([*paths, *CHARTS.values(), *OF_ONE])
        again = {path: second_visit(browser, login, at, path) for path in addresses}
        figures["pages_live_usable_slow_s"] = min(
            live_usable_s(browser, login, at) for _ in range(RUNS)
        )
        figures["pages_second_visit_kb_largest"] = max(again.values())
        figures["pages_second_visit_kb_live"] = again["/live"]
        shifts = [layout_shift(browser, login, at, path) for path in addresses]
        with LiveAgent(folder, Emotion.HAPPINESS):
            shifts += [layout_shift(browser, login, at, path) for path in SPOKEN_TO]
        figures["pages_layout_shift_largest"] = max(shifts)
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    benchmark(__doc__, measure)
