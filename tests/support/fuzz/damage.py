"""Damage that a file may have: bytes that are gone, others in their place, a part repeated."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Damage = tuple[float, int, bytes, int]
DAMAGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=60), st.integers(1, 3))
"""Where, how many bytes go, what comes instead, and how often the rest is repeated."""
OVERWRITTEN = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)
"""Places of single bytes, and what stands there: everything else stays where it was."""


Change = Damage | list[tuple[float, int]]
CHANGES = st.one_of(DAMAGE, OVERWRITTEN)


def examples(wanted: int) -> settings:
    """Return the settings of a fuzz: so many examples, the same ones in every run."""
    return settings(
        max_examples=wanted,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def changed(whole: bytes, change: Change) -> bytes:
    """Return a file with one change of either kind."""
    return overwritten(whole, change) if isinstance(change, list) else damaged(whole, change)


def damaged(whole: bytes, damage: Damage) -> bytes:
    """Return a file with one damage."""
    share, gone, instead, times = damage
    place = int(share * len(whole))
    return whole[:place] + instead + whole[place + gone :] * times


def overwritten(whole: bytes, changes: list[tuple[float, int]]) -> bytes:
    """Return a file of the same length with some bytes changed."""
    content = bytearray(whole)
    for share, byte in changes:
        content[min(int(share * len(content)), len(content) - 1)] = byte
    return bytes(content)
