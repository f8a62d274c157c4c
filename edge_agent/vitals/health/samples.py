"""A column of samples, as wearables for research write them, as readings.

Samples of a rate above that at which a kind is kept become means (``core.sample_means``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from edge_agent.core import bounds
from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.given_readings import is_no_value, refuse_impossible
from edge_agent.core.readings import VitalFlag
from edge_agent.core.sample_means import SampleMeans, TimedSample
from edge_agent.core.vitals import UnitConversion, VitalKind
from edge_agent.vitals.health.files import RowValidator
from edge_agent.vitals.passed_over import LeftOutRow, Row

_AS_KEPT = UnitConversion()


def number_of(text: str) -> float:
    """Return a cell as a number, NaN where it is none."""
    with suppress(ValueError):
        return float(text)
    return math.nan


class SampleChannel:
    """Turns the samples of one column into readings, in the order of the file.

    A value that cannot be one is left out, and enters no mean. A mean with an implausible sample is
    flagged ``out_of_range``.

    Args:
        kind: what is measured.
        source: the device.
        validator: makes the readings.
        scale: conversion into the unit of the kind.
        is_even: whether the samples have a rate; otherwise each is a reading, as each beat is.
        is_local: whether times are those of a clock without a zone, which the validator knows, in
            seconds since 1970-01-01T00:00 of that clock.
    """

    def __init__(
        self,
        kind: VitalKind,
        source: str,
        validator: RowValidator,
        scale: UnitConversion = _AS_KEPT,
        *,
        is_even: bool = True,
        is_local: bool = False,
    ) -> None:
        self.kind = kind
        self._source = source
        self._validator = validator
        self._scale = scale
        self._means = SampleMeans(kind.spec.per_second if is_even else math.inf)
        self._is_local = is_local

    def add(self, where: str, at_s: float, text: str) -> Iterator[Row]:
        """Add a sample; yield the readings that are complete, or why there is none.

        Args:
            where: file and row.
            at_s: seconds since 1970; NaN where the file has no time.
            text: the cell with the value; an empty one is no sample.
        """
        if not text:
            return
        if not bounds.is_time(1000 * at_s):
            yield LeftOutRow(where, "at: is not a time between the years 2000 and 2100.")
            return
        value = self._scale.convert(number_of(text))
        if (why := self._why_none(text, value)) is not None:
            yield LeftOutRow(where, why)
            return
        low, high = self.kind.plausible
        for done in self._means.add(TimedSample(at_s, value, not low <= value <= high)):
            yield self._reading(where, done)

    def finish(self, where: str) -> Iterator[Row]:
        """Yield the last readings."""
        for done in self._means.finish():
            yield self._reading(where, done)

    def _why_none(self, text: str, value: float) -> str | None:
        """Return why a value is none; ``None``: it is one."""
        if is_no_value(text):
            return f"value: {shown_value(text)} means no value."
        if not math.isfinite(value):
            return f"value: {shown_value(text)} is not a number."
        if self.kind is VitalKind.HEART_RATE and value <= 0:
            return f"value: {shown_value(text)} is no heart rate, but says that none was found."
        try:
            refuse_impossible(self.kind, value)
        except ReadingError as error:
            return str(error)
        return None

    def _reading(self, where: str, sample: TimedSample) -> Row:
        at_ms = round(1000 * sample.at_s)
        at: int | str = at_ms
        if self._is_local:
            local = datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None)
            at = local.isoformat(timespec="milliseconds")
        item = {"kind": self.kind.value, "value": sample.value, "unit": self.kind.unit, "at": at}
        flags = frozenset({VitalFlag.OUT_OF_RANGE} if sample.is_doubtful else ())
        return self._validator.row(where, item, self._source, flags)
