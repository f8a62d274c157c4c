"""A chart as pages, programs and readers without sight get it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from dashboard.charts.plotly_script import TRACE_TYPES

Height = Literal["small", "medium", "large", "tall", "tall-1", "tall-2", "tall-3"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its description.

    Attributes:
        id: unique in the page, letters and dashes.
        title: heading over the chart.
        sentence: what the chart shows, in words; screen readers get this instead of the picture.
        figure: Plotly JSON, ``{"data": […], "layout": {…}}``; colours may be ``var(--name)``.
        columns: heads of the data table below the chart.
        rows: its cells, written for people. With ``time_axis`` the first cell is UTC milliseconds.
        time_axis: whether x values are UTC milliseconds, to be shown in the reader's time zone.
        height: how tall it is drawn.
    """

    id: str
    title: str
    sentence: str
    figure: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    time_axis: bool = False
    height: Height = "medium"

    def __post_init__(self) -> None:
        """Refuse what pages could not draw.

        Raises:
            ValueError: a trace is of a kind that our bundle of Plotly does not have.
        """
        for trace in self.figure["data"]:
            if trace["type"] not in TRACE_TYPES:
                raise ValueError(
                    f"chart {self.id}: our Plotly draws no {trace['type']!r}; compose it of "
                    f"{', '.join(sorted(TRACE_TYPES))}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Return the chart as JSON data for ``drawChart``; the figure is not copied."""
        return {one.name: getattr(self, one.name) for one in fields(self)}
