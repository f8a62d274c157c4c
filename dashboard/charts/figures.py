"""Data → Plotly figures as plain dictionaries.

Colours are CSS variables that the page resolves for light and dark.
"""

from __future__ import annotations

import functools
import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

Height = Literal["small", "medium", "large", "tall", "tall-1", "tall-2", "tall-3"]


def plotly_address() -> str:
    """Return where pages load Plotly from.

    It names the version, so that browsers may keep it for ever.
    """
    return f"/static/plotly-{version('plotly')}.min.js"


def plotly_file() -> Path:
    """Return Plotly's script in its installed package, which is not imported: that would cost
    memory and time.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:  # pragma: no cover - it is a dependency
        raise FileNotFoundError("the plotly package is not installed")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@functools.cache
def plotly_style_ids() -> tuple[str, ...]:
    """Return the ids of the style elements that Plotly would add when it loads.

    Where an element has the id already it adds none. Our content security policy forbids inline
    styles, and those are for maps, which we do not draw.
    """
    found = re.findall(
        r'getElementById\("([0-9a-f]{64})"\)', plotly_file().read_text(encoding="utf-8")
    )
    return tuple(dict.fromkeys(found))


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

    def as_dict(self) -> dict[str, Any]:
        """Return the chart as JSON data for ``drawChart``."""
        return asdict(self)
