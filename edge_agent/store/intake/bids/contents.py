"""What the files of a BIDS data set hold: when it begins and ends, and which readings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.bids.names import BEH_TABLES
from edge_agent.store.intake.bids.files import BidsFile, sidecar, tsv_lines, tsv_rows

_TABLES = {label: table for table, label in BEH_TABLES.items()}
_WAVEFORMS = {"pulse", "puls"}
_FASTEST_HZ = 50
"""A column of heart rates that is sampled faster is a waveform that is called so."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An evenly sampled recording.

    Attributes:
        file: its file.
        frequency: samples a second.
        start_s: of its first sample, from the start of what it belongs to.
        kinds: place of a column → what it measures, and its unit where the sidecar says it.
        others: the columns that are not read.
    """

    file: BidsFile
    frequency: float
    start_s: float
    kinds: Mapping[int, tuple[VitalKind, str]]
    others: tuple[str, ...]


def table_of(file: BidsFile) -> str | None:
    """Return which table of the timeline a file below ``beh`` holds; ``None``: none."""
    if file.suffix == "beh" and file.ending == ".tsv":
        return _TABLES.get(file.entities.get("acq", ""))
    return None


def is_events(file: BidsFile) -> bool:
    """Tell whether a file holds events."""
    return file.suffix == "events" and file.ending == ".tsv"


def recording_of(file: BidsFile) -> Recording | None:
    """Return a physiological recording that has readings of ours; ``None`` for all else.

    Raises:
        DataFileError: its sidecar does not say how it was sampled.
    """
    if file.suffix != "physio" or file.ending != ".tsv.gz":
        return None
    told = sidecar(file)
    columns = told.get("Columns")
    frequency = _number(told.get("SamplingFrequency"))
    start = _number(told.get("StartTime", 0))
    if not isinstance(columns, list) or frequency is None or start is None:
        raise DataFileError(
            f"{file.path}: its sidecar has no SamplingFrequency, StartTime or Columns. Add them."
        )
    if not 0 < frequency <= _FASTEST_HZ:
        return None
    kinds = {}
    others = []
    for place, column in enumerate(map(str, columns)):
        unit = _unit(told.get(column))
        kind = _kind(column, unit)
        if kind is None:
            others.append(column)
        else:
            kinds[place] = (kind, unit)
    return Recording(file, frequency, start, kinds, tuple(others)) if kinds else None


def samples(recording: Recording) -> Iterator[tuple[int, float, list[str]]]:
    """Yield line, time in seconds, and cells of each sample."""
    for place, cells in enumerate(tsv_lines(recording.file.node, recording.file.path)):
        yield place + 1, recording.start_s + place / recording.frequency, cells


def extent(file: BidsFile) -> tuple[float, float]:
    """Return first and last second of a file, 0 and 0 where it has no row that is read."""
    recording = recording_of(file)
    if recording is not None:
        count = sum(1 for _ in samples(recording))
        return recording.start_s, recording.start_s + count / recording.frequency
    if not (is_events(file) or table_of(file)):
        return 0.0, 0.0
    first = 0.0
    last = 0.0
    for line, cells in tsv_rows(file.node, file.path):
        onset = number(cells, "onset", file, line)
        first = min(first, onset)
        last = max(last, onset + (number(cells, "duration", file, line, 0.0)))
    return first, last


def number(
    cells: Mapping[str, str], column: str, file: BidsFile, line: int, default: float | None = None
) -> float:
    """Return a number of a row.

    Raises:
        DataFileError: there is none.
    """
    text = cells.get(column, "").strip()
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataFileError(
            f"{file.path}, line {line}, column {column}: {text!r} is no number. Correct it."
        )
    return value


def _kind(column: str, unit: str) -> VitalKind | None:
    """Return what a column measures, by its name and unit; beats have times of their own, and no
    samples.

    A name that says nothing of a rate, as ``respiratory`` or ``pulse``, is a waveform unless the
    unit is one of a rate.
    """
    words = re.sub(r"[^a-z0-9%]+", " ", re.sub(r"__[0-9]+$", "", column).casefold()).strip()
    for kind in VitalKind:
        known = unit in kind.spec.units
        names = {words, f"{words} rate"} if known else {words} - _WAVEFORMS
        is_named = any(
            name == kind.value.replace("_", " ") or re.fullmatch(kind.spec.headers, name)
            for name in names
        )
        if is_named and kind is not VitalKind.RR_INTERVAL:
            return kind if known or not unit else None
    return None


def _unit(told: Any) -> str:
    """Return the unit that a sidecar tells of a column, as we write it; empty: it tells none."""
    unit = str(told.get("Units", "")).casefold() if isinstance(told, dict) else ""
    unit = unit.replace(" ", "")
    return "/min" if re.fullmatch(r"(beats|breaths)?(/|per)min(ute)?", unit) else unit


def _number(value: Any) -> float | None:
    """Return a value that is a finite number, else ``None``."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None
