"""What Home Assistant showed, beside what the database holds: every change of every sensor.

The agent must have recorded every frame (``record.interval = 0``), so that a row is a frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_agent.agent.dispatcher import SINGLE_S, STREAM_S
from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS, NO_FACE, UNCERTAIN, Expression
from edge_agent.core.vitals import VitalKind
from tests.support.home.home_assistant import Change
from tests.support.timeline import query

REACH_MS = 2500
"""Values are published when the label changes, or with the summary window of two seconds."""
UNDER_WAY_MS = 1000
"""A row has the time of its frame; the window counts it when it was read, on a busy machine later.

It only says where a window may begin and end in the rows: their number and labels must be exact.
"""
AHEAD_MS = 100
"""A row is stamped when its frame was taken; clocks of two processes are read in turn."""
NOBODY_MS = 400
"""*No face* begins when the participant was not seen for half a second."""
LOST_MS = 500
"""A summary that waits in memory when its agent is killed is lost (docs/mqtt.md)."""
LEAST_FRAMES = 5
"""A window of two seconds has more, on a busy machine, too."""
SKIPPED_MS = 50
"""Frames come every 67 ms; where rows are further apart, a frame showed no face."""
RATE_MS = 65_000
"""The frame rate is one of the last minute at the most."""
VALENCE = 0.006
"""Probabilities are kept in per mille."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The participant in one frame: label, and valence where the face could be read."""

    at: int
    label: str
    valence: float | None


@dataclass(frozen=True, slots=True)
class Away:
    """A time without an agent, UTC milliseconds: from its end to the first row of the next one."""

    begin: float
    end: float


class Beside:
    """Compares changes with a database.

    Args:
        path: the database, after the agent has ended.
        summaries: every message of the topic ``summary``.
        away: when there was no agent.
    """

    def __init__(
        self, path: Path, summaries: Sequence[dict[str, Any]], away: Sequence[Away]
    ) -> None:
        self._path = path
        self._away = away
        self._frames = _frames(path)
        self._times = [frame.at for frame in self._frames]
        self._faces = dict(query(path, _FACES))
        self._faces_at = sorted(self._faces)
        self._summaries = [(_ms(one["window"]["end"]), one) for one in summaries]
        self._vitals = _vitals(path)
        self._gaps = query(path, "SELECT started, ended FROM gap WHERE source = 'camera'")
        self._sessions = query(path, "SELECT started, ended FROM session")
        self._minutes = query(path, "SELECT celsius FROM health_minute")
        self.evaluated = 0

    def wrong(self, changes: Sequence[Change]) -> list[str]:
        """Return a sentence for each change that the database does not bear out."""
        evaluators = self._evaluators()
        found = []
        appeared: set[str] = set()
        for change in changes:
            evaluate = evaluators.get(change.entity)
            if evaluate is None:
                continue
            self.evaluated += 1
            if change.state == "unavailable":
                # an entity is made unavailable, whoever is there
                absent = self._without_agent(change.at_ms) or change.entity not in appeared
                fault = "" if absent else "there is an agent"
            else:
                fault = evaluate(change)
                appeared.add(change.entity)
            if fault:
                at = iso_utc(round(change.at_ms))
                measured = change.attributes.get("measured_at", "")
                found.append(f"{at} {change.entity} = {change.state} {measured}: {fault}")
        return found

    def _evaluators(self) -> dict[str, Callable[[Change], str]]:
        evaluators: dict[str, Callable[[Change], str]] = {
            "sensor.expression": self._expression,
            "sensor.valence_derived": self._valence,
            "sensor.faces": self._number_of_faces,
            "sensor.frames_per_second": self._frames_per_second,
            "sensor.processor_temperature": self._temperature,
            "binary_sensor.camera": self._camera,
            "binary_sensor.recording": self._camera,
            "binary_sensor.session": self._session,
        }
        for label in (*(emotion.value for emotion in EMOTIONS), UNCERTAIN, NO_FACE):
            evaluators[f"sensor.share_{label}"] = self._share
        for kind in VitalKind:
            evaluators[f"sensor.{kind.spec.label.lower().replace(' ', '_')}"] = self._vital(kind)
        return evaluators

    def _without_agent(self, at_ms: float) -> bool:
        return any(one.begin <= at_ms <= one.end for one in self._away)

    def _starting(self, at_ms: float, within_ms: float = REACH_MS) -> bool:
        """Whether an agent may not know yet what it sees: it has just come."""
        first = self._times[0] if self._times else 0
        return at_ms <= first + within_ms or any(
            one.begin <= at_ms <= one.end + within_ms for one in self._away
        )

    def _near(self, at_ms: float) -> list[Frame]:
        """Return the frames of the moments before a change."""
        begin = bisect_left(self._times, at_ms - REACH_MS)
        return self._frames[begin : bisect_right(self._times, at_ms + AHEAD_MS)]

    def _holes(self, at_ms: float) -> float:
        """Return the longest time without the participant in the moments before a change."""
        times = [at_ms - REACH_MS, *(frame.at for frame in self._near(at_ms)), at_ms]
        return max(later - earlier for earlier, later in pairwise(times))

    def _expression(self, change: Change) -> str:
        if change.state == "unknown":
            return "" if self._starting(change.at_ms) else "frames are there"
        if change.state == NO_FACE:
            return "" if self._holes(change.at_ms) >= NOBODY_MS else "a face was there"
        labels = {frame.label for frame in self._near(change.at_ms)}
        return "" if change.state in labels else f"the rows say {sorted(labels)}"

    def _valence(self, change: Change) -> str:
        near = self._near(change.at_ms)
        if change.state == "unknown":
            readable = all(frame.valence is not None for frame in near)
            none = self._starting(change.at_ms) or not readable
            return "" if none or self._holes(change.at_ms) >= SKIPPED_MS else "a face could be read"
        shown = float(change.state)
        values = [frame.valence for frame in near if frame.valence is not None]
        return "" if any(abs(value - shown) <= VALENCE for value in values) else f"not {values}"

    def _number_of_faces(self, change: Change) -> str:
        if change.state == "unknown":
            return "" if self._starting(change.at_ms) else "frames are there"
        begin = bisect_left(self._faces_at, change.at_ms - REACH_MS)
        times = self._faces_at[begin : bisect_right(self._faces_at, change.at_ms + AHEAD_MS)]
        counts = {self._faces[at] for at in times}
        if float(change.state) == 0:
            return "" if self._holes(change.at_ms) >= SKIPPED_MS else "faces were there"
        return "" if float(change.state) in counts else f"the rows say {sorted(counts)}"

    def _share(self, change: Change) -> str:
        if change.state == "unknown":
            return "" if self._starting(change.at_ms) else "frames are there"
        label = change.entity.removeprefix("sensor.share_")
        windows = [
            one
            for end, one in self._summaries
            if end - AHEAD_MS <= change.at_ms <= end + REACH_MS and one["shares"]
            if abs(round(100 * one["shares"][label], 2) - float(change.state)) < 0.006
        ]
        if not windows:
            lost = any(one.begin - LOST_MS <= change.at_ms <= one.begin for one in self._away)
            return "" if lost and self._share_of_rows(change, label) else "no summary says so"
        if label == NO_FACE:  # no row tells of it
            return ""
        if any(self._counts(one, label) for one in windows):
            return ""
        shown = [round(one["shares"][label] * one["frames"]) for one in windows]
        return f"{shown} frames of {[one['frames_with_face'] for one in windows]}, not by the rows"

    def _share_of_rows(self, change: Change, label: str) -> bool:
        """Tell whether rows in a row before a change have the label in a share that was shown.

        For the last window of an agent that was killed before its summary was kept.
        """
        labels = [frame.label for frame in self._near(change.at_ms)]
        runs = (
            labels[first:last]
            for first in range(len(labels))
            for last in range(first + LEAST_FRAMES, len(labels) + 1)
        )
        shown = float(change.state)
        if label == NO_FACE:  # no row tells of it; none at all says that there was a face
            return shown == 0 or self._holes(change.at_ms) >= SKIPPED_MS
        return any(abs(100 * run.count(label) / len(run) - shown) < 0.006 for run in runs)

    def _counts(self, summary: dict[str, Any], label: str) -> bool:
        """Tell whether as many rows in a row as the window has faces have the label as often.

        The first and the last of them lie at the window's bounds, or were under way there.
        """
        shown = round(summary["shares"][label] * summary["frames"])
        begins = self._bounds(summary["window"]["start"])
        ends = self._bounds(summary["window"]["end"])
        windows = [(first, first + summary["frames_with_face"]) for first in begins]
        return any(
            sum(frame.label == label for frame in self._frames[first:last]) == shown
            for first, last in windows
            if last in ends
        )

    def _bounds(self, at: str) -> range:
        """Return the places in the rows at which a window may begin or end."""
        at_ms = _ms(at)
        earliest = bisect_left(self._times, at_ms - UNDER_WAY_MS)
        return range(earliest, bisect_right(self._times, at_ms) + 1)

    def _vital(self, kind: VitalKind) -> Callable[[Change], str]:
        limit_s = STREAM_S if kind.spec.stream else SINGLE_S

        def evaluate(change: Change) -> str:
            readings = self._vitals.get(kind.value, {})
            if change.state == "unknown":
                if self._starting(change.at_ms):
                    return ""
                oldest = iso_utc(round(change.at_ms - 1000 * limit_s + REACH_MS))
                newest = iso_utc(round(change.at_ms - REACH_MS))
                recent = [at for at in readings if oldest <= at <= newest]
                return f"there are readings: {recent[-1]}" if recent else ""
            kept = readings.get(change.attributes.get("measured_at", ""))
            same = kept is not None and abs(kept - float(change.state)) < 1e-6
            return "" if same else f"the row says {kept}"

        return evaluate

    def _frames_per_second(self, change: Change) -> str:
        if change.state == "unknown":
            return "" if self._starting(change.at_ms, RATE_MS) else "frames are there"
        recent = [
            one["frames"] / one["window"]["seconds"]
            for end, one in self._summaries
            if change.at_ms - RATE_MS <= end <= change.at_ms + REACH_MS
        ]
        low, high = min(recent, default=0) - 1, max(recent, default=0) + 1
        return "" if low <= float(change.state) <= high else f"windows say {low} to {high}"

    def _temperature(self, change: Change) -> str:
        kept = [celsius for (celsius,) in self._minutes if celsius is not None]
        if change.state == "unknown":
            return "" if self._starting(change.at_ms) or not kept else "it was measured"
        return "" if min(kept) - 5 <= float(change.state) <= max(kept) + 5 else f"{kept}"

    def _camera(self, change: Change) -> str:
        gap = any(begin <= change.at_ms <= end for begin, end in self._gaps)
        if change.state == "on":
            return "the camera has a gap" if gap and not self._starting(change.at_ms) else ""
        return "" if gap or self._starting(change.at_ms) else "it gives pictures"

    def _session(self, change: Change) -> str:
        open_then = [
            begin - AHEAD_MS <= change.at_ms and (end is None or change.at_ms <= end + REACH_MS)
            for begin, end in self._sessions
        ]
        long_open = [
            begin + REACH_MS <= change.at_ms and (end is None or change.at_ms <= end - AHEAD_MS)
            for begin, end in self._sessions
        ]
        if change.state == "on":
            return "" if any(open_then) else "no session is open"
        return "a session is open" if any(long_open) else ""


def _ms(iso: str) -> int:
    """Return a time as UTC milliseconds."""
    return round(1000 * datetime.fromisoformat(iso).timestamp())


_FACES = """
    SELECT at, count(*) FROM
    (SELECT at FROM expression UNION ALL SELECT at FROM unfit) GROUP BY at
"""


def _frames(path: Path) -> list[Frame]:
    """Return the participant's rows in order, those of frames that could not be read, too."""
    names = ", ".join(f"smoothed_{emotion.value}" for emotion in EMOTIONS)
    rows = query(path, f"SELECT at, emotion, {names} FROM expression WHERE is_primary")
    rejected = query(path, "SELECT at FROM unfit WHERE is_primary")
    frames = [*_readable(rows), *(Frame(at, UNCERTAIN, None) for (at,) in rejected)]
    return sorted(frames, key=lambda frame: frame.at)


def _readable(rows: Sequence[tuple[Any, ...]]) -> Iterator[Frame]:
    for at, label, *per_mille in rows:
        total = sum(per_mille)
        valence = Expression(tuple(value / total for value in per_mille)).valence
        yield Frame(at, label or UNCERTAIN, valence)


def _vitals(path: Path) -> dict[str, dict[str, float]]:
    """Return kind → time of measuring → value."""
    kept: dict[str, dict[str, float]] = {}
    for kind, at, value in query(path, "SELECT kind, at, value FROM vital ORDER BY at"):
        kept.setdefault(kind, {})[iso_utc(at)] = value
    return kept
