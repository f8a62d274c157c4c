"""A protocol of several pictures made in the browser: files sent together, ratings copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.served import Served
from tests.support.browser import watched_page

pytestmark = pytest.mark.browser
NAMES = ("calm", "joy", "fear")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A dashboard over an empty folder."""
    with Served(tmp_path / "data") as served:
        yield served


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three pictures."""
    files = [tmp_path / f"{name}.png" for name in NAMES]
    for file in files:
        cv2.imwrite(str(file), np.full((60, 90, 3), (60, 160, 90), np.uint8))
    return files


def kinds(page: Page) -> list[str]:
    steps = page.locator(".protocol-edit > [data-kind]")
    return [step.get_attribute("data-kind") or "" for step in steps.all()]


def test_files_are_sent_together_and_ratings_copied_behind_each_picture(
    browser: Browser, own: Served, pictures: list[Path]
) -> None:
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/protocols")
        page.get_by_label("Title").fill("Three pictures")
        page.get_by_role("button", name="Make it").click()
        page.locator("#file").set_input_files(pictures)
        with page.expect_navigation():
            page.get_by_role("button", name="Upload").click()
        names = [f"{name}.png" for name in sorted(NAMES)]
        expect(page.locator("#media code")).to_have_text(names)
        for name in NAMES:
            page.get_by_label("One more step").select_option("stimulus")
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_label("Condition", exact=True).fill(name)
            page.get_by_label("Picture", exact=True).select_option(f"{name}.png")
            page.get_by_label("Seconds").fill("3")
            page.get_by_role("button", name="Add the step").click()
        page.get_by_label("One more step").select_option("report")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Add the step").click()
        page.get_by_role("checkbox", name="Choose step 5").check()
        page.get_by_role("button", name="Copy the ticked steps").click()
        expect(page).to_have_url(f"{own.address}/protocols/Three-pictures#step-3")
        assert kinds(page) == ["instruction", *["stimulus", "report"] * 3]


def test_steps_move_by_keys_and_by_handle_without_a_page_load(
    browser: Browser, own: Served
) -> None:
    text = (
        "title = 'Films'\n"
        + "".join(
            f"[[step]]\nkind = 'stimulus'\nlabel = '{name}'\ntext = '{name}'\nseconds = 3\n"
            "[[step]]\nkind = 'report'\nscales = ['valence']\nwith_stimulus = true\n"
            for name in "ab"
        )
        + "[[step]]\nkind = 'rest'\nseconds = 3\n"
    )
    cards = ["stimulus", "report", "stimulus", "report", "rest"]
    with watched_page(browser, own.login()) as page:
        upload = f"{own.address}/api/v1/protocols/upload?file=films.toml"
        sent = page.request.post(upload, data=text)
        page.goto(f"{own.address}/protocols/{sent.json()['name']}")
        page.evaluate("window.isKept = true")
        page.get_by_role("button", name="Move step 4 up").focus()
        page.keyboard.press("ArrowUp")
        expect(page.get_by_role("button", name="Move step 3 up")).to_be_focused()
        assert kinds(page) == ["stimulus", "report", "report", "stimulus", "rest"]
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("button", name="Move step 4 down")).to_be_focused()
        page.get_by_role("button", name="Move step 1 down").click()
        expect(page.locator("#step-1 .protocol-says")).to_have_text("b · b")
        assert kinds(page) == cards
        page.locator("#step-3 .protocol-handle").hover()
        page.mouse.down()
        box = page.locator("#step-1").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 20, box["y"] + 2, steps=4)
        page.mouse.up()
        expect(page.locator("#step-1 .protocol-says")).to_have_text("a · a")
        assert kinds(page) == cards
        page.get_by_role("link", name="New step before step 2").click()
        expect(page.get_by_role("combobox", name="New step before step 2")).to_be_focused()
        assert page.evaluate("window.isKept"), "no page was loaded"


def test_preview_names_a_film_that_the_browser_cannot_play(
    browser: Browser, own: Served, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(400))
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/protocols")
        page.get_by_label("Title").fill("A film")
        page.get_by_role("button", name="Make it").click()
        page.locator("#file").set_input_files(film)
        with page.expect_navigation():
            page.get_by_role("button", name="Upload").click()
        page.goto(f"{own.address}/protocols/A-film/add?kind=stimulus")
        page.get_by_label("Condition", exact=True).fill("joy")
        page.get_by_label("Video", exact=True).select_option("film.mp4")
        page.get_by_role("button", name="Add the step").click()
        page.get_by_role("link", name="Change step 2").click()
        page.get_by_role("link", name="Preview of this step").click()
        expect(page.get_by_role("alert")).to_have_text(
            "This browser cannot show film.mp4. Bring it in another format."
        )


def test_files_that_are_refused_are_named_and_the_others_are_there(
    browser: Browser, own: Served, pictures: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    address = f"{own.address}/protocols/three-conditions-2"
    with watched_page(browser, own.login(), refusals=(400,)) as page:
        page.goto(f"{own.address}/protocols/three-conditions")
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page).to_have_url(address)
        page.locator("#file").set_input_files([broken, *pictures])
        page.get_by_role("button", name="Upload").click()
        expect(page.locator("#upload-problem")).to_contain_text("broken.png")
        expect(page.locator("#media li")).to_have_text([f"{name}.png" for name in NAMES])
