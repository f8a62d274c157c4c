"""The readings of a session at an even rate, with 0 where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.vitals import AnalysisOption, VitalKind

HELD_S = 5.0
"""For how long a reading is the value of the samples that follow it."""
NO_VALUE = 0.0
_SAMPLES_PER_S = {VitalKind.RR_INTERVAL: 4}
"""A tachogram has four: Task Force 1996, Circulation 93:1043-1065. Other levels have one."""


@dataclass(slots=True)
class Signal:
    """The usable readings of one source and kind.

    Attributes:
        kind: what was measured.
        source: who said it.
        times: seconds since the start of the file, in order.
        values: in the unit of the kind.
    """

    kind: VitalKind
    source: str
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @property
    def rate(self) -> int:
        """Samples in a second."""
        return _SAMPLES_PER_S.get(self.kind, 1)

    @property
    def top(self) -> float:
        """The largest value that the signal can hold; 0 is the least."""
        return self.kind.plausible[1]

    def sampled(self, seconds: int) -> NDArray[np.float64]:
        """Return the newest reading at each sample, for at most ``HELD_S``; 0 otherwise."""
        grid = np.arange(seconds * self.rate) / self.rate
        times = np.asarray(self.times)
        places = np.searchsorted(times, grid, side="right") - 1
        is_known = (places >= 0) & (grid - times[np.maximum(places, 0)] < HELD_S)
        newest = np.asarray(self.values)[np.maximum(places, 0)]
        return np.where(is_known, newest, NO_VALUE)


def is_level(kind: VitalKind) -> bool:
    """Tell whether a kind has a value at each time: not that of a cuff, which measures once."""
    return kind.spec.option is not AnalysisOption.PRESSURE


def missing(samples: NDArray[np.float64], rate: int) -> list[tuple[float, float]]:
    """Return when a signal has no value: onset and length of each such time, seconds."""
    empty = np.concatenate(([False], samples == NO_VALUE, [False]))
    edges = np.flatnonzero(empty[1:] != empty[:-1])
    return [
        (float(start) / rate, float(end - start) / rate)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def labels_of(signals: Sequence[Signal]) -> list[str]:
    """Return the label of each signal; further sources of a kind get a number."""
    labels: list[str] = []
    for place, signal in enumerate(signals):
        before = sum(other.kind is signal.kind for other in signals[:place])
        label = signal.kind.spec.edf or signal.kind.value[:13]
        labels.append(f"{label} {before + 1}" if before else label)
    return labels


def edf_signals(signals: Sequence[Signal], seconds: int) -> list[Any]:
    """Return the signals as edfio wants them."""
    import edfio

    return [
        edfio.EdfSignal(
            signal.sampled(seconds),
            signal.rate,
            label=label,
            transducer_type=ascii_text(signal.source, 80),
            physical_dimension=ascii_text(signal.kind.unit, 8),
            physical_range=(NO_VALUE, signal.top),
            prefiltering=f"newest reading, at most {HELD_S:.0f} s old; 0: none",
        )
        for label, signal in zip(labels_of(signals), signals, strict=True)
    ]


def ascii_text(text: str, most: int) -> str:
    """Return a text as a header of EDF can hold it."""
    plain = text.encode("ascii", "replace").decode("ascii")
    return "".join(sign if sign.isprintable() else "?" for sign in plain)[:most]
