"""Pictures are labelled in a real browser, by the keyboard alone."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import PHONE, Watch
from training.data.labelling import HOST, Labels, label_app, open_socket

PICTURES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(PICTURES):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), 60 * number, np.uint8))
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The page, as the command serves it."""
    listening = open_socket(0)
    labels = Labels(folder, folder / "out")
    server = uvicorn.Server(uvicorn.Config(label_app(labels), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://{HOST}:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    width, height = PHONE
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.goto(address)
    yield opened
    opened.close()


def begin(page: Page, name: str) -> None:
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text(name)


def label_all(page: Page, name: str, keys: dict[str, str]) -> None:
    """Give each picture the keys that belong to it, in the order of this person."""
    begin(page, name)
    for done in range(len(PICTURES)):
        expect(page.locator("#place")).to_contain_text(f"{done} labelled")
        for key in keys[page.locator("#file").inner_text()]:
            page.keyboard.press(key)
    expect(page.locator("#start")).to_be_visible()


def rows(folder: Path, name: str) -> dict[str, list[str]]:
    with (folder / "out" / name).open(newline="") as file:
        return {row[0]: row[1:] for row in list(csv.reader(file))[1:]}


def test_two_people_label_by_keys_see_how_far_they_agree_and_settle(
    page: Page, folder: Path
) -> None:
    watch = Watch(page)
    label_all(page, "Ada", {"a.png": "1", "b.png": "2", "c.png": "5", "d.png": "0"})
    label_all(page, "Ben", {"a.png": "1", "b.png": "d2", "c.png": "6", "d.png": "0"})

    assert rows(folder, "labels-Ben.csv")["b.png"] == ["happiness", "yes"]
    expect(page.locator("#counts")).to_have_text("4 pictures, 1 of them with a clear label.")
    row = page.locator("#agreement tbody tr")
    expect(row).to_contain_text("Ada and Ben")
    expect(row).to_contain_text("3 (75 %)0.69anger / disgust 1")

    page.locator("#name").press("Tab")
    while not page.evaluate("document.activeElement.id === 'settle'"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for _ in range(2):
        said = page.locator("#said")
        expect(said).to_contain_text("Ada: ")
        shown = page.locator("#file").inner_text()
        assert ("doubtful" in said.inner_text()) == (shown == "b.png")
        page.keyboard.press({"b.png": "2", "c.png": "5"}[shown])
        page.wait_for_function(
            "was => document.querySelector('#file').textContent !== was"
            " || !document.querySelector('#start').hidden",
            arg=shown,
        )
    expect(page.locator("#counts")).to_have_text("4 pictures, 3 of them with a clear label.")
    assert rows(folder, "labels.csv") == {
        "a.png": ["neutral"],
        "b.png": ["happiness"],
        "c.png": ["anger"],
    }
    assert watch.complaints == []


def test_a_page_that_is_closed_goes_on_where_it_was(page: Page, address: str, folder: Path) -> None:
    begin(page, "Ada")
    first = page.locator("#file").inner_text()
    page.keyboard.press("4")
    expect(page.locator("#place")).to_contain_text("1 labelled")
    second = page.locator("#file").inner_text()

    page.goto(address)
    begin(page, "Ada")

    expect(page.locator("#file")).to_have_text(second)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-emotion=sadness]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Delete")
    expect(page.locator("#place")).to_contain_text("0 labelled")
    assert first not in rows(folder, "labels-Ada.csv")


def test_a_label_that_cannot_be_kept_is_reported_and_not_shown(page: Page, folder: Path) -> None:
    begin(page, "Ada")
    (folder / "out").write_text("in the way")
    page.keyboard.press("3")
    expect(page.locator("#message")).to_contain_text("Not kept:")
    expect(page.locator("#place")).to_contain_text("0 labelled")


def test_on_a_phone_nothing_reaches_over_the_edge(page: Page) -> None:
    begin(page, "Ada")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
