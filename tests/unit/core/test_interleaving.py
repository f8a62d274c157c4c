"""Texts beside readings: which part them into streams that one device cannot give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from edge_agent.core import interleaving
from edge_agent.core.clock import Instant
from edge_agent.core.interleaving import Labelled, TextsBeside, are_joined, parts_streams
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from tests.support.timeline import START_MS

S, MIN = 1000, 60_000
Streams = Callable[[Random], Sequence[Labelled]]


def every(step_ms: int, count: int, level: float, name: int, first_ms: int = 0) -> list[Labelled]:
    """A stream of even steps near a level."""
    return [(first_ms + n * step_ms, level + n % 3, name) for n in range(count)]


def uneven(random: Random, least_ms: int, most_ms: int, level: float, name: int) -> list[Labelled]:
    at_ms, readings = random.randrange(most_ms), []
    for n in range(60):
        readings.append((at_ms, level + n % 5, name))
        at_ms += random.randint(least_ms, most_ms)
    return readings


def remarked(readings: Sequence[Labelled], text: Callable[[int], int]) -> list[Labelled]:
    """One stream, with remarks."""
    return [(at, value, text(n)) for n, (at, value, _) in enumerate(readings)]


SEVERAL: dict[str, tuple[Streams, Sequence[str]]] = {
    "at the same times": (lambda _: every(MIN, 4, 60, 0) + every(MIN, 4, 91, 1), ("left", "right")),
    "at the same times, at one level": (
        lambda _: every(S, 9, 97, 0) + every(S, 9, 98, 1),
        ("me", "you"),
    ),
    "at the same times, one seldom": (
        lambda _: every(S, 200, 60, 0) + every(20 * S, 10, 91, 1),
        ("band", "cuff"),
    ),
    "twice, at the same times": (lambda _: every(MIN, 2, 60, 0) + every(MIN, 2, 95, 1), ("P", "Q")),
    "by numbers": (lambda _: every(MIN, 9, 60, 0) + every(MIN, 9, 61.5, 1), ("1", "2")),
    "twenty-five people": (
        lambda _: [one for n in range(25) for one in every(MIN, 9, 50 + n, n)],
        [f"who {n}" for n in range(25)],
    ),
    "beside each other": (
        lambda _: every(S, 20, 70, 0) + every(S, 20, 71, 1, 400),
        ("left", "right"),
    ),
    "at another rate": (
        lambda _: every(S, 90, 70, 0) + every(10 * S, 9, 71, 1, 500),
        ("left", "right"),
    ),
    "in turn, at levels apart": (
        lambda _: every(2 * S, 10, 60, 0) + every(2 * S, 10, 90, 1, S),
        ("L", "R"),
    ),
    "in turn at half minutes, far apart": (
        lambda _: every(MIN, 6, 60, 0) + every(MIN, 6, 91, 1, MIN // 2),
        ("left", "right"),
    ),
    "in turn, by codes": (
        lambda _: every(2 * MIN, 6, 70, 0) + every(2 * MIN, 6, 71, 1, MIN),
        ("P01", "P02"),
    ),
    "a cuff each, by serial numbers": (
        lambda _: every(15 * MIN, 6, 120, 0) + every(15 * MIN, 6, 121, 1, 2 * MIN),
        ("TAS1D480", "TAS1D481"),
    ),
    "at the same times, mostly of one value": (
        lambda random: (
            [(n * S, random.choices((98, 97), (9, 1))[0], n % 2) for n in range(200)]
            + [(n * S, 98, 1 - n % 2) for n in range(200)]
        ),
        ("Ada", "Bo"),
    ),
    "every five minutes": (
        lambda _: [one for n in range(3) for one in every(5 * MIN, 9, 70, n, n * 70 * S)],
        ("x", "yy", "zzz"),
    ),
    "of uneven steps": (
        lambda random: uneven(random, 4 * S, 6 * S, 70, 0) + uneven(random, 4 * S, 6 * S, 71, 1),
        ("left", "right"),
    ),
    "of uneven minutes": (
        lambda random: (
            uneven(random, 3 * MIN, 6 * MIN, 70, 0) + uneven(random, 3 * MIN, 6 * MIN, 71, 1)
        ),
        ("watch", "band"),
    ),
    "one day each, at levels apart": (
        lambda _: every(MIN, 20, 62, 0) + every(MIN, 20, 91, 1, 1440 * MIN),
        ("P01", "P02"),
    ),
    "by serial numbers, hours apart": (
        lambda _: (
            every(S, 300, 60, 0) + every(S, 300, 75, 1, 90 * MIN) + every(S, 9, 95, 2, 999 * MIN)
        ),
        ("A0371X", "A0412X", "B1055X"),
    ),
    "three beside each other": (
        lambda _: [one for n in range(3) for one in every(MIN, 9, 70, n, n * 14 * S)],
        ("a", "b", "c"),
    ),
}

ONE: dict[str, tuple[Streams, Sequence[str]]] = {
    "posture in turn": (
        lambda _: remarked(every(MIN, 30, 70, 0), lambda n: n % 2),
        ("sitting", "standing"),
    ),
    "posture in turn, that raises the rate": (
        lambda _: [(n * MIN, 62 + 13 * (n % 2), n % 2) for n in range(12)],
        ("sitting", "standing"),
    ),
    "posture in pairs of a cuff": (
        lambda _: every(15 * MIN, 8, 120, 0) + every(15 * MIN, 8, 126, 1, 2 * MIN),
        ("sitting", "standing"),
    ),
    "morning and evening": (
        lambda _: every(24 * 60 * MIN, 14, 120, 0) + every(24 * 60 * MIN, 14, 129, 1, 720 * MIN),
        ("AM", "PM"),
    ),
    "a quality mark by chance": (
        lambda random: remarked(every(S, 300, 70, 0), lambda _: random.randrange(2)),
        ("good", "poor"),
    ),
    "a quality mark in turn": (
        lambda _: remarked(every(S, 300, 70, 0), lambda n: n % 2),
        ("good", "poor"),
    ),
    "a quality mark of uneven steps": (
        lambda random: remarked(uneven(random, 4 * S, 6 * S, 70, 0), lambda _: random.randrange(2)),
        ("good", "poor"),
    ),
    "a mark of readings that come by chance": (
        lambda random: remarked(uneven(random, 1, 60 * S, 70, 0), lambda _: random.randrange(3)),
        ("a", "b", "c"),
    ),
    "a tag now and then": (
        lambda random: remarked(
            every(S, 300, 70, 0), lambda _: random.choice((0, 0, 0, 0, 0, 1, 2))
        ),
        ("", "run", "walk"),
    ),
    "one device after the other": (
        lambda _: every(S, 50, 60, 0) + every(S, 50, 90, 1, 50 * S),
        ("old", "new"),
    ),
    "laps, each of its own beginning": (
        lambda _: [
            one for lap in range(10) for one in every(S, 20, 70 + lap, lap % 2, lap * 21_300)
        ],
        ("run", "rest"),
    ),
    "the same readings of two exports": (
        lambda _: every(MIN, 30, 70, 0) + every(MIN, 30, 70, 1),
        ("first.csv", "second.csv"),
    ),
    "a measurement that was repeated at once": (
        lambda _: (
            [(n * 7919 * S, 120 + n, 0) for n in range(12)]
            + [(n * 7919 * S, 180, 1) for n in range(3, 12, 4)]
        ),
        ("ok", "error"),
    ),
    "three measurements of a time": (
        lambda random: [
            (at, 120.0 + random.randrange(9), n)
            for at in (0, 9 * MIN, 731 * MIN, 740 * MIN, 1500 * MIN, 2171 * MIN)
            for n in range(3)
        ],
        ("1", "2", "3"),
    ),
    "two readings of a time, by a mark that parts them by chance": (
        lambda random: remarked(
            sorted(every(MIN, 40, 70, 0) + every(MIN, 40, 75, 0)), lambda _: random.randrange(2)
        ),
        ("good", "poor"),
    ),
    "stimuli in turn, by codes": (
        lambda random: [(n * 5 * S, 60 + random.randrange(10), n % 3) for n in range(90)],
        ("s01", "s02", "s03"),
    ),
    "a breath in turn, which the heart follows": (
        lambda _: [(n * 5 * S, 75 - 10 * (n % 2) + n % 3, n % 2) for n in range(240)],
        ("inhale", "exhale"),
    ),
    "trials, which follow each other": (
        lambda _: [one for n in range(5) for one in every(S, 30, 60 + 12 * n, n, n * MIN)],
        [f"T{n:02}" for n in range(5)],
    ),
    "sessions on days apart, at levels of one body": (
        lambda random: [
            (day * 1440 * MIN + n * MIN, 66 + 5 * (day % 2) + random.randrange(9), day)
            for day in range(4)
            for n in range(20)
        ],
        [f"S{day:02}" for day in range(4)],
    ),
    "work after rest, hours apart": (
        lambda _: (
            every(10 * S, 60, 62, 0)
            + [(200 * MIN + n * 10 * S, 66 + min(70, 2 * n), 1) for n in range(60)]
        ),
        ("E01", "E02"),
    ),
    "words, on days apart, at levels apart": (
        lambda _: every(MIN, 20, 62, 0) + every(MIN, 20, 91, 1, 1440 * MIN),
        ("rest", "march"),
    ),
    "years": (
        lambda _: every(MIN, 20, 62, 0) + every(MIN, 20, 91, 1, 1440 * MIN),
        ("2025", "2026"),
    ),
    "one reading of each text": (
        lambda _: remarked(every(S, 9, 70, 0), lambda n: n),
        [f"row {n}" for n in range(9)],
    ),
}


@pytest.mark.parametrize("shape", SEVERAL)
def test_texts_beside_readings_of_several_devices_part_them(shape: str) -> None:
    readings, texts = SEVERAL[shape]
    assert parts_streams(readings(Random(7)), texts)


@pytest.mark.parametrize("shape", ONE)
def test_texts_beside_readings_of_one_device_part_nothing(shape: str) -> None:
    readings, texts = ONE[shape]
    assert not parts_streams(readings(Random(7)), texts)


DAY = 1440 * MIN


@pytest.mark.parametrize(
    ("blocks", "is_joined"),
    [
        ((("P01", DAY), ("P02", 0)), True),
        ((("P02", 0), ("P01", DAY)), False),
        ((("AB12", DAY), ("CD07", 2 * DAY), ("EF31", 0)), True),
        ((("T02", DAY), ("T01", 0)), False),
        ((("T01", 0), ("T02", DAY)), False),
        ((("rest", DAY), ("work", 0)), False),
        ((("P01", 2 * DAY), ("P02", 0), ("P01", DAY)), False),
        ((("2026", DAY), ("2027", 0)), False),
    ],
)
def test_blocks_of_codes_against_time_were_put_together(
    blocks: Sequence[tuple[str, int]], is_joined: bool
) -> None:
    texts = [*dict.fromkeys(name for name, _ in blocks)]
    rows = [one for name, at in blocks for one in every(MIN, 9, 70, texts.index(name), at)]
    assert are_joined(rows, texts) is is_joined
    assert not parts_streams(rows, texts)


@pytest.mark.parametrize("several", [False, True])
def test_texts_part_readings_alike_in_any_order_of_rows(several: bool) -> None:
    for readings, texts in (SEVERAL if several else ONE).values():
        rows = list(readings(Random(7)))
        Random(1).shuffle(rows)
        assert parts_streams(rows, texts) is several


@pytest.mark.parametrize("named", [3, 897])
def test_device_among_hundreds_of_columns_is_found_by_fewer_readings(
    named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def count(readings: Sequence[Labelled], texts: Sequence[str]) -> bool:
        judged.append(len(readings))
        return parts_streams(readings, texts)

    monkeypatch.setattr(interleaving, "parts_streams", count)
    columns = [f"c{n}" for n in range(900)]
    beside = TextsBeside(columns)
    for second in range(1500):
        cells = dict.fromkeys(columns, f"{second // 500}")
        for device in range(2):
            cells[f"c{named}"] = "AB"[device]
            at = Instant(wall_ms=START_MS + second * S, boot_ms=0)
            one = VitalReading(at, VitalKind.HEART_RATE, 60.0 + 20 * device, "strap")
            beside.add([one], cells)
    found = beside.find_column()
    assert found is not None
    assert found.column == f"c{named}"
    assert max(judged) <= 300
