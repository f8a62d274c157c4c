"""The compact form of an electrocardiogram: nothing is lost, and damage is told."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch, pack, unpack


@given(st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1, max_size=400))
def test_samples_come_back_as_they_were(samples: list[int]) -> None:
    assert unpack(pack(samples), len(samples)) == samples


def test_literal_samples_have_their_form() -> None:
    # Differences 5, -1205 and 1207: 2 * 5; 2 * 1205 - 1 and 2 * 1207 in seven bits an octet.
    assert zlib.decompress(pack((5, -1200, 7))) == bytes([10, 0xE9, 0x12, 0xEE, 0x12])


@pytest.mark.parametrize(
    ("packed", "count", "problem"),
    [
        (b"no zlib", 3, "damaged"),
        (pack((1, 2, 3)), 4, "3 samples instead of 4"),
        (pack((1, 2, 3))[:-6], 3, "instead of 3"),
        (pack((1, 2, 3)), 0, "from 1 to 100000"),
        (pack([0] * 200_000), 200_000, "from 1 to 100000"),
        (pack((1, 2**31)), 2, "a sample of 2147483648"),
        (zlib.compress(b"\xff" * 5 + b"\x00"), 2, "more than five octets"),
    ],
)
def test_damaged_stretch_is_refused(packed: bytes, count: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        unpack(packed, count)


@pytest.mark.parametrize(
    ("from_ms", "until_ms", "samples"),
    [(-400, 0, (6, 7, 8, 9, 10)), (-950, -800, (1, 2)), (-5000, -950, None), (1, 0, None)],
)
def test_part_of_a_stretch_has_the_samples_between_two_times(
    from_ms: int, until_ms: int, samples: tuple[int, ...] | None
) -> None:
    whole = EcgStretch(Instant(2000, 5000), "s", 1.0, tuple(range(1, 11)))
    part = whole.within(from_ms, until_ms)
    assert (part and part.samples) == samples
    if part is not None and samples is not None:
        assert part.seconds == pytest.approx(len(samples) / 10)
        assert part.at == whole.at.shift((samples[-1] - 10) / 10)


def test_part_of_a_stretch_of_a_clock_that_stands_is_found() -> None:
    stretch = EcgStretch(Instant(2000, 5000), "s", 0.0, (1, 2))
    part = stretch.within(-1000, 0)
    assert part is not None
    assert (part.samples, part.at, round(1000 * part.seconds)) == ((1, 2), stretch.at, 1)
