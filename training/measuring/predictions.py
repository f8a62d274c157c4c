"""Evaluate the answers of any program: two small tables, ``predict.csv`` and ``ground_truth.csv``.

Both have a column ``id`` (or ``file``) that names the picture, and either a column ``label`` or one
column of probabilities for each category, or both; other columns are ignored. Rows belong together
by their id, whatever their order. The categories are the eight of FER+ or the seven of FER2013, and
both tables use the same names. Where the truth has a column ``covered``, each of its values is
evaluated by itself as well.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import EXPRESSIONS, FER2013
from training.data.tables import table_rows
from training.errors import DataError
from training.measuring.calibration import Calibration, calibration
from training.measuring.covered import COLUMN, NOTHING, covered_table
from training.measuring.metrics import Figures, classification_figures
from training.measuring.tables import figures_text

PROTOCOL = "labels of the ground truth"
_ID_COLUMNS = ("id", "file")
_LABEL = "label"
_EVERY_NAME = frozenset(EXPRESSIONS) | frozenset(FER2013)
_ROUNDING = 0.01
_SHOWN = 5

Cells = dict[str, str]


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """One table, by id.

    Attributes:
        labels: id → index of the category.
        shares: id → probabilities, float64 K; empty where the table holds none.
    """

    labels: dict[str, int]
    shares: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TableEvaluation:
    """Figures of the answers of a program.

    Attributes:
        figures: of all pictures.
        calibration: None where the program gave no probabilities.
        covered: what is covered → figures of those pictures; empty where the truth does not say.
    """

    figures: Figures
    calibration: Calibration | None
    covered: dict[str, Figures]

    def as_json(self) -> dict[str, object]:
        """Plain values for ``json``, with the keys of an evaluated model."""
        figures: dict[str, object] = {"protocol": PROTOCOL, **self.figures.as_json()}
        if self.calibration is not None:
            figures["calibration_error"] = self.calibration.error
            figures["calibration"] = {"predictions": asdict(self.calibration)}
        if self.covered:
            figures["covered"] = {name: one.as_json() for name, one in self.covered.items()}
        return figures

    def as_text(self) -> str:
        """The table for people."""
        parts = [figures_text(PROTOCOL, self.figures)]
        if self.calibration is not None:
            parts.append(f"calibration error {self.calibration.error:.3f}")
        if self.covered:
            parts.append("\n" + covered_table(PROTOCOL, self.covered))
        return "\n".join(parts)


def evaluate_tables(predictions: Path, truth: Path) -> TableEvaluation:
    """Evaluate ``predictions`` against ``truth``.

    Raises:
        DataError: naming file, row, column, value and cure; or the ids that only one of the tables
            holds.
    """
    predicted_rows = _rows_by_id(predictions)
    true_rows = _rows_by_id(truth)
    labels = _categories(true_rows) or _categories(predicted_rows) or EXPRESSIONS
    predicted = _read(predictions, predicted_rows, labels)
    true = _read(truth, true_rows, labels)
    _same_ids(predictions, predicted, truth, true)
    order = sorted(true.labels)
    wanted = np.array([true.labels[name] for name in order], dtype=np.int64)
    chosen = np.array([predicted.labels[name] for name in order], dtype=np.int64)
    shares = np.stack([predicted.shares[name] for name in order]) if predicted.shares else None
    covered = {
        name: classification_figures(wanted[rows], chosen[rows], labels)
        for name, rows in _covered(truth, true_rows, order).items()
    }
    return TableEvaluation(
        classification_figures(wanted, chosen, labels),
        None if shares is None else calibration(shares, wanted),
        covered,
    )


def _covered(
    path: Path, rows: dict[str, tuple[int, Cells]], order: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """What is covered → bool, one for each id of ``order``; nothing without such a column."""
    if COLUMN not in next(iter(rows.values()))[1]:
        return {}
    values = {name: cells[COLUMN].strip() for name, (_, cells) in rows.items()}
    for name, value in values.items():
        if not value:
            raise DataError(
                f"{path}: row {rows[name][0]}, column {COLUMN}: is empty; say what is covered in "
                f"that picture, or {NOTHING}"
            )
    each = np.array([values[name] for name in order])
    return {value: each == value for value in dict.fromkeys(values.values())}


def _rows_by_id(path: Path) -> dict[str, tuple[int, Cells]]:
    """Id → (number of the row, its cells)."""
    rows: dict[str, tuple[int, Cells]] = {}
    for row, cells in table_rows(path, ()):
        column = next((name for name in _ID_COLUMNS if name in cells), None)
        if column is None:
            raise DataError(
                f"{path}: row 1: no column is named id or file (found: {', '.join(cells)}); "
                "separate columns by commas and name one of them id"
            )
        name = cells[column].strip()
        if not name:
            raise DataError(
                f"{path}: row {row}, column {column}: is empty; every row needs the "
                "name of its picture"
            )
        if name in rows:
            raise DataError(
                f"{path}: row {row}, column {column}: {name!r} stands in row {rows[name][0]} "
                "already; keep one of them"
            )
        rows[name] = (row, cells)
    if not rows:
        raise DataError(f"{path}: holds no row, only a header")
    return rows


def _categories(rows: dict[str, tuple[int, Cells]]) -> tuple[str, ...] | None:
    """Which of the two sets of names a table uses; None where its names are in both."""
    columns = {name for _, cells in rows.values() for name in cells if name in _EVERY_NAME}
    names = columns | {cells[_LABEL].strip() for _, cells in rows.values() if _LABEL in cells}
    if names & (set(EXPRESSIONS) - set(FER2013)):
        return EXPRESSIONS
    if names & (set(FER2013) - set(EXPRESSIONS)):
        return FER2013
    return None


def _read(path: Path, rows: dict[str, tuple[int, Cells]], labels: tuple[str, ...]) -> AnswerTable:
    header = next(iter(rows.values()))[1]
    columns = [name for name in header if name in _EVERY_NAME]
    if not columns and _LABEL not in header:
        raise DataError(
            f"{path}: row 1: needs a column {_LABEL}, or one for each of {', '.join(labels)}"
        )
    if columns and set(columns) != set(labels):
        odd = sorted(set(columns) ^ set(labels))[0]
        raise DataError(
            f"{path}: row 1: column {odd} is "
            f"{'missing' if odd in labels else 'of another set of categories'}; probabilities need "
            f"one column for each of {', '.join(labels)}"
        )
    if columns:
        shares = {name: _shares(path, row, cells, labels) for name, (row, cells) in rows.items()}
    else:
        shares = {}
    if _LABEL not in header:
        return AnswerTable(
            {name: _top(path, rows[name][0], labels, values) for name, values in shares.items()},
            shares,
        )
    named = {name: _label(path, row, cells[_LABEL], labels) for name, (row, cells) in rows.items()}
    for name, values in shares.items():
        if values[named[name]] < values.max():
            raise DataError(
                f"{path}: row {rows[name][0]}, column {_LABEL}: {labels[named[name]]!r} is not the "
                f"most probable category of its row ({labels[int(values.argmax())]!r} is); correct "
                "one of them, or drop the column"
            )
    return AnswerTable(named, shares)


def _label(path: Path, row: int, text: str, labels: tuple[str, ...]) -> int:
    if text.strip() not in labels:
        raise DataError(
            f"{path}: row {row}, column {_LABEL}: {text[:40]!r} is not one of {', '.join(labels)}; "
            "both tables must use one set of names, FER+'s eight or FER2013's seven"
        )
    return labels.index(text.strip())


def _shares(path: Path, row: int, cells: Cells, labels: tuple[str, ...]) -> NDArray[np.float64]:
    values = np.array([_probability(path, row, name, cells[name]) for name in labels])
    if abs(values.sum() - 1) > _ROUNDING:
        raise DataError(
            f"{path}: row {row}, columns {labels[0]} … {labels[-1]}: the probabilities sum to "
            f"{values.sum():.4g}, not to 1; give the softmax of the logits"
        )
    return values


def _probability(path: Path, row: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise DataError(
            f"{path}: row {row}, column {column}: {text[:40]!r} is not a probability; give a "
            "number from 0 to 1"
        )
    return value


def _top(path: Path, row: int, labels: tuple[str, ...], values: NDArray[np.float64]) -> int:
    best = np.flatnonzero(values == values.max())
    if len(best) > 1:
        names = " and ".join(labels[i] for i in best)
        raise DataError(
            f"{path}: row {row}: {names} are equally probable; add a column {_LABEL} that says "
            "which is meant"
        )
    return int(best[0])


def _same_ids(predictions: Path, predicted: AnswerTable, truth: Path, true: AnswerTable) -> None:
    missing = [name for name in true.labels if name not in predicted.labels]
    if missing:
        raise DataError(
            f"{predictions}: has no row for {_some(missing)} of {truth}; every picture there needs "
            "one prediction"
        )
    unknown = [name for name in predicted.labels if name not in true.labels]
    if unknown:
        raise DataError(
            f"{predictions}: {_some(unknown)} is not in {truth}; remove what has no "
            "truth, or add it there"
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    if len(names) <= _SHOWN:
        return shown
    return f"{shown} and {len(names) - _SHOWN} more"
