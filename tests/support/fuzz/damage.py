"""Damage that a file may have: bytes that are gone, others in their place, a part repeated."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SEED = os.environ.get("FUZZ_SEED")
"""Of another share of inputs; without it every run gives the same ones."""

Damage = tuple[float, int, bytes, int]
DAMAGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=60), st.integers(1, 3))
"""Where, how many bytes go, what comes instead, and how often the rest is repeated."""
OVERWRITTEN = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)
"""Places of single bytes, and what stands there: everything else stays where it was."""


Change = Damage | list[tuple[float, int]]
CHANGES = st.one_of(DAMAGE, OVERWRITTEN)
SHRUNK = 200
"""How many changes Hypothesis draws, which makes a change that finds something smaller but takes
longer than most parsers; what is wanted beyond is drawn without it.
"""
PIECES = (
    *(b"", b"\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xed\xa0\x80"),
    *(b"NaN", b"1e999", b"-1", b"9" * 40, b"0x", b"1_0", b"null", b"\\u0000", b"\xef\xbb\xbf"),
    *(b"[" * 60, b'{"a":' * 12, b'"', b"'", b"\r\n", b",", b";", b"=", b"]]>", b"<!DOCTYPE x>"),
)
"""What parsers stumble over: ends of numbers, of texts and of nesting."""


def examples(wanted: int) -> Callable[[Any], Any]:
    """Return a decorator that gives a fuzz so many examples: the same ones in every run, or those
    of a seed.
    """
    limits = settings(
        max_examples=wanted,
        deadline=None,
        database=None,
        derandomize=SEED is None,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test: Any) -> Any:
        return limits(test) if SEED is None else seed(int(SEED))(limits(test))

    return decorate


@dataclass(slots=True)
class Costs:
    """How many inputs there were, and the slowest one's seconds of the processor, a figure that
    ``make security`` has a bar for.
    """

    inputs: int = 0
    slowest_s: float = 0.0

    def count(self, begun_s: float) -> None:
        """Note the end of an input that began at ``begun_s``, of ``time.process_time``."""
        self.add(time.process_time() - begun_s)

    def add(self, seconds: float) -> None:
        """Note the seconds of an input."""
        self.inputs += 1
        self.slowest_s = max(self.slowest_s, seconds)

    def tell(self, name: str) -> None:
        """Print them, for who runs pytest with ``-s``."""
        print(f"\nfuzz {name}: {self.inputs} inputs, the slowest {1000 * self.slowest_s:.0f} ms")


def give_changes(take: Callable[[Change, int], object], wanted: int) -> None:
    """Call a function with so many changes, and a number for whatever it has to choose."""

    @given(CHANGES, st.integers(0, 1000))
    @examples(min(wanted, SHRUNK))
    def run(change: Change, which: int) -> None:
        take(change, which)

    run()
    for change, which in _random_changes(wanted - SHRUNK):
        try:
            take(change, which)
        except AssertionError as error:
            raise AssertionError(f"of {change!r} and {which}: {error}") from error


def _random_changes(number: int) -> Iterator[tuple[Change, int]]:
    source = random.Random(SEED or "")
    for _ in range(number):
        yield _random_change(source), source.randint(0, 1000)


def _random_change(source: random.Random) -> Change:
    if source.random() < 0.5:
        times = source.choice((1, 1, 1, 2, 3))
        piece = source.choice((source.choice(PIECES), source.randbytes(source.randint(0, 60))))
        return source.random(), source.randint(0, 40), piece, times
    return [(source.random(), source.randint(0, 255)) for _ in range(source.randint(1, 8))]


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
