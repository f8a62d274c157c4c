"""The curves of a run: a row for each epoch as CSV, and a picture of the same."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.errors import RecipeError

CURVES = "curves.csv"
PICTURE = "curves.png"

_PANELS = ("loss", "accuracy and agreement", "learning rate")


def write_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write ``curves.csv`` and ``curves.png`` into ``folder``, each whole or not at all.

    Raises:
        RecipeError: when one cannot be written.
    """
    try:
        part = folder / f"{CURVES}.part"
        with part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, fieldnames=list(rows[0]))
            table.writeheader()
            table.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
        part.replace(folder / CURVES)
        part = folder / f"{PICTURE}.part"
        _draw(rows, part)
        part.replace(folder / PICTURE)
    except OSError as error:
        raise RecipeError(
            f"{folder}: the curves cannot be written ({error}); make room or permission"
        ) from error


def _draw(rows: Sequence[Mapping[str, float]], path: Path) -> None:
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
                    marker="." if len(rows) < 3 else None,
                )
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=100)


def _panel(name: str) -> str | None:
    """In which panel a column of the curves is drawn; none: it is only in the table."""
    loss, shares, rate = _PANELS
    if name == "lr":
        return rate
    if name.endswith(("accuracy", "agreement", "recall", "false_share")):
        return shares
    if name.startswith(("train_", "valid_")):
        return loss
    return None
