"""How values are written for people."""

from __future__ import annotations

import pytest

from dashboard.languages.figures import file_size
from dashboard.languages.names import duration
from dashboard.web.rendering import local_time


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (59_400, "59 s"),
        (60_000, "1 min"),
        (3_600_000, "1 h 00 min"),
        (3_900_000, "1 h 05 min"),
        (49 * 3_600_000, "2 d 1 h"),
    ],
)
def test_lengths_of_time_are_written_in_two_units_at_most(ms: int | None, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (4_096, "4.1 kB"), (3_400_000_000, "3.4 GB")]
)
def test_sizes_are_written_with_their_unit(size: int, text: str) -> None:
    assert file_size(size) == text


def test_times_are_utc_until_the_page_puts_them_into_the_readers_zone() -> None:
    assert str(local_time(1_790_000_400_250)) == (
        '<time datetime="2026-09-21T14:20:00.250Z" data-local="datetime">'
        "2026-09-21 14:20 UTC</time>"
    )
    assert "2026-09-21</time>" in local_time(1_790_000_400_000, "date")
    assert local_time(None) == "–"
