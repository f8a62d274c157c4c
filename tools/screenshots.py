"""Take the pictures of the README and of the documentation from the running demonstration.

make screenshots

Starts ``affect-edge demo``, logs in through its link, waits until there is something to see, and
writes PNG files of 256 colours to ``docs/images``; of some pages the part that a text is about.
For the study guide it runs a session with the shipped protocol; with ``--study`` only its are
taken. With ``--all DIR`` every page is taken in each combination of phone and desktop, light and
dark, and so are the pages of a fleet where PostgreSQL and the extra ``fleet`` are installed;
``--language de`` asks for another language.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FloatRect,
    Page,
    StorageState,
    sync_playwright,
)

from dashboard.web import routes
from dashboard.web.rendering import find_pages, navigation_of
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.timeline.study.example_study import SESSION_NAME, WEEKS_CODE
from tests.support.fleet.postgres import INSTALL, postgres_programs

ROOT = Path(__file__).resolve().parents[1]
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
PAGES = {
    entry.path.strip("/") or "live": entry.path
    for entry in navigation_of(find_pages(routes))
    if entry.of != "fleet"
}
PAGES |= {
    "participant": "/study/participants/{participant}",
    "session": "/study/sessions/{session}",
    "quality": "/study/sessions/{session}/quality",
    "statistics": "/analysis/statistics",
    "account": "/account",
}
"""Every page, with the places of the newest session of the example study."""
FLEET_PAGES = {
    "fleet": "/fleet",
    "fleet-study": "/study?device=room-1",
    "fleet-trends": "/trends",
    "fleet-analysis": "/analysis?device=room-1&device=hall",
    "fleet-export": "/export",
    "fleet-accounts": "/accounts",
}
SIZES = {"desktop": (1280, 860), "phone": (390, 844), "wide": (1440, 900), "narrow": (360, 780)}
SIZES["low"] = (1280, 590)  # the first row of Live
SIZES_OF_ALL = ("wide", "narrow")
READ = "() => !document.querySelector('#valence-knob[hidden]')"
"""Whether Live, where that is the page, shows somebody: the demonstration's portraits pause."""
FACE_MS = 60_000
CHART = "[data-chart]"
IMAGES = ROOT / "docs" / "images"
PARTICIPANT = "P-7K2M"
UNTIL_A_QUESTION = 3  # baseline, stimulus and cuff of the shipped protocol
SETTLE_MS = 2500
MARGIN_MS = 60_000
COLOURS = 256
PHOTOGRAPH = 10_000  # colours; a page without one has less than 6,000
ROUNDS = 4  # of moving the colours to the middle of what they stand for
EDGE_PX = 12


@dataclass(frozen=True, slots=True)
class BrowserLook:
    """How a browser looks: a name of ``SIZES``, ``light`` or ``dark``, and its language."""

    size: str = "desktop"
    scheme: str = "light"
    language: str = "en"


@dataclass(frozen=True, slots=True)
class PagePart:
    """The smallest rectangle of a page around these elements, after a click on ``opens``."""

    path: str
    around: tuple[str, ...]
    opens: str = ""


DOCUMENTED = {
    "people": PagePart("/people", ("h1", ".people > li:nth-child(6)")),
    "week": PagePart(
        f"/study/participants/{WEEKS_CODE}/days",
        ("h1", ".week-glance", "section:has(> #days-title)"),
    ),
    "responses": PagePart("/responses", ("section:has(> #tests-title)", CHART)),
    "stimuli": PagePart(
        "/study/sessions/{session}", ("section:has(#responses-title)",), "[data-part=responses] a"
    ),
    "formats": PagePart("/export", ("form:has(#export-participant) fieldset:has(.format-cards)",)),
}
"""Pictures of the documentation that need nothing but the example study."""


def main() -> int:
    """Run the demonstration, take the pictures, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--all", type=Path, help="take every page in every form into this folder instead"
    )
    parser.add_argument(
        "--study", action="store_true", help="take only the pictures that need that session"
    )
    parser.add_argument("--language", default="en", help="language of the browser, with --all")
    parser.add_argument(
        "--wait", type=float, default=75, help="seconds to let the demonstration run first"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "edge_agent", "demo", "--data", f"{folder}/data"]
            # no alarm about a broker that nobody started
            quiet = {**os.environ, "AFFECT_EDGE_MQTT__ENABLED": "false"}
            demo = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=quiet
            )
        try:
            link = wait_for_link(log)
            time.sleep(options.wait)
            take_all(link, options.all, options.language, readme=not options.study)
        finally:
            demo.terminate()
            demo.wait(20)
    return 0


def wait_for_link(log: Path) -> str:
    """Return the login link that the demonstration prints."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        link = re.search(r"http://\S+login\?link=\S+", log.read_text(encoding="utf-8"))
        if link:
            return link[0]
        time.sleep(0.2)
    raise SystemExit(f"the demonstration did not start:\n{log.read_text(encoding='utf-8')}")


def take_all(link: str, folder: Path | None, language: str, *, readme: bool) -> None:
    """Log in once, and take the pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"), args=FLAGS.split()
        )
        first = browser.new_context()
        opened = first.new_page()
        opened.goto(link)
        opened.close()  # Live shows the portraits to one page at a time
        state = first.storage_state()
        address = link.split("/login", maxsplit=1)[0]
        sessions = first.request.get(address + "/api/v1/sessions").json()
        newest = next(one for one in sessions if one["name"] == SESSION_NAME)
        if folder is None and readme:
            # The minutes around a session of the example study says more than the demonstration's
            # first minute.
            around = f"/trends?start={newest['start'] - MARGIN_MS}&end={newest['end'] + MARGIN_MS}"
            parts = {**DOCUMENTED, "trends": PagePart(around, ("h1", CHART))}
            live, analysis = address + PAGES["live"], f"{address}/analysis#results"
            take(browser, state, live, IMAGES / "live.png", BrowserLook("low"))
            take(browser, state, analysis, IMAGES / "analysis.png")
            take(browser, state, live, IMAGES / "phone.png", BrowserLook("phone", "dark"))
            for name, part in parts.items():
                where = address + part.path.format(session=newest["id"])
                take(browser, state, where, IMAGES / f"{name}.png", part=part)
        if folder is None:
            take_study(browser, state, address, newest["id"])
        else:
            places = {"session": newest["id"], "participant": newest["participant"]}
            pages = {name: path.format(**places) for name, path in PAGES.items()}
            take_every_page(browser, state, address, pages, folder / language)
            take_fleet(browser, folder / language)
        browser.close()


def take_every_page(
    browser: Browser, state: StorageState, address: str, pages: dict[str, str], folder: Path
) -> None:
    """Take each page in each size and scheme, in the language that the folder is named after."""
    for name, path in pages.items():
        for size in SIZES_OF_ALL:
            for scheme in ("light", "dark"):
                file = folder / f"{name}-{size}-{scheme}.png"
                take(browser, state, address + path, file, BrowserLook(size, scheme, folder.name))


def take_fleet(browser: Browser, folder: Path) -> None:
    """Take the pages that a fleet has or shows otherwise, from the devices of the tests."""
    try:
        from tests.browser.fleet import served_fleet
    except ImportError as error:
        print(f"The pages of a fleet are left out: {error}", file=sys.stderr)
        return
    if postgres_programs() is None:
        print(f"The pages of a fleet are left out: {INSTALL}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as data, served_fleet(Path(data)) as served:
        take_every_page(browser, served.login(), served.address, FLEET_PAGES, folder)


def take_study(browser: Browser, state: StorageState, address: str, session: int) -> None:
    """Take the pages of a study in order, from the hardware to the report of a session."""
    take(browser, state, address + PAGES["health"], IMAGES / "hardware.png")
    context = open_context(browser, state, BrowserLook())
    post(context, f"{address}/study/participants", {"code": PARTICIPANT})
    consent = f"/study/participants/{PARTICIPANT}/consent"
    take(browser, state, address + consent, IMAGES / "consent.png")
    post(context, address + consent, {"agreed": "yes", "text_version": CONSENT_VERSION})
    details = {
        "participant": PARTICIPANT,
        "purpose": "research",
        "setting": "laboratory",
        "name": "three conditions",
    }
    post(context, f"{address}/study/sessions", {**details, "protocol": "three-conditions"})
    participant = context.new_page()
    operator = context.new_page()
    participant.goto(
        address + context.request.get(f"{address}/api/v1/protocol").json()["participant_path"]
    )
    participant.locator("#ready").click()
    operator.goto(f"{address}/protocol")
    post(context, f"{address}/api/v1/protocol/go")
    shoot(operator, "protocol")
    for _ in range(UNTIL_A_QUESTION):
        post(context, f"{address}/api/v1/protocol/skip")
    participant.get_by_role("heading", name="How pleasant").wait_for()
    participant.keyboard.press("7")
    shoot(participant, "participant")
    post(context, f"{address}/api/v1/protocol/end")
    # The report of a session that was skipped through says what to do about it; of an example all
    # is good.
    skipped = context.request.get(f"{address}/api/v1/sessions").json()[0]["id"]
    context.close()
    for number, page, name in ((session, "course", "session"), (skipped, "quality", "quality")):
        where = f"{address}/study/sessions/{number}/{page}"
        take(browser, state, where, IMAGES / f"{name}.png")
    take_standing(browser, state, address)


def take_standing(browser: Browser, state: StorageState, address: str) -> None:
    """Take the schedule of a participant, last: a session may begin by it at once."""
    person = f"{address}/study/participants/{PARTICIPANT}"
    context = open_context(browser, state, BrowserLook())
    page = context.new_page()
    page.goto(f"{person}/standing")
    page.locator("[name=agreed]").check()
    page.locator("form:has([name=agreed]) button").click()
    context.close()
    part = PagePart(person, ("section:has(> #standing-title)",))
    take(browser, state, person, IMAGES / "standing.png", part=part)


def post(
    context: BrowserContext, address: str, form: dict[str, str | float | bool] | None = None
) -> None:
    """Send what a form or a button of the dashboard sends."""
    answer = context.request.post(address, form=form)
    if not answer.ok:
        raise SystemExit(f"{address}: {answer.status} {answer.text()[:300]}")


def shoot(page: Page, name: str) -> None:
    """Take a page that is open as a picture of the study guide."""
    page.wait_for_timeout(SETTLE_MS)
    save(page.screenshot(), IMAGES / f"{name}.png")


def save(picture: bytes, file: Path) -> None:
    """Write a PNG of ``COLOURS`` colours, half as large; one with a photograph keeps all."""
    with Image.open(io.BytesIO(picture)) as taken:
        whole = taken.convert("RGB")
    if whole.getcolors(PHOTOGRAPH):
        whole = whole.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=ROUNDS)
    whole.save(file, optimize=True)
    print(f"{file}: {file.stat().st_size // 1000} kB")


def rectangle_of(page: Page, part: PagePart) -> FloatRect:
    """Return where the part is on the page, with an edge around it."""
    boxes = [box for one in part.around if (box := page.locator(one).first.bounding_box())]
    if len(boxes) < len(part.around):
        raise SystemExit(f"{page.url} shows not all of {', '.join(part.around)}")
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    return {
        "x": left - EDGE_PX,
        "y": top - EDGE_PX,
        "width": right - left + 2 * EDGE_PX,
        "height": bottom - top + 2 * EDGE_PX,
    }


def open_context(browser: Browser, state: StorageState, look: BrowserLook) -> BrowserContext:
    """Return a logged-in browser that looks so."""
    width, height = SIZES[look.size]
    return browser.new_context(
        storage_state=state,
        viewport={"width": width, "height": height},
        color_scheme="dark" if look.scheme == "dark" else "light",
        timezone_id="UTC",
        locale=look.language,
    )


def take(
    browser: Browser,
    state: StorageState,
    address: str,
    file: Path,
    look: BrowserLook | None = None,
    part: PagePart | None = None,
) -> None:
    """Take one page; full height when every page is wanted, else as first seen or a part."""
    context = open_context(browser, state, look or BrowserLook())
    page = context.new_page()
    page.goto(address)
    if part and part.opens:
        page.locator(part.opens).click()
    page.wait_for_timeout(SETTLE_MS)
    page.wait_for_function(READ, timeout=FACE_MS)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.parent != IMAGES:
        page.screenshot(path=file, full_page=True)
        print(file)
    elif part:
        save(page.screenshot(full_page=True, clip=rectangle_of(page, part)), file)
    else:
        save(page.screenshot(), file)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
