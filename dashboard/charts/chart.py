"""A chart as pages, programs and readers without sight get it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

TRACE_TYPES = frozenset({"scatter"})
"""Types of trace that ``dashboard/charts/marks.py`` draws."""
Height = Literal["small", "medium", "large", "tall", "tall-1", "tall-2", "tall-3"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number beside a chart, written for people.

    Attributes:
        name: what it is.
        value: the number; a dash where there is none.
        unit: its unit; empty: it has none, or there is no number.
        note: more about it, such as from where to where.
    """

    name: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its description.

    Attributes:
        id: unique in the page, letters and dashes.
        title: heading over the chart.
        sentence: what the chart shows, in words; screen readers get this instead of the picture.
        figure: ``{"data": […], "layout": {…}}`` in the form of Plotly's JSON, which other
            programs read; colours may be ``var(--name)``.
        columns: heads of the data table below the chart.
        rows: its cells, written for people. With ``time_axis`` the first cell is UTC milliseconds.
        time_axis: whether x values are UTC milliseconds, to be shown in the reader's time zone.
        height: how tall it is drawn.
        axes: titles of the horizontal and the vertical axis, where the figure has none.
        caption: what a picture that is taken from the page says below itself, beside whose the data
            are and from when.
        figures: the sentence in numbers; with them it is for screen readers alone.
        held_from: the first column whose last value holds until the next; 0: there is none.
    """

    id: str
    title: str
    sentence: str
    figure: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    time_axis: bool = False
    height: Height = "medium"
    axes: tuple[str, str] = ("", "")
    caption: str = ""
    figures: tuple[Figure, ...] = ()
    held_from: int = 0

    def __post_init__(self) -> None:
        """Refuse what pages could not draw.

        Raises:
            ValueError: a trace is of a kind that nothing draws, or nothing says what the vertical
                axis is.
        """
        for trace in self.figure["data"]:
            if trace["type"] not in TRACE_TYPES:
                raise ValueError(
                    f"chart {self.id}: nothing draws {trace['type']!r}; compose it of "
                    f"{', '.join(sorted(TRACE_TYPES))}"
                )

        layout = self.figure["layout"]
        up = layout.get("yaxis", {})
        # the names of rows, and a caption over each panel, say it as well
        captions = [one for one in layout.get("annotations", ()) if "yshift" in one]
        if not (self.axes[1] or up.get("title") or "ticktext" in up or captions):
            raise ValueError(f"chart {self.id}: its vertical axis needs a title: axes[1]")

    def as_dict(self) -> dict[str, Any]:
        """Return the chart as JSON data; the figure is not copied."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        del content["held_from"]
        return content | {"figures": [asdict(one) for one in self.figures]}
