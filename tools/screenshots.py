"""Take the pictures of the README from the running demonstration: ``make screenshots``.

Starts ``affect-edge demo``, logs in through its link, waits until there is something to see, and writes PNG files to
``docs/images``. With ``--all DIR`` every page is taken in each combination of phone and desktop, light and dark.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
PAGES = {
    "live": "/",
    "trends": "/trends",
    "study": "/study",
    "readings": "/readings",
    "analysis": "/analysis",
    "export": "/export",
    "health": "/health",
}
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
README_PAGES = ("live", "trends", "analysis")
SETTLE_MS = 2500
MARGIN_MS = 60_000


def main() -> int:
    """Run the demonstration, take the pictures, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, help="take every page in every form into this folder instead")
    parser.add_argument("--wait", type=float, default=75, help="seconds to let the demonstration run first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "edge_agent", "demo", "--data", f"{folder}/data"]
            demo = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            link = wait_for_link(log)
            time.sleep(options.wait)
            take_all(link, options.all)
        finally:
            demo.terminate()
            demo.wait(20)
    return 0


def wait_for_link(log: Path) -> str:
    """Return the login link that the demonstration prints."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"http://\S+login\?link=\S+", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
        time.sleep(0.2)
    raise SystemExit(f"the demonstration did not start:\n{log.read_text(encoding='utf-8')}")


def take_all(link: str, folder: Path | None) -> None:
    """Log in once, and take the pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        first = browser.new_context()
        first.new_page().goto(link)
        state = first.storage_state()
        address = link.split("/login", maxsplit=1)[0]
        if folder is None:
            # The minutes around a session of the example study says more than the demonstration's first minute.
            newest = first.request.get(address + "/api/v1/sessions").json()[0]
            around = f"/trends?start={newest['start'] - MARGIN_MS}&end={newest['end'] + MARGIN_MS}"
            pages = PAGES | {"trends": around}
            for name in README_PAGES:
                take(
                    browser, state, address + pages[name], ROOT / "docs" / "images" / f"{name}.png", "desktop", "light"
                )
            take(browser, state, address + PAGES["live"], ROOT / "docs" / "images" / "phone.png", "phone", "dark")
        else:
            for name, path in PAGES.items():
                for size in SIZES:
                    for scheme in ("light", "dark"):
                        take(browser, state, address + path, folder / f"{name}-{size}-{scheme}.png", size, scheme)
        browser.close()


def take(browser: Browser, state: object, address: str, file: Path, size: str, scheme: str) -> None:
    """Take one page; full height when every page is wanted, as first seen for the README."""
    width, height = SIZES[size]
    context = browser.new_context(
        storage_state=state,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(SETTLE_MS)
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, full_page="images" not in file.parts)
    context.close()
    print(file)


if __name__ == "__main__":
    sys.exit(main())
