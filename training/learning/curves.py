"""The curves of a run: a row for each epoch as CSV, and a picture of the same."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.errors import csv_bytes, write_all

CURVES = "curves.csv"
PICTURE = "curves.png"
_PANELS = ("loss", "accuracy and agreement", "learning rate")


def write_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write ``curves.csv`` and ``curves.png`` into ``folder``, each whole or not at all.

    Raises:
        DataError: when one cannot be written.
    """
    # All rows have the same columns: the figures of a task are the same in every epoch.
    table = [list(rows[0]), *([f"{value:.6g}" for value in row.values()] for row in rows)]
    write_all(folder, {CURVES: csv_bytes(table, "\r\n"), PICTURE: _draw(rows)})


def _draw(rows: Sequence[Mapping[str, float]]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for title, axes in zip(_PANELS, figure.subplots(1, len(_PANELS)), strict=True):
        for name in rows[0]:
            if _panel(name) == title:
                axes.plot(
                    epochs,
                    [row[name] for row in rows],
                    label=name,
                    # One or two points make no line that could be seen.
                    marker="." if len(rows) < 3 else None,
                )
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def _panel(name: str) -> str | None:
    """Return the panel in which a column of the curves is drawn; none: it is only in the table."""
    loss, shares, rate = _PANELS
    if name == "lr":
        return rate
    if name.endswith(("accuracy", "agreement", "recall", "false_share")):
        return shares
    if name.startswith(("train_", "valid_")):
        return loss
    return None
