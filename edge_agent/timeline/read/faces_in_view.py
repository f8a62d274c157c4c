"""Evidence that the followed face was the same person's all the time.

Nobody is recognised: whoever leads in the picture counts as the participant. What the rows tell is
how often the followed face left and one came back, for how long more than one face was in view, and
how often another face in view was followed instead. It is counted from the faces that were seen,
read or not, and from their tracks: a track follows one face, and ends ``vision.memory_seconds``
after it was seen last.

Times are UTC milliseconds.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

from edge_agent.core.expression import NO_TRACK, Attribution
from edge_agent.core.study import Session
from edge_agent.core.texts import N_, Message, join_sentences
from edge_agent.timeline.database.schema import DAY_MS, EPISODE_GAP_MS, HOUR_MS, MINUTE_MS, SPANS
from edge_agent.timeline.read.measured import FOREVER_MS

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


LONGEST_MEMORY_MS = 10_000
"""No track outlasts a longer pause (the most that ``vision.memory_seconds`` can be)."""
_FRAME_MS = 1_000  # the most that a row of one frame stands for
_MOST_BREAKS = 20_000
"""Of more rows at which a face does not simply go on, all rows are quicker to read."""
# A face that counts as nobody's is followed all the same.
_COUNTS = f"(is_primary OR attribution = '{Attribution.UNKNOWN}')"
# Tables of other programs were once stored with track 1; of them no size of the face is known.
_FOLLOWED = f"track <> {NO_TRACK} AND face_size > 0"
_SEEN = f"""{SPANS}, whole(number) AS MATERIALIZED (SELECT value FROM json_each(?)),
    kept(number, id, goes_on) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?))
    SELECT number, at, interval_ms, track, {_COUNTS}, {_FOLLOWED}, 0
        FROM whole JOIN span USING (number) CROSS JOIN expression ON at > first AND at <= last
    UNION ALL
    SELECT number, at, interval_ms, track, {_COUNTS}, {_FOLLOWED}, goes_on
        FROM kept JOIN span USING (number) CROSS JOIN expression USING (id)
        WHERE at > first AND at <= last
    UNION ALL
    SELECT number, at, interval_ms, track, {_COUNTS}, track <> {NO_TRACK}, 0
        FROM span CROSS JOIN unfit ON at > first AND at <= last
    ORDER BY number, at"""
# Rows that do not go on from the one stored before them, and whether that is of the session and no
# later. Then the last rows before what lies in other tables.
_BREAKS = f"""{SPANS}, other(number, at) AS (
        SELECT number, at FROM span CROSS JOIN unfit ON at > first AND at <= last
        UNION ALL
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
    SELECT number, face.id, before.at > first AND before.at <= face.at
        FROM span CROSS JOIN expression AS face ON face.at > first AND face.at <= last
        LEFT JOIN expression AS before ON before.id = face.id - 1
        WHERE NOT coalesce(
            before.at > first AND before.at < face.at
            AND face.at - face.interval_ms - before.at <= {LONGEST_MEMORY_MS}
            AND before.track = face.track
            AND (before.is_primary OR before.attribution = '{Attribution.UNKNOWN}')
            AND (face.is_primary OR face.attribution = '{Attribution.UNKNOWN}')
            AND face.track <> {NO_TRACK} AND face.face_size > 0, 0)
    UNION ALL
    SELECT number, (SELECT id FROM expression WHERE expression.at <= other.at
        ORDER BY expression.at DESC, id DESC LIMIT 1), 1
        FROM other
    LIMIT {_MOST_BREAKS}"""
# An interval with frames that were read and others that were not is one; so is one in which another
# of its frames counts as the participant's.
_NOT_KNOWN = f"""{SPANS}, unknown AS (
        SELECT number, at, interval_ms
        FROM span CROSS JOIN expression ON at > first AND at <= last
        WHERE attribution = '{Attribution.UNKNOWN}'
        UNION
        SELECT number, at, interval_ms
        FROM span CROSS JOIN unfit ON at > first AND at <= last
        WHERE attribution = '{Attribution.UNKNOWN}' AND NOT EXISTS (
            SELECT 1 FROM expression AS seen WHERE seen.at = unfit.at AND seen.is_primary = 1))
    SELECT number, sum(max(interval_ms, 1)) / 1000.0 FROM unknown GROUP BY number"""
_UNKNOWN_STRETCHES = f"""WITH seen AS (
        SELECT at, interval_ms, track, attribution = '{Attribution.UNKNOWN}' AS is_unknown,
            is_primary AS counts FROM expression WHERE at > :first AND at <= :last
        UNION ALL
        SELECT at, interval_ms, track, attribution = '{Attribution.UNKNOWN}', 0
        FROM unfit WHERE at > :first AND at <= :last),
    moment AS (
        SELECT at, at - max(max(interval_ms), 1) AS began, count(DISTINCT track) AS faces
        FROM seen GROUP BY at HAVING max(is_unknown) AND NOT max(counts)),
    marked AS (
        SELECT *, began - lag(at, 1, 0) OVER (ORDER BY at) > {EPISODE_GAP_MS} AS opens FROM moment),
    numbered AS (SELECT *, sum(opens) OVER (ORDER BY at) AS number FROM marked)
    SELECT max(min(began), :first), max(at), max(faces) FROM numbered GROUP BY number ORDER BY 1"""
_STOPS = "SELECT ended FROM gap WHERE reason = 'agent_stopped' ORDER BY ended"
# Sums that lie wholly within a session, from before its oldest row: others may be of somebody else.
_DELETED = f"""{SPANS}, kept AS MATERIALIZED (
        SELECT number, first, min(last, coalesce(
            (SELECT min(at) FROM expression WHERE at > first AND at <= last),
            {FOREVER_MS}) / {MINUTE_MS} * {MINUTE_MS}) AS until
        FROM span)
    SELECT number FROM kept WHERE """ + " OR ".join(
    f"EXISTS (SELECT 1 FROM expression_{name} AS one WHERE one.at >= first AND "
    f"one.at <= until - {length})"
    for name, length in (("minute", MINUTE_MS), ("hour", HOUR_MS), ("day", DAY_MS))
)


class Unknown(StrEnum):
    """Reasons why nothing is known of the faces of a session."""

    NO_FACE = "no_face"
    NOT_FOLLOWED = "not_followed"
    ROWS_DELETED = "rows_deleted"


@dataclass(frozen=True, slots=True)
class UnknownStretch:
    """A stretch with a followed face that counts as nobody's.

    Attributes:
        start_ms: its start, UTC milliseconds.
        end_ms: its end.
        faces: the most faces in view at once, at least 1.
    """

    start_ms: int
    end_ms: int
    faces: int


@dataclass(frozen=True, slots=True)
class FacesInView:
    """How often a session, or several, lost the followed face from view, and who else was there.

    Attributes:
        left: how often the followed face left and one came back; ``None``: not known.
        several_s: seconds with more than one face in view: recorded intervals that share two tracks
            with the one before or after, so that a face that follows another does not count;
            ``None``: not known.
        changed: how often another face that was in view was followed instead; ``None``: not known.
        unknown: why it is not known: ``no_face``, no face was seen; ``not_followed``, another
            program read faces and did not say which is which; ``rows_deleted``, the rows are no
            longer kept, and their sums do not tell; ``None``: it is known.
        sessions: of how many sessions with a face this is the sum.
        unknown_sessions: how many of them it is not known of.
        not_known_s: seconds in which a face was followed that counts as nobody's, for the evidence
            was lacking that ``vision.whose`` asks for.
    """

    left: int | None = None
    several_s: float | None = None
    changed: int | None = None
    unknown: Unknown | None = Unknown.NO_FACE
    sessions: int = 1
    unknown_sessions: int = 0
    not_known_s: float = 0.0

    @property
    def breaks(self) -> int:
        """How often the followed face may have become another person's."""
        return (self.left or 0) + (self.changed or 0)


def read_faces_in_view(
    connection: sqlite3.Connection, sessions: Collection[Session], now_ms: int
) -> dict[int, FacesInView]:
    """Return how the faces of each session were in view, by its id: one read for all of them.

    Args:
        connection: to read from.
        sessions: which; one that is cut to a range has only the rows in it.
        now_ms: end of the sessions that are open.
    """
    spans = [(one.start_ms, one.end_ms or now_ms, one.id) for one in sessions]
    given = json.dumps(spans)
    deleted = {row[0] for row in connection.execute(_DELETED, (given,))}
    stops = [row[0] for row in connection.execute(_STOPS)]
    stopped = [
        (number, stop)
        for first, last, number in spans
        for stop in stops[bisect_right(stops, first) : bisect_right(stops, last)]
    ]
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples are faster, and a week may have half a million
    walks = {one.id: _Walk(stops) for one in sessions}
    breaks = cursor.execute(_BREAKS, (given, json.dumps(stopped))).fetchall()
    seen = cursor.execute(_SEEN, (given, *map(json.dumps, _choose_rows(walks, breaks))))
    for number, rows in groupby(seen, key=itemgetter(0)):
        walks[number].take(rows)
    not_known = dict(cursor.execute(_NOT_KNOWN, (given,)).fetchall())
    return {
        number: FacesInView(unknown=Unknown.ROWS_DELETED)
        if number in deleted
        else replace(walk.end(), not_known_s=not_known.get(number, 0.0))
        for number, walk in walks.items()
    }


def _choose_rows(
    sessions: Iterable[int], breaks: Sequence[tuple[int, int | None, int | None]]
) -> tuple[list[int], list[tuple[int, int, bool]]]:
    """Return the sessions of which all rows are to be read; and of the others the rows around each
    break, with whether a row goes on from one that is not read.

    Nearly all rows go on from the one stored before. They tell nothing where all of a session were
    stored in order of time, which is so if each of the others has one before it, but the first.
    """
    if len(breaks) >= _MOST_BREAKS:
        return list(sessions), []
    firsts = Counter(number for number, _, is_later in breaks if not is_later)
    whole = [number for number in sessions if firsts[number] > 1]
    broken = {(number, row) for number, row, _ in breaks if row and firsts[number] < 2}
    near = {(number, row + step) for number, row in broken for step in (-2, -1, 0, 1)}
    kept = [
        (number, row, (number, row - 1) not in near and (number, row) not in broken)
        for number, row in sorted(near)  # as they were stored, where two are of one time
    ]
    return whole, kept


def unknown_stretches(
    connection: sqlite3.Connection, first_ms: int, last_ms: int
) -> list[UnknownStretch]:
    """Return the stretches of a span whose followed face counts as nobody's, in order of time.

    Pauses of up to ``EPISODE_GAP_MS`` belong to them.
    """
    rows = connection.execute(_UNKNOWN_STRETCHES, {"first": first_ms, "last": last_ms})
    return [UnknownStretch(*row) for row in rows]


class _Walk:
    """Walks along the rows of one session, interval by interval.

    Args:
        stops: when the agent began again after it had stopped: its tracks are numbered anew.
    """

    def __init__(self, stops: Sequence[int]) -> None:
        self._stops = stops
        self._at = self._before = 0
        self._interval_ms = 0
        self._tracks: dict[int, bool] = {}  # of the present interval, and which is primary
        self._last: dict[int, bool] = {}
        self._is_counted = False
        self._last_ms = 0
        self._together: set[frozenset[int]] = set()
        self._track: int | None = None
        self._followed_until = 0
        self._is_followed = True
        self._left = self._changed = self._several_ms = 0

    def take(self, rows: Iterable[tuple[int, int, int, int, int, int, int]]) -> None:
        """Take rows in order of time: session, end, length, track, primary, followed, and whether
        the rows just before it were left out, because only the followed face was in view.
        """
        for _, at, interval, track, primary, followed, goes_on in rows:
            if at != self._at:
                self._close()
                self._at, self._interval_ms = at, interval
            if goes_on:
                self._followed_until = at - interval
            self._tracks[track] = bool(primary) or self._tracks.get(track, False)
            if primary and not followed:
                self._is_followed = False

    def end(self) -> FacesInView:
        """Return what was counted."""
        self._close()
        if self._track is None:
            return FacesInView()
        if not self._is_followed:
            return FacesInView(unknown=Unknown.NOT_FOLLOWED)
        return FacesInView(self._left, self._several_ms / 1000, self._changed, None)

    def _close(self) -> None:
        """Count the present interval, whose rows are all there."""
        tracks = self._tracks
        if not tracks:
            return
        begun = self._at - self._interval_ms
        length = self._interval_ms or min(self._at - self._before, _FRAME_MS)
        is_alone = len(tracks) == 1 and self._track in tracks
        if is_alone and begun <= self._followed_until and tracks[self._track or 0]:
            # Nearly all rows: the followed face goes on, alone.
            self._is_counted = False
            self._followed_until = self._at
        else:
            self._count_together(length, is_next=begun - self._before <= _FRAME_MS)
            self._follow_all(begun)
        self._last, self._last_ms, self._before = tracks, length, self._at
        self._tracks = {}

    def _count_together(self, length: int, *, is_next: bool) -> None:
        """Count faces that are in view in two intervals: one of them may follow the other."""
        common = self._tracks.keys() & self._last.keys() if len(self._tracks) > 1 else ()
        if len(common) < 2 or not is_next:
            self._is_counted = False
            return
        self._several_ms += length if self._is_counted else length + self._last_ms
        self._is_counted = True
        self._together |= {frozenset((one, other)) for one in common for other in common - {one}}

    def _follow_all(self, begun: int) -> None:
        primary = [track for track, is_primary in self._tracks.items() if is_primary]
        # One gained the first place from the other within the interval: the followed one had it.
        for track in sorted(primary, key=lambda one: one != self._track):
            self._follow(track, begun)

    def _follow(self, track: int, begun: int) -> None:
        """Follow a face on, or another one."""
        if self._track is not None:
            is_broken = self._is_broken(begun)
            if is_broken:
                self._together.clear()
            if is_broken or (
                track != self._track and frozenset((track, self._track)) not in self._together
            ):
                self._left += 1
            elif track != self._track:
                self._changed += 1
        self._track = track
        self._followed_until = self._at

    def _is_broken(self, begun: int) -> bool:
        """Tell whether no track can reach over the time before an interval."""
        if begun <= self._followed_until:
            return False
        stop = bisect_right(self._stops, self._followed_until)
        has_stopped = stop < len(self._stops) and self._stops[stop] <= self._at
        return has_stopped or begun - self._followed_until > LONGEST_MEMORY_MS


def together(views: Iterable[FacesInView]) -> FacesInView:
    """Return the sum of several sessions; those of which it is not known are counted apart."""
    every = list(views)
    not_known_s = sum(one.not_known_s for one in every)
    seen = [one for one in every if one.unknown is not Unknown.NO_FACE]
    known = [one for one in seen if one.unknown is None]
    if not known:
        reason = seen[0].unknown if seen else Unknown.NO_FACE
        return FacesInView(
            unknown=reason, sessions=len(seen), unknown_sessions=len(seen), not_known_s=not_known_s
        )
    return FacesInView(
        left=sum(one.left or 0 for one in known),
        several_s=sum(one.several_s or 0.0 for one in known),
        changed=sum(one.changed or 0 for one in known),
        unknown=None,
        sessions=len(seen),
        unknown_sessions=len(seen) - len(known),
        not_known_s=not_known_s,
    )


def in_words(view: FacesInView) -> str:
    """Return what is known in sentences that can be translated; empty where no face was seen."""
    match view.unknown:
        case None:
            return join_sentences(_sentences(view))
        case Unknown.NO_FACE:
            return join_sentences(_not_known(view))
        case Unknown.NOT_FOLLOWED:
            text = N_(
                "Whether the faces are of one person is not known: the program that read them does "
                "not say which face is which."
            )
        case Unknown.ROWS_DELETED:
            text = N_(
                "How often the face was out of view, and whether others were in view, is not known "
                "any more: the rows are deleted."
            )
    return Message(text)


def _not_known(view: FacesInView) -> Iterator[str]:
    if view.not_known_s:
        text = N_("For {time} it is not known whose face was in view: that time is in no figure.")
        yield Message(text, time=_time(view.not_known_s))


def _sentences(view: FacesInView) -> Iterator[str]:
    yield from _not_known(view)
    if view.left:
        once = N_("The face was out of view once, and a face came back.")
        times = N_("The face was out of view {n} times, and each time a face came back.")
        yield Message(once if view.left == 1 else times, n=view.left)
    if view.several_s:
        text = N_("For {time} more than one face was in view.")
        yield Message(text, time=_time(view.several_s))
    if view.changed:
        once = N_("Once another face in view was followed instead.")
        times = N_("{n} times another face in view was followed instead.")
        yield Message(once if view.changed == 1 else times, n=view.changed)
    if view.left or view.several_s or view.changed:
        yield Message(N_("It is not known whether it was always the same person."))
    elif view.sessions > 1:
        text = N_(
            "In each session one face was followed without a break, and no other was in view."
        )
        yield Message(text)
    else:
        yield Message(N_("One face was followed without a break, and no other was in view."))
    if view.unknown_sessions:
        text = N_("Sessions without these figures: {n}.")
        yield Message(text, n=view.unknown_sessions)


def _time(seconds: float) -> str:
    """Write a time as ``12 s``, ``5 min`` or ``1 h 05 min``, whose units every language has."""
    whole = round(seconds)
    if whole < 120:
        return f"{max(whole, 1)} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
