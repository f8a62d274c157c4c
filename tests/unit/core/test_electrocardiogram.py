"""The compact form of an electrocardiogram: nothing is lost, and damage is told."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.electrocardiogram import pack, unpack


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
