"""Plotly's script: the partial bundle that our charts need, shipped with us as its makers published
it.

The ``plotly`` package brings only the whole script, which is four times as large and takes three
times as long until a chart is drawn. ``tools/update_plotly.py`` takes a newer one.
"""

from __future__ import annotations

from pathlib import Path

PLOTLY_VERSION = "4.1.1"
PLOTLY_SHA256 = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
TRACE_TYPES = frozenset({"scatter", "bar", "pie"})
"""What the partial bundle "basic" draws."""


def plotly_address() -> str:
    """Return where pages load Plotly from.

    It names the version, so that browsers may keep it for ever.
    """
    return f"/static/plotly-{PLOTLY_VERSION}.min.js"


def plotly_file() -> Path:
    """Return Plotly's script; its licence lies beside it."""
    return Path(__file__).parent / "plotly" / "plotly-basic.min.js"
