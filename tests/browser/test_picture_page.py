"""The page Picture in a real browser: a portrait, a broken file, a folder, the clipboard."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.served import Served
from tests.support.browser import PHONE, has_sideways_scroll, watched_page
from tests.support.vision.portraits import SERIOUS_FILE, SMILING_FILE

pytestmark = pytest.mark.browser


def pixel(page: Page, name: str, x: float, y: float) -> list[int]:
    """Return red, green, blue and opacity of a canvas, at shares of its sides."""
    look = (
        "([name, x, y]) => { const canvas = document.querySelector(name);"
        "return [...canvas.getContext('2d').getImageData("
        "Math.floor(x * (canvas.width - 1)), Math.floor(y * (canvas.height - 1)), 1, 1).data]; }"
    )
    found: list[int] = page.evaluate(look, [name, x, y])
    return found


def test_a_portrait_is_shown_with_its_face_and_what_spoke_for_it(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/picture")
        page.locator("#choose").set_input_files(SMILING_FILE)
        found = page.get_by_role("region", name="astronaut.png")
        expect(found).to_contain_text("512 × 512 pixels")
        expect(found.get_by_role("heading", level=3)).to_have_text("Face 1: happiness")
        expect(page.get_by_role("status")).to_have_text("1 picture read.")
        bar = found.locator("[data-emotion=happiness] [data-value]")
        expect(bar).to_have_text("100 %")
        expect(page.locator("#picture")).to_have_accessible_name(
            "astronaut.png, 512 × 512 pixels. Face 1: happiness 100 %. "
            "Read by expression-accurate 1.5.0."
        )
        assert pixel(page, "#picture", 0.9, 0.05)[3] == 255, "the picture itself is drawn"
        evidence = found.get_by_role("img", name="Evidence for happiness.")
        expect(evidence).to_have_accessible_name(
            "Evidence for happiness. In this face, strongest for happiness: bottom centre."
        )
        found.get_by_label("Evidence for and against").select_option("anger")
        expect(found.get_by_role("img", name="Evidence for anger.")).to_be_visible()
        expect(page.get_by_role("region", name="All pictures")).to_be_hidden()


def test_a_folder_becomes_a_table_and_a_csv_file(
    browser: Browser, shown: Served, login: StorageState, tmp_path: Path
) -> None:
    folder = tmp_path / "+faces"
    folder.mkdir()
    (folder / "a.png").write_bytes(SMILING_FILE.read_bytes())
    (folder / "=b.jpg").write_bytes(SERIOUS_FILE.read_bytes())
    (folder / "notes.txt").write_text("no picture")
    Image.new("RGB", (300, 200), "gray").save(folder / "wall.png")
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/picture")
        page.locator("#folder").set_input_files(folder)
        expect(page.get_by_role("status")).to_have_text("3 pictures read.")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        text = download.value.path().read_text(encoding="utf-8")
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(text))}
    assert set(rows) == {"'+faces/a.png", "'+faces/=b.jpg", "'+faces/wall.png"}
    assert rows["'+faces/a.png"]["emotion"] == "happiness"
    assert float(rows["'+faces/a.png"]["happiness"]) > 0.99
    assert rows["'+faces/=b.jpg"]["emotion"] == "neutral"
    assert rows["'+faces/wall.png"]["problem"] == "no face"


def test_a_picture_that_is_too_large_is_scaled_down_by_the_browser(
    browser: Browser, shown: Served, login: StorageState, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    Image.open(SMILING_FILE).convert("RGB").resize((4000, 4000)).save(large)
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/picture")
        page.locator("#choose").set_input_files(large)
        found = page.get_by_role("region", name="large.jpg")
        expect(found).to_contain_text("scaled down by this browser from 4000 × 4000")
        expect(found.get_by_role("heading", level=3)).to_have_text("Face 1: happiness")


def test_a_picture_is_pasted_and_dropped(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    give = """async ([name, kind]) => {
      const data = new DataTransfer();
      const blob = await new Promise((done) => document.querySelector("#picture").toBlob(done));
      data.items.add(new File([blob], name, { type: "image/png" }));
      const told = { clipboardData: data, dataTransfer: data, bubbles: true, cancelable: true };
      const event = kind === "paste" ? new ClipboardEvent(kind, told) : new DragEvent(kind, told);
      document.body.dispatchEvent(event);
    }"""
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{shown.address}/picture")
        page.locator("#choose").set_input_files(SMILING_FILE)
        expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible()
        for kind in ("paste", "drop"):
            page.evaluate(give, [f"{kind}ed.png", kind])
            found = page.get_by_role("region", name=f"{kind}ed.png")
            expect(found.get_by_role("heading", level=3)).to_have_text("Face 1: happiness")
        assert not has_sideways_scroll(page)
