"""The delay from a stimulus marker to the first frame on the participant's page.

Measured in a real browser on this machine.

    python -m benchmarks.marker_delay [--json] [--stimuli N]

A protocol of one-second stimuli, texts and pictures of 1920 × 1080 in turns, runs through the real
dashboard and a real Chromium. The marker holds the moment at which the step was due. The page notes
the moment after the first frame that shows the stimulus was handed to the display; both read the
clock of this machine. What a network adds, and the screen itself, is not in it.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks._command import benchmark
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.timeline.database.schema import DATABASE_NAME

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

    from tests.support.dashboard import DashboardProcess

# A callback of the second frame after the change runs when the first has been handed on.
NOTE_FIRST_FRAMES = """
window.painted = [];
const after = (frames, what) => {
  if (frames) requestAnimationFrame(() => after(frames - 1, what));
  else window.painted.push([what, Date.now()]);
};
const note = (what) => after(2, what);
document.addEventListener("DOMContentLoaded", () => {
  const text = document.getElementById("text");
  const changed = new MutationObserver(() => note(text.textContent));
  changed.observe(text, { childList: true, characterData: true });
  const picture = document.getElementById("picture");
  picture.addEventListener("load", (event) => note(event.target.src.split("/").pop()));
});
"""
DEADLINE_MS = 60_000


def write_protocol(folder: Path, stimuli: int) -> None:
    """Write the protocol and its pictures: every second stimulus is one."""
    steps = []
    for number in range(stimuli):
        shown = f'text = "stimulus {number}"'
        if number % 2:
            shown = f'picture = "{number}.png"'
            noise = np.random.default_rng(number).integers(0, 256, (1080, 1920, 3), np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), cv2.GaussianBlur(noise, (0, 0), 8))
        steps.append(f'[[step]]\nkind = "stimulus"\nlabel = "{number}"\nseconds = 1\n{shown}\n')
    (folder / "delay.toml").write_text('title = "Delay"\n' + "".join(steps), encoding="utf-8")


def participant_page(context: BrowserContext, dashboard: DashboardProcess) -> Page:
    """Start the session, and open the participant's page."""
    context.new_page().goto(dashboard.login_link)
    for path, form in (
        ("participants", {"code": "P-1"}),
        ("participants/P-1/consent", {"agreed": "yes", "text_version": CONSENT_VERSION}),
        (
            "sessions",
            {
                "participant": "P-1",
                "purpose": "research",
                "setting": "laboratory",
                "protocol": "delay",
            },
        ),
    ):
        answer = context.request.post(f"{dashboard.address}/study/{path}", form=dict(form))
        if not answer.ok:
            raise SystemExit(f"{path}: {answer.status} {answer.text()[:300]}")
    path = context.request.get(f"{dashboard.address}/api/v1/protocol").json()["participant_path"]
    page = context.new_page()
    page.add_init_script(NOTE_FIRST_FRAMES)
    page.goto(dashboard.address + path)
    return page


def run(folder: Path, stimuli: int) -> list[tuple[int, float]]:
    """Run the protocol; return number and delay of the first frame (ms) of each stimulus."""
    from tests.support.browser import chromium
    from tests.support.dashboard import DashboardProcess

    protocols = folder / "protocols"
    protocols.mkdir()
    write_protocol(protocols, stimuli)
    config = folder / "affect-edge.toml"
    config.write_text(f'[dashboard]\nprotocols = "{protocols}"\n', encoding="utf-8")
    data = folder / "data"
    with (
        DashboardProcess(data, "--config", str(config), "--login-link") as dashboard,
        chromium() as browser,
    ):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(DEADLINE_MS)
        page = participant_page(context, dashboard)
        page.locator("#ready").wait_for()
        page.keyboard.press("Space")
        page.locator("#break-text").wait_for()
        context.request.post(f"{dashboard.address}/api/v1/protocol/go")
        page.locator("#screen-end").wait_for(timeout=DEADLINE_MS + 2000 * stimuli)
        painted: list[tuple[str, int]] = page.evaluate("window.painted")
        context.close()
    with closing(sqlite3.connect(f"file:{data / DATABASE_NAME}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT label, at FROM marker WHERE kind = 'stimulus_start'"
        ).fetchall()
    return delays({int(label): at for label, at in rows}, painted)


def require_browser() -> None:
    """Make sure that a browser and Playwright are installed; else end and say how to get them."""
    if importlib.util.find_spec("playwright") is None:
        raise SystemExit(
            "benchmarks.marker_delay: Playwright is not installed, which drives the browser. "
            "Install it: .venv/bin/pip install -e '.[dev]'"
        )
    from tests.support.browser import PROGRAMS

    if not any(map(shutil.which, PROGRAMS)):
        raise SystemExit(
            "benchmarks.marker_delay: Chromium is not installed. Install it: sudo apt "
            "install chromium-headless-shell"
        )


def delays(markers: dict[int, int], painted: list[tuple[str, int]]) -> list[tuple[int, float]]:
    """Match each marker with the first frame noted after it for its stimulus."""
    first: dict[int, int] = {}
    for what, at in painted:
        number = re.search(r"\d+", what)
        if number is not None:
            first.setdefault(int(number[0]), at)
    missing = sorted(set(markers) - set(first))
    if missing:
        raise SystemExit(f"the first frame of stimulus {missing[0]} was not seen")
    return [(number, float(first[number] - at)) for number, at in sorted(markers.items())]


def measure(folder: Path, stimuli: int) -> dict[str, float]:
    """Return median and 95th percentile for texts and for pictures."""
    require_browser()
    rows = run(folder, stimuli)
    figures: dict[str, float] = {}
    for kind, rest in (("text", 0), ("picture", 1)):
        measured = [delay for number, delay in rows if number % 2 == rest]
        median, most = np.percentile(measured, [50, 95])
        figures |= {
            f"marker_delay_{kind}_ms": float(median),
            f"marker_delay_{kind}_p95_ms": round(float(most), 1),
        }
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, stimuli=(40, "how many, one a second"))
