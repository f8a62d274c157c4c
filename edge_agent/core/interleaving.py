"""Finds streams of readings that lie between each other in time, as those of two devices do. Pure.

One device gives its readings one after the other; its files follow each other. Where readings of
one file lie between those of another again and again, at the usual distance of its readings, two
devices measured at the same time. Within one file a column may name them, whatever it is called:
its texts part the readings into streams that one device cannot give.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, groupby, pairwise
from operator import itemgetter
from statistics import fmean, median, stdev
from typing import NamedTuple

from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind

_LEAST = 2
"""So often at least each lies within the other: files that touch at their ends do so once."""
_USUAL = 3.0
_MOST_MS = 30 * 60_000
"""A longer distance is a pause, also of a cuff that measures every quarter of an hour."""
_STEPS = 9
_STRAY = 0.1
"""So much of a stream may be otherwise: readings that came late, or twice."""
_MET = 0.5
"""So much at least of a stream lies at times of another one that measures at the same times."""
_DIFFER = 0.02
"""Readings of one time that have so seldom different values are the same, stored twice."""
_KNOWN = 8
"""Steps by which the least one of a stream is known."""
_SOONER = 0.075
"""For each stream, so many of the neighbours of different ones come sooner than of the same one."""
_QUICK_MS = 5 * 60_000
_STEADY_MS = 10 * 60_000
"""Only a device that measures by itself goes on at such steps; a person with a cuff is slower."""
_LEAPS = {2_000: 0.08, 10_000: 0.2, 30_000: 0.25}
"""Within so many milliseconds, no body goes to and fro by so much of its level again and again; a
heart does by a seventh with each slow breath.
"""
_SURE = 2.5
"""Standard errors by which values of codes in turn lie beside their neighbours, not by chance."""

_READINGS_KEPT = 5_000
"""Readings of a kind by which devices in a file differ; of more, spans of time are kept."""
_WINDOW_MS = 2**22
"""70 minutes, longer than a pause: the spans that are kept do not touch."""
_SPANS_LEAST = 16
_JUDGED_MOST = 250_000
"""Texts beside readings by which all columns together are judged: each costs some 20 µs."""
_JUDGED_LEAST = 250
"""Readings of a source by which a column is judged, however many columns there are."""
_TEXTS_MOST = 200
"""A column with more texts has no names of devices or people; a place fits into a byte."""
_TOGETHER_MOST = 6
_LEVELS_APART = 0.1
"""Share of the lower level by which blocks of codes, hours apart, are of two bodies."""
_AT_ONCE = 0.8
"""So much of it is there with the first readings of a block: a body at work takes minutes."""
_EDGE = 3
_OF_DEVICES = re.compile(
    r"(device|sensor)( ?(id|name|type|model))?|monitor|arm|side|(device )?serial( number)?|"
    r"ger[äa]t|dispositivo|appareil|apparecchio|aparelho|brazo|bras|braccio|bra[çc]o|设备|設備|機器"
)
_DEVICES_MOST = 20

Labelled = tuple[int, float, int]
"""Time in milliseconds and value of a reading, and the place of the text beside it."""


class Interleaving:
    """Takes readings of several streams in the order of their times."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[int, tuple[int, int]] = {}
        self._steps: dict[int, deque[int]] = {}
        self._within: Counter[tuple[int, int]] = Counter()

    def add(self, at_ms: int, stream: int) -> tuple[int, int] | None:
        """Add a reading; return the two streams that turn out to lie between each other.

        Args:
            at_ms: its time, not before that of the reading before it.
            stream: number of its stream.
        """
        self._count += 1
        pair = None
        last = self._last.pop(stream, None)
        steps = self._steps.setdefault(stream, deque(maxlen=_STEPS))
        if last is not None:
            step = at_ms - last[0]
            if step <= min(_USUAL * (median(steps) if steps else step), _MOST_MS):
                pair = self._count_between(stream, last[1])
            steps.append(step)
        # The newest stands at the end, so that old streams stand first.
        self._last[stream] = (at_ms, self._count)
        oldest = next(iter(self._last))
        while self._last[oldest][0] < at_ms - _MOST_MS:
            del self._last[oldest]
            oldest = next(iter(self._last))
        return pair

    def _count_between(self, stream: int, since: int) -> tuple[int, int] | None:
        for other, (_, place) in reversed(self._last.items()):
            if place < since:
                break
            self._within[stream, other] += 1
            there, back = self._within[stream, other], self._within[other, stream]
            if min(there, back) >= _LEAST:
                return stream, other
        return None


def first_interleaved(readings: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the first two streams that lie between each other; ``None``: there are none.

    Args:
        readings: time in milliseconds and number of the stream of each, in the order of time.

    Example:
        >>> first_interleaved([(0, 1), (10, 2), (1000, 1), (1010, 2), (2000, 1), (2010, 2)])
        (2, 1)
        >>> first_interleaved([(0, 1), (1000, 1), (2000, 1), (2010, 2), (3010, 2), (4010, 2)])
    """
    seen = Interleaving()
    pairs: Iterator[tuple[int, int] | None] = (seen.add(at, stream) for at, stream in readings)
    return next((pair for pair in pairs if pair is not None), None)


class PartingColumn(NamedTuple):
    """A column that parts readings of one source into streams.

    Attributes:
        column: its name.
        texts: those that stand in it.
        source: of the readings.
    """

    column: str
    texts: Sequence[str]
    source: str


def names_devices(column: str) -> bool:
    """Tell whether the name of a column says that it tells devices, or arms, apart."""
    return _OF_DEVICES.fullmatch(re.sub(r"[\W_]+", " ", column).strip().lower()) is not None


class TextsBeside:
    """Finds a column of a table whose texts part the readings of a kind and source into streams.

    Args:
        columns: names of those that may.
        is_named: tells whether a column has a name of devices: that its streams lie between each
            other is enough.
    """

    def __init__(
        self, columns: Iterable[str], is_named: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._columns = list(filter(None, dict.fromkeys(columns)))
        self._named = {n for n, name in enumerate(self._columns) if is_named(name)}
        self._texts: list[dict[str, int]] = [{} for _ in self._columns]
        self._kept: dict[tuple[VitalKind, str], _Sample] = {}

    @property
    def texts(self) -> dict[str, list[str]]:
        """The different texts of each column, the first of them."""
        return dict(zip(self._columns, map(list, self._texts), strict=True))

    def add(self, readings: Sequence[VitalReading], cells: Mapping[str, str]) -> None:
        """Add the readings of a row, and its cells."""
        if not self._columns:
            return
        samples = [self._kept.setdefault((one.kind, one.source), _Sample()) for one in readings]
        kept = [
            (sample, one)
            for sample, one in zip(samples, readings, strict=True)
            if sample.takes(one.at.wall_ms)
        ]
        if not kept:
            return
        places = bytes(
            texts.setdefault(cells.get(name, ""), len(texts))
            if len(texts) <= _TEXTS_MOST
            else _TEXTS_MOST
            for name, texts in zip(self._columns, self._texts, strict=True)
        )
        for sample, one in kept:
            sample.add(one.at.wall_ms, one.value, places)

    def find_named(self) -> PartingColumn | None:
        """Return a column that has a name of devices and several of them; ``None``: none has."""
        for place, name in enumerate(self._columns):
            texts = [text for text in self._texts[place] if text]
            if place in self._named and 1 < len(texts) <= _DEVICES_MOST:
                return PartingColumn(name, texts, next((source for _, source in self._kept), ""))
        return None

    def find_column(self) -> PartingColumn | None:
        """Return the likeliest column that parts the readings of a source; ``None``: none does."""
        return next(self._parting_columns(), None)

    def _parting_columns(self) -> Iterator[PartingColumn]:
        open_ = [n for n, texts in enumerate(self._texts) if 1 < len(texts) <= _TEXTS_MOST]
        open_.sort(key=lambda n: (n not in self._named, _are_numbers(self._texts[n])))
        # In a table of many columns fewer readings have to show what parts them.
        most = max(_JUDGED_LEAST, _JUDGED_MOST // max(1, len(open_) * len(self._kept)))
        for sample in self._kept.values():
            sample.keep_at_most(most)
        for column in open_:
            texts = list(self._texts[column])
            is_named = column in self._named and len(texts) <= _DEVICES_MOST
            for (_, source), sample in self._kept.items():
                readings = sample.with_texts(itemgetter(column))
                if is_named and first_interleaved(sorted((at, name) for at, _, name in readings)):
                    yield PartingColumn(self._columns[column], texts, source)
                if parts_streams(readings, texts) or are_joined(readings, texts):
                    yield PartingColumn(self._columns[column], texts, source)
        # Two people with two arms each: neither column parts them alone.
        samples = {key: one for key, one in self._kept.items() if one.has_several()}
        for first, second in combinations(open_[:_TOGETHER_MOST] if samples else [], 2):
            of_first, of_second = list(self._texts[first]), list(self._texts[second])
            both = [f"{one} {other}" for one in of_first for other in of_second]
            together = partial(_together, first, second, len(of_second))
            for (_, source), sample in samples.items():
                if share_times(sample.with_texts(together), both):
                    yield PartingColumn(self._columns[first], of_first, source)


def _together(first: int, second: int, width: int, places: bytes) -> int:
    return places[first] * width + places[second]


def _are_numbers(texts: Iterable[str]) -> bool:
    return all(text.replace(".", "").isdecimal() for text in texts if text)


class _Sample:
    """Readings of one kind and source, of which whole spans of time are kept: all of few."""

    def __init__(self) -> None:
        self._period_ms = self._window_ms = _WINDOW_MS
        self._rows: list[tuple[int, float, bytes]] = []
        self._first_ms = self._last_ms = self._from_ms = 0

    def takes(self, at_ms: int) -> bool:
        """Tell whether a time lies in a span that is kept."""
        return (at_ms - self._from_ms) % self._period_ms < self._window_ms

    def add(self, at_ms: int, value: float, places: bytes) -> None:
        """Keep a reading with the places of the texts beside it."""
        self._first_ms = min(self._first_ms or at_ms, at_ms)
        self._last_ms = max(self._last_ms, at_ms)
        self._rows.append((at_ms, value, places))
        self.keep_at_most(_READINGS_KEPT)

    def keep_at_most(self, most: int) -> None:
        """Keep so many readings of spans of time, or fewer."""
        while len(self._rows) > most:
            self._thin(most)

    def with_texts(self, place: Callable[[bytes], int]) -> list[Labelled]:
        """Return time, value and the place of its text of each reading."""
        return [(at_ms, value, place(places)) for at_ms, value, places in self._rows]

    def has_several(self) -> bool:
        """Tell whether several readings of one time differ in their value."""
        values: dict[int, float] = {}
        return any(values.setdefault(at_ms, value) != value for at_ms, value, _ in self._rows)

    def _thin(self, most: int) -> None:
        """Keep the half of the spans, or of each; what is kept was kept before, in any order."""
        from_ms = self._from_ms
        if self._last_ms - self._first_ms > _SPANS_LEAST * self._period_ms:
            other_ms = from_ms + self._period_ms
            self._period_ms *= 2
        elif self._window_ms > 1:
            self._window_ms //= 2
            other_ms = from_ms + self._window_ms
        else:
            del self._rows[most:]
            return
        # The fuller half: one may be empty, as in a file that is shorter than a span.
        halves = {start: self._within(start) for start in (from_ms, other_ms)}
        self._from_ms = max(halves, key=lambda start: len(halves[start]))
        self._rows = halves[self._from_ms]

    def _within(self, from_ms: int) -> list[tuple[int, float, bytes]]:
        return [one for one in self._rows if (one[0] - from_ms) % self._period_ms < self._window_ms]


def parts_streams(readings: Iterable[Labelled], texts: Sequence[str]) -> bool:
    """Tell whether the texts beside readings part them into streams that one device cannot give.

    Different values of one time do, readings that come sooner after each other than any of one text
    do, and values that leap to and fro. A remark on readings of one device, as on posture or
    quality, does none of this, however often it changes.

    Args:
        readings: of one kind and source, in any order.
        texts: different ones that stand beside them.

    Example:
        >>> hands = [(s * 1000, 60.0 + 30 * n, n) for s in range(4) for n in range(2)]
        >>> parts_streams(hands, ["left", "right"])
        True
        >>> parts_streams([(s * 1000, 60.0 + s, s % 2) for s in range(8)], ["sitting", "standing"])
        False
    """
    streams = _Streams(readings, texts)
    return streams.share_times() or streams.lie_between() or streams.leap() or streams.stand_apart()


def are_joined(rows: Sequence[Labelled], texts: Sequence[str]) -> bool:
    """Tell whether rows are blocks of codes that were put together against the order of time.

    One device writes its rows in their order, and what counts them (trials, sessions) goes on with
    time, also in a file with the newest first. Codes of people do neither.

    Args:
        rows: of one kind and source, in the order of the file.
        texts: different ones that stand beside them.

    Example:
        >>> later, sooner = ([(day * 10**8 + n, 60.0, day) for n in range(9)] for day in (1, 0))
        >>> are_joined(later + sooner, ["P02", "P01"]), are_joined(later + sooner, ["T01", "T02"])
        (True, False)
    """
    blocks = [(name, [one[0] for one in own]) for name, own in groupby(rows, key=itemgetter(2))]
    names = [name for name, _ in blocks]
    is_in_blocks = 1 < len(names) == len({*names}) <= _DEVICES_MOST
    if not is_in_blocks or not _are_codes(texts[name] for name in names):
        return False
    if any(len(times) < _KNOWN or times != sorted(times) for _, times in blocks):
        return False
    starts = {texts[name]: times[0] for name, times in blocks}
    by_code = [starts[text] for text in sorted(starts)]
    return [*starts.values()] != sorted(starts.values()) and by_code != sorted(starts.values())


def share_times(readings: Iterable[Labelled], texts: Sequence[str]) -> bool:
    """Tell whether the texts part readings into streams with different values at the same times."""
    return _Streams(readings, texts).share_times()


class _Streams:
    """Readings of one kind by the text beside them."""

    def __init__(self, readings: Iterable[Labelled], texts: Sequence[str]) -> None:
        placed = sorted(set(readings))
        count = Counter(name for _, _, name in placed)
        self._placed = [one for one in placed if count[one[2]] >= _LEAST]
        self._times: dict[int, list[int]] = {}
        for at_ms, _, name in self._placed:
            own = self._times.setdefault(name, [])
            if not own or own[-1] != at_ms:
                own.append(at_ms)
        self._steps = {name: steps_of(own) for name, own in self._times.items()}
        self._usual = {name: median(own) for name, own in self._steps.items() if own}
        self._texts = [texts[name] for name in self._times]
        self._torn = 0
        self._differing: dict[int, set[int]] = {}
        self._alike: dict[int, set[int]] = {}
        for at_ms, group in groupby(self._placed, key=itemgetter(0)):
            values: dict[int, set[float]] = {}
            for _, value, name in group:
                values.setdefault(name, set()).add(value)
            self._torn += any(len(own) > 1 for own in values.values())
            if len(values) > 1:
                is_alike = len(set.union(*values.values())) == 1
                (self._alike if is_alike else self._differing)[at_ms] = {*values}

    def share_times(self) -> bool:
        """Tell whether streams have different values at the same times, and each one value."""
        if self._torn > _STRAY * len(self._differing):
            return False
        met: dict[int, list[int]] = {}
        for at_ms, names in sorted((self._differing | self._alike).items()):
            for name in names:
                met.setdefault(name, []).append(at_ms)
        if len(self._differing) < max(_LEAST, _DIFFER * len(self._alike)):
            return False
        full = [name for name, times in met.items() if self._share(name, times) >= _MET]
        if len(full) > 1:
            return not _are_counts(self._texts) or self._are_apart() or all(self._even(full))
        # A value that was measured again at once is no second stream; one at even steps is.
        return any(len(met[name]) > _LEAST for name in full) and all(self._even(full))

    def _share(self, name: int, met: Sequence[int]) -> float:
        own = self._times[name]
        return len(met) / (bisect_right(own, met[-1]) - bisect_left(own, met[0]))

    def _even(self, names: Iterable[int]) -> Iterator[bool]:
        for name in names:
            steps = self._steps[name]
            whole = sum(_is_multiple(step, self._usual[name]) for step in steps)
            yield len(steps) > _LEAST and whole >= (1 - _STRAY) * len(steps)

    def lie_between(self) -> bool:
        """Tell whether readings of streams come sooner after each other than those of one do."""
        merged = steps_of([at_ms for at_ms, _, _ in self._placed])
        if not merged:
            return False
        usual = median(merged)
        even = {name for name in self._usual if all(self._even([name]))}
        least = {
            name: sorted(steps)[len(steps) // 20] / 2
            for name, steps in self._steps.items()
            if len(steps) >= _KNOWN
        }
        are_codes = _are_codes(self._texts)
        beside = odd = met = sooner = 0
        close: Counter[tuple[int, int]] = Counter()
        for step, first, second in self._crossings():
            slower_ms = max(self._usual[first], self._usual[second])
            if step and {first, second} <= even and (are_codes or slower_ms <= _QUICK_MS):
                beside += 1
                odd += not _is_multiple(step, usual)
            if {first, second} <= least.keys() and (are_codes or slower_ms <= _STEADY_MS):
                met += 1
                if step < min(least[first], least[second]):
                    sooner += 1
                    close.update([(first, second)] if step else [(first, second), (second, first)])
        if odd >= 2 * _LEAST and 3 * odd >= beside:
            return True
        # Of remarks on one device, the more there are the further its readings of each lie apart.
        of = len({name for pair in close for name in pair})
        return sooner >= _SOONER * of * met and any(
            min(there, close[second, first]) >= _LEAST for (first, second), there in close.items()
        )

    def _crossings(self) -> Iterator[tuple[int, int, int]]:
        """Yield the distance of a reading and its neighbour of another stream, and both streams.

        The neighbour lies between two of one stream that follow each other at its usual step.
        """
        is_torn = self._torn > _STRAY * len(self._differing)
        last: dict[int, tuple[int, int]] = {}
        for place, (at_ms, _, name) in enumerate(self._placed):
            before_ms, there = last.get(name, (at_ms, place))
            if there < place - 1 and at_ms - before_ms <= min(
                _USUAL * self._usual.get(name, 0.0), _MOST_MS
            ):
                first, second = self._placed[there + 1], self._placed[place - 1]
                for time_ms, step, one, other in (
                    (before_ms, first[0] - before_ms, name, first[2]),
                    (at_ms, at_ms - second[0], second[2], name),
                ):
                    is_sure = step or (time_ms in self._differing and not is_torn)
                    if is_sure and {one, other} <= self._usual.keys():
                        yield step, one, other
            last[name] = at_ms, place

    def leap(self) -> bool:
        """Tell whether streams that follow each other in turn leap to and fro between levels."""
        following = Counter(
            (first[2], second[2])
            for first, second in pairwise(self._placed)
            if first[2] != second[2]
        )
        in_turn = sum(
            max(n for (one, _), n in following.items() if one == name)
            for name in {one for one, _ in following}
        )
        if in_turn < 2 * _LEAST or in_turn < (1 - _STRAY) * (len(self._placed) - 1):
            return False
        if _are_codes(self._texts):
            return any(map(self._lies_beside, self._levels()))
        step_ms = median(steps_of([at_ms for at_ms, _, _ in self._placed]) or [_MOST_MS])
        least = next((leap for most_ms, leap in _LEAPS.items() if step_ms <= most_ms), None)
        if least is None or not self._are_apart():
            return False
        values = [value for _, value, _ in self._placed]
        leap = median(_changes_of(values))
        # Otherwise they go up and down as one stream does.
        own = median(change for one in self._levels().values() for change in _changes_of(one))
        return leap > max(_USUAL * own, least * abs(median(values)))

    def stand_apart(self) -> bool:
        """Tell whether codes stand in blocks, hours apart, each at once of a level of its own."""
        blocks = [[*own] for _, own in groupby(self._placed, key=itemgetter(2))]
        names = {own[0][2] for own in blocks}
        is_in_blocks = 1 < len(blocks) == len(names) <= _DEVICES_MOST
        if not is_in_blocks or not _are_codes(self._texts):
            return False
        if any(len(own) < _KNOWN for own in blocks):
            return False
        return all(_is_another_level(before, after) for before, after in pairwise(blocks))

    def _lies_beside(self, name: int) -> bool:
        """Tell whether the values of a stream lie above, or below, those before and after them.

        A code of a stimulus parts readings of one body by chance: they go on from each other.
        """
        apart = [
            own[1] - (before[1] + after[1]) / 2
            for before, own, after in zip(
                self._placed, self._placed[1:], self._placed[2:], strict=False
            )
            if own[2] == name and name not in {before[2], after[2]}
        ]
        if len(apart) <= _LEAST:
            return False
        level = max(abs(value) for _, value, _ in self._placed)
        error = max(stdev(apart) / math.sqrt(len(apart)), 1e-6 * level)
        return abs(fmean(apart)) > _SURE * error

    def _are_apart(self) -> bool:
        """Tell whether the values of two streams do not overlap, but for a few."""
        middle = sorted((median(own), sorted(own)) for own in self._levels().values())
        return any(
            low[-1 - len(low) // 20] < high[len(high) // 20]
            for (_, low), (_, high) in pairwise(middle)
        )

    def _levels(self) -> dict[int, list[float]]:
        """Return the values of each stream, in the order of time."""
        levels: dict[int, list[float]] = {}
        for _, value, name in self._placed:
            levels.setdefault(name, []).append(value)
        return levels


def _is_another_level(before: Sequence[Labelled], after: Sequence[Labelled]) -> bool:
    """Tell whether a block is of another level than the one before it, from its beginning on."""
    values, later = ([value for _, value, _ in own] for own in (before, after))
    low, high = sorted((values, later), key=median)
    apart = median(high) - median(low)
    leap = abs(median(later[:_EDGE]) - median(values[-_EDGE:]))
    return (
        after[0][0] - before[-1][0] > _MOST_MS
        and max(low) < min(high)
        and apart > _LEVELS_APART * abs(median(low))
        and leap >= _AT_ONCE * apart
    )


def _changes_of(values: Sequence[float]) -> list[float]:
    return [abs(later - earlier) for earlier, later in pairwise(values)]


def steps_of(times: Sequence[int]) -> list[int]:
    """Return the distances of times that follow each other; of one time, and pauses, are none."""
    steps = (later - earlier for earlier, later in pairwise(times))
    return [step for step in steps if 0 < step <= _MOST_MS]


def _is_multiple(step: float, of: float) -> bool:
    whole = round(step / of)
    return whole >= 1 and abs(step - whole * of) <= _STRAY * of


def _are_codes(texts: Iterable[str]) -> bool:
    """Tell whether texts are letters and numbers in one form, as codes of people and serials are.

    Numbers alone may be measured.
    """
    forms = {re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "0", text)) for text in texts}
    return len(forms) == 1 and all(form.count("0") > 1 and "a" in form for form in forms)


def _are_counts(texts: Iterable[str]) -> bool:
    """Tell whether texts count from 0 or 1, as repeated measurements of one time are counted."""
    numbers = sorted(int(text) for text in texts if text.isdecimal())
    return bool(numbers) and numbers in (
        list(range(len(numbers))),
        list(range(1, len(numbers) + 1)),
    )
