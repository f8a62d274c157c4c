"""A wide table as the rows of a study, at times that are made up.

Each person has a session, in it a stimulus for each state, and near the end of each stimulus the
values of that state. Sessions follow each other, for no two may overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.core.study import MADE_UP, MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.intake.cells import SourceRow

_STIMULUS_MS = 180_000
"""Longer than twice any vital's settling time, which the tests of sensitivity leave out."""
_BEFORE_END_MS = 1_000
_APART_MS = 60_000
COUNTED = {
    "participant": "participants",
    "participant_attribute": "attributes",
    "session": "persons",
    "marker": "markers (made up)",
    "vital": "values",
}
"""Table → what its rows are called, since they stand in no file of their own."""
_SHOWN = 40


Values = Sequence[tuple[VitalKind, float]]
Person = tuple[int, str, Mapping[str, Values], Mapping[str, str]]
"""Line in the file, the participant's code, state → values in the units of the kinds, and
attributes.
"""


class WideSource:
    """The persons of a wide table as sessions, markers and readings.

    Args:
        name: of the file.
        persons: with their values by state.
        not_taken: columns, and files beside the table, that are not read.
        notes: on what was taken, and what was not.
        first_ms: when the first session is to begin, UTC milliseconds.

    Raises:
        DataFileError: the last session would end in the future.
    """

    def __init__(
        self,
        name: str,
        persons: Sequence[Person],
        not_taken: Sequence[str],
        notes: Sequence[str],
        first_ms: int,
    ) -> None:
        # It becomes the origin of the sessions and the name of the import, so that both say it.
        self.name = f"{name} ({MADE_UP})"
        self._file = name
        self._persons = persons
        self._not_taken = not_taken
        self._notes = notes
        self._starts: list[int] = []
        next_ms = first_ms
        for _, _, states, _ in persons:
            self._starts.append(next_ms)
            next_ms += len(states) * _STIMULUS_MS + _APART_MS
        latest_ms = clock.now().wall_ms - (next_ms - first_ms)
        if first_ms > latest_ms:
            raise DataFileError(
                f"{name}: the made-up times of {len(persons)} sessions from {iso_utc(first_ms)} on "
                f"would reach into the future. Begin at {iso_utc(latest_ms)} or before: --starting "
                "TIME; consent must be older (--consent-on)."
            )

    def tables(self) -> tuple[str, ...]:
        """Return which tables there are."""
        return tuple(COUNTED)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table; readings have no flags, so that they are judged."""
        return frozenset(next(self.rows(table), SourceRow("", None, {})).cells)

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table."""
        placed = zip(self._starts, self._persons, strict=True)
        for number, (start_ms, (line, code, states, about)) in enumerate(placed, start=1):
            if table == "participant":
                told: Iterable[dict[str, str]] = [{}]
            elif table == "participant_attribute":
                told = ({"name": name, "value": value} for name, value in about.items())
            else:
                told = self._cells(table, start_ms, states)
            for cells in told:
                cells |= {"session": str(number), "participant": code}
                yield SourceRow(self._file, line, cells, COUNTED[table])

    def labels(self) -> Mapping[str, str]:
        """Return nothing: people have their codes alone."""
        return {}

    def passed_over(self) -> tuple[str, ...]:
        """Return the columns that are not read."""
        more = len(self._not_taken) - _SHOWN
        rest = (f"{more} more",) if more > 0 else ()
        return (*self._not_taken[:_SHOWN], *rest)

    def notes(self) -> list[str]:
        """Return notes on the times, and on what was taken."""
        first = iso_utc(self._starts[0]) if self._starts else ""
        told = (
            "Times are made up: the table tells none. Sessions, markers and the source of each "
            f"reading say so. They begin at {first}; --starting TIME moves them."
        )
        return [*self._notes, told]

    def _cells(
        self, table: str, start_ms: int, states: Mapping[str, Values]
    ) -> Iterator[dict[str, str]]:
        if table == "session":
            end_ms = start_ms + len(states) * _STIMULUS_MS
            yield {"start_at": iso_utc(start_ms), "end_at": iso_utc(end_ms)}
            return
        for place, (state, values) in enumerate(states.items()):
            began_ms = start_ms + place * _STIMULUS_MS
            ended_ms = began_ms + _STIMULUS_MS
            if table == "marker":
                for at_ms, kind in (
                    (began_ms, MarkerKind.STIMULUS_START),
                    (ended_ms, MarkerKind.STIMULUS_END),
                ):
                    yield {"at": iso_utc(at_ms), "kind": kind.value, "label": state}
                continue
            yield from self._values(ended_ms - _BEFORE_END_MS, values)

    def _values(self, at_ms: int, values: Values) -> Iterator[dict[str, str]]:
        """Yield the readings of a state: pressures of one time are one measurement."""
        times: dict[VitalKind, int] = {}
        for kind, value in values:
            later_ms = times.setdefault(kind, 0)
            times[kind] += 1
            yield {
                "at": iso_utc(at_ms + later_ms),
                "kind": kind.value,
                "value": repr(value),
                "source": f"{MADE_UP}: csv:{self._file}",
            }
