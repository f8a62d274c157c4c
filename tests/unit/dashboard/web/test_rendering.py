"""How values are written for people."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from dashboard.languages.figures import duration
from dashboard.languages.templates import local_time
from dashboard.web import routes
from dashboard.web.rendering import DEVICE, find_pages, navigation_of, with_code


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (59_400, "59 s"),
        (60_000, "1 min"),
        (112_000, "1 min 52 s"),
        (3_599_600, "1 h 00 min"),
        (3_600_000, "1 h 00 min"),
        (3_900_000, "1 h 05 min"),
        (3_931_000, "1 h 06 min"),
        (49 * 3_600_000, "2 d 1 h"),
    ],
)
def test_lengths_of_time_are_written_in_two_units_at_most(ms: int | None, text: str) -> None:
    assert duration(ms) == text


def test_times_are_utc_until_the_page_puts_them_into_the_readers_zone() -> None:
    assert str(local_time(1_790_000_400_250)) == (
        '<time datetime="2026-09-21T14:20:00.250Z" data-local="datetime">'
        "21 Sept 2026, 14:20 UTC</time>"
    )
    assert "21 Sept 2026</time>" in local_time(1_790_000_400_000, "date")
    assert local_time(None) == "–"


def test_commands_between_backticks_are_code_and_nothing_else_is_markup() -> None:
    said = with_code("Try `v4l2-ctl <x>`, then <b>`run`</b>.")
    assert said == (
        'Try <code translate="no">v4l2-ctl &lt;x&gt;</code>, then &lt;b&gt;'
        '<code translate="no">run</code>&lt;/b&gt;.'
    )
    assert with_code("No command") == "No command"


def test_pages_are_found_and_stand_in_the_order_of_their_positions() -> None:
    pages = find_pages(routes)
    names = {page.module.removeprefix("dashboard.web.routes.") for page in pages}
    assert {"live", "study", "sessions", "protocol"} <= names
    entries = navigation_of(pages)
    assert entries[0].title == "Live" and entries[-1].title == "Audit"
    assert len({entry.position for entry in entries}) == len(entries), "two entries in one place"
    menu = list(dict.fromkeys(entry.menu_entry for entry in entries))
    titles = ["Live", "Fleet", "Trends", "People", "Study", "Analysis", "Export", "Device"]
    assert [head.title for head in menu] == titles, "or a group stands in two places"
    drawn = [*menu, *(entry for entry in entries if entry.group == DEVICE)]
    assert all(entry.icon.startswith("M") for entry in drawn)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "needs an APIRouter"),
        pytest.param(
            "import fastapi, dashboard.web.rendering as pages\nrouter = fastapi.APIRouter()\n"
            "NAVIGATION = pages.NavigationEntry('Live', '/live', 1, 'M')",
            "the navigation leads to /live, which is no route here",
        ),
    ],
)
def test_a_module_that_is_no_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    package = tmp_path / f"pages_{abs(hash(text))}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "odd.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=rf"{package.name}.odd: .*{fault}"):
        find_pages(importlib.import_module(package.name))
