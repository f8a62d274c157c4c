"""Readings that belong together, and how the pieces of stimuli are put together to them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import Integers, Reals
from edge_agent.store.read.results import flags_of
from edge_agent.store.read.stimuli import PieceSums, Stimulus

_MINUTE_MS = 60_000
_LARGEST = 1e200


_Names = tuple[str, int, str, VitalKind, frozenset[VitalFlag], bool, str]
Summed = tuple[str, int, str, VitalKind, frozenset[VitalFlag], bool, int, float, float, float, str]
"""What a ``ReadingGroup`` is made of, in its order."""


class SummedPieces:
    """The pieces of the stimuli of a question, ready to be put together in several ways.

    Pieces belong together that share session, state, vital, flags and source.

    Args:
        sums: of the pieces.
        sessions: by id, all that have a stimulus.
        stimuli: with the label of their state, in the order that ``sums`` counts them in.
    """

    def __init__(
        self,
        sums: PieceSums,
        sessions: Mapping[int, Session],
        stimuli: Sequence[tuple[Stimulus, str]],
    ) -> None:
        self._sums = sums
        kinds = tuple(dict.fromkeys(sums.kinds))
        self._kinds = [VitalKind(kind) for kind in kinds]
        self._kind = _codes(sums.kinds, kinds)
        flags = tuple(dict.fromkeys(sums.flags))
        sources = tuple(dict.fromkeys(sums.sources))
        states = tuple(dict.fromkeys((one.session, label) for one, label in stimuli))
        state = _codes([(one.session, label) for one, label in stimuli], states)[sums.stimulus]
        cell = (state * len(kinds) + self._kind) * len(flags) + _codes(sums.flags, flags)
        cell = cell * len(sources) + _codes(sums.sources, sources)
        cells, self._group = np.unique(cell, return_inverse=True)
        self._order = np.argsort(self._group, kind="stable")
        counts = np.bincount(self._group, minlength=len(cells))
        self._ends = [0, *np.cumsum(counts).tolist()]
        starts_ms = np.array([sessions[one.session].start_ms for one, _ in stimuli], dtype=np.int64)
        self._minutes = (sums.mean_at_ms - starts_ms[sums.stimulus]) / _MINUTE_MS
        self._names = []
        for number in cells.tolist():
            rest, source = divmod(number, len(sources))
            rest, flag = divmod(rest, len(flags))
            place, kind = divmod(rest, len(kinds))
            session, label = states[place]
            of_all = flags_of(flags[flag])
            simulated = sessions[session].simulated or VitalFlag.SIMULATED in of_all
            names = (sessions[session].participant, session, label, self._kinds[kind], of_all)
            self._names.append((*names, simulated, sources[source]))

    def parted(self, begins_ms: Mapping[VitalKind, int]) -> tuple[list[Summed], list[Summed]]:
        """Put together the pieces that begin late enough for their vital, and the others."""
        least = np.array([begins_ms[kind] for kind in self._kinds], dtype=np.int64)
        late = self._sums.after_ms >= least[self._kind]
        return self._together(late), self._together(~late)

    def _together(self, used: npt.NDArray[np.bool_]) -> list[Summed]:
        """Put the used pieces together."""
        of_group = self._group[used]
        size = len(self._names)
        n = np.bincount(of_group, self._sums.n[used], size).astype(np.int64)
        largest = np.zeros(size)
        np.maximum.at(largest, of_group, self._sums.largest[used])
        total = self._totals(used)
        minutes = self._mean_minutes(used, n)
        columns = (n.tolist(), total, largest.tolist(), minutes.tolist())
        return [
            (*names, *numbers, source)
            for (*names, source), *numbers in zip(self._names, *columns, strict=True)
            if numbers[0]
        ]

    def _totals(self, used: npt.NDArray[np.bool_]) -> list[float]:
        """Return the sum of each group, rounded once: as if it had been one piece."""
        parts = np.where(used, self._sums.total, 0.0)
        if not np.all(np.abs(parts) < _LARGEST):  # refused later, by the name of who has it
            rough: list[float] = np.bincount(self._group, parts, len(self._names)).tolist()
            return rough
        in_order = parts[self._order].tolist()
        pairs = zip(self._ends, self._ends[1:], strict=False)
        return [math.fsum(in_order[first:last]) for first, last in pairs]

    def _mean_minutes(self, used: npt.NDArray[np.bool_], n: Integers) -> Reals:
        """Return the mean time of each group; that of a single piece is its very own."""
        of_group = self._group[used]
        size = len(self._names)
        weighed = np.bincount(of_group, (self._sums.n * self._minutes)[used], size)
        minutes = weighed / np.maximum(n, 1)
        single = np.bincount(of_group, minlength=size) == 1
        plain = np.bincount(of_group, self._minutes[used], size)
        return np.where(single, plain, minutes)


def _codes(values: Sequence[object], names: Sequence[object]) -> Integers:
    """Return for each value its place among the names."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[value] for value in values], dtype=np.int64)
