"""Two models on the same pictures, and the answers of any program.

Two models are tested for whether they differ by more than chance.

The answers of a program are two small tables, ``predict.csv`` and ``ground_truth.csv``. Both have a
column ``id`` (or ``file``) that names the picture, and either a column ``label`` or one column of
probabilities for each category, or both; other columns are ignored. Rows belong together by their
id, whatever their order. The categories are the eight of FER+ or the seven of FER2013, and both
tables use the same names. Where the truth has a column ``covered``, each of its values is evaluated
by itself as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from edge_agent.core.expression import Prior
from edge_agent.vision.models.card import ModelCard, find_model, used_prior
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.data.datasets import EXPRESSIONS, FER2013, Faces, table_rows
from training.errors import DataError
from training.report.calibration import (
    Answered,
    ModelCalibration,
    calibration,
    count_answered,
    probabilities,
)
from training.report.evaluate import (
    PROTOCOLS,
    Figures,
    answers_by_protocol,
    classification_figures,
    evaluate_logits,
    median_milliseconds,
    read_with,
    right_by_protocol,
    run_model,
)
from training.report.figures import figures_text
from training.report.robustness import COLUMN, NOTHING, covered_table

PROTOCOL = "labels of the ground truth"
_ID_COLUMNS = ("id", "file")
_LABEL = "label"
_EVERY_NAME = frozenset(EXPRESSIONS) | frozenset(FER2013)
_ROUNDING = 0.01
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models.

    Attributes:
        model: name and version.
        file: path of the TFLite file.
        file_bytes: its size.
        multiply_adds: of one inference.
        parameters: weights and biases.
        milliseconds: median duration of one inference, measured in turns with the other model.
        accuracy: protocol → share right, 0…1.
        macro_f1: protocol → mean F1, 0…1.
        calibration_error: protocol → at the temperature of its card, 0…1.
        prior: with which it was read.
        answered: at its threshold, against the FER+ majority or the folder's labels; None without.
    """

    model: str
    file: str
    file_bytes: int
    multiply_adds: int
    parameters: int
    milliseconds: float
    accuracy: dict[str, float]
    macro_f1: dict[str, float]
    calibration_error: dict[str, float]
    prior: Prior
    answered: Answered | None


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test, exact: do two classifiers differ on the same pictures?

    Attributes:
        n: pictures.
        only_first: pictures that only the first model has right.
        only_second: pictures that only the second model has right.
        p: two-sided probability of so uneven a split of those pictures if both were equally good.
    """

    n: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, slots=True)
class ProtocolComparison:
    """Both sides and the test by protocol."""

    first: Side
    second: Side
    tests: dict[str, McNemar]

    def as_json(self) -> dict[str, object]:
        """Plain values for ``json``."""
        return {**asdict(self), "time_ratio": self.second.milliseconds / self.first.milliseconds}


def compare_files(
    first: Path, second: Path, faces: Faces, prior: Prior = "data"
) -> ProtocolComparison:
    """Evaluate two expression models (files with a card beside, or shipped names) on ``faces``.

    Args:
        first: a model.
        second: another one.
        faces: on which both are evaluated.
        prior: as ``vision.prior``; a model without a fitted one is read with that of its data.

    Raises:
        ModelError: when the agent would refuse a file or its card, or a card has no shares for a
            balanced prior.
        DataError: when no picture can be evaluated.
    """
    # Both are loaded before either is run, so that a wrong file is told at once.
    models = [load_model(find_model(name), kind="expression") for name in (first, second)]
    read = [read_with(run_model(one, faces.pictures), one.card, prior) for one in models]
    durations = median_milliseconds(models, faces.pictures)
    sides = [
        _side(model, card, used_prior(card, prior), logits, milliseconds, faces)
        for model, (logits, card), milliseconds in zip(models, read, durations, strict=True)
    ]
    right = [right_by_protocol(logits, faces) for logits, _ in read]
    tests = {name: mcnemar(one, right[1][name]) for name, one in right[0].items()}
    return ProtocolComparison(sides[0], sides[1], tests)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test: a binomial test of the pictures that only one model gets right.

    McNemar 1947.

    Args:
        first: bool, n: whether the first model is right on each picture.
        second: bool, n: the same of the second model.
    """
    only_first = int((first & ~second).sum())
    only_second = int((~first & second).sum())
    # Of pictures on which both are right or both wrong the test learns nothing.
    differing = only_first + only_second
    if differing:
        p = float(binomtest(only_first, differing, 0.5).pvalue)
    else:
        p = 1.0
    return McNemar(len(first), only_first, only_second, p)


def comparison_text(comparison: ProtocolComparison) -> str:
    """Return the two models in two columns, and the test below."""
    a = comparison.first
    b = comparison.second
    rows = [
        ("", a.model, b.model, "second − first"),
        ("prior", a.prior, b.prior, ""),
        *(row for name in comparison.tests for row in _protocol_rows(name, a, b)),
        *_answered_rows(a.answered, b.answered),
        _ratio("milliseconds a face", a.milliseconds, b.milliseconds, "{:.3f}"),
        _ratio("megabytes", a.file_bytes / 1e6, b.file_bytes / 1e6, "{:.2f}"),
        _ratio("million multiply-adds", a.multiply_adds / 1e6, b.multiply_adds / 1e6, "{:.1f}"),
        _ratio("million parameters", a.parameters / 1e6, b.parameters / 1e6, "{:.2f}"),
    ]
    lines = [
        f"{title:<30} {left:>24} {right:>24} {change:>16}" for title, left, right, change in rows
    ]
    for name, test in comparison.tests.items():
        lines.append(
            f"{PROTOCOLS[name]}, McNemar's exact test on {test.n:,} pictures: {test.only_first} "
            f"only the first has right, {test.only_second} only the second; p = {test.p:.3g}"
        )
    return "\n".join(lines)


def _protocol_rows(name: str, a: Side, b: Side) -> list[tuple[str, str, str, str]]:
    title = PROTOCOLS[name]
    return [
        _points(f"{title}, right", a.accuracy[name], b.accuracy[name]),
        _difference(f"{title}, macro F1", a.macro_f1[name], b.macro_f1[name]),
        _difference(f"{title}, cal. error", a.calibration_error[name], b.calibration_error[name]),
    ]


def _answered_rows(a: Answered | None, b: Answered | None) -> list[tuple[str, str, str, str]]:
    """Return the share of faces with a name, at each threshold, and of these the share right."""
    if a is None or b is None:
        return []
    return [
        _points("faces with a name", a.coverage, b.coverage),
        _points("names that are right", a.accuracy, b.accuracy),
    ]


def _points(title: str, left: float, right: float) -> tuple[str, str, str, str]:
    return title, f"{left:.2%}", f"{right:.2%}", f"{100 * (right - left):+.2f} points"


def _difference(title: str, left: float, right: float) -> tuple[str, str, str, str]:
    return title, f"{left:.3f}", f"{right:.3f}", f"{right - left:+.3f}"


def _ratio(title: str, left: float, right: float, form: str) -> tuple[str, str, str, str]:
    return title, form.format(left), form.format(right), f"× {right / left:.2f}" if left else ""


def _side(
    model: TFLiteModel,
    card: ModelCard,
    prior: Prior,
    logits: dict[str, NDArray[np.float32]],
    milliseconds: float,
    faces: Faces,
) -> Side:
    figures = evaluate_logits(logits, faces).by_protocol
    answers = answers_by_protocol(logits, faces)
    temperature = 1.0 if card.temperature is None else card.temperature
    answered = None
    if (first := answers.get("ferplus")) is not None:
        shares = probabilities(first.logits, temperature)
        answered = count_answered(shares, first.truth, card.uncertain_below or 0.0)
    return Side(
        model=f"{card.name} {card.version}",
        file=str(model.path),
        file_bytes=model.path.stat().st_size,
        multiply_adds=card.multiply_adds,
        parameters=card.parameters,
        milliseconds=milliseconds,
        accuracy={name: one.accuracy for name, one in figures.items()},
        macro_f1={name: one.macro_f1 for name, one in figures.items()},
        calibration_error={
            name: calibration(probabilities(one.logits, temperature), one.truth).error
            for name, one in answers.items()
        },
        prior=prior,
        answered=answered,
    )


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
    calibration: ModelCalibration | None
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
        """Return the table for people."""
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
    # The truth decides which set of names is meant; answers that fit both sets follow it.
    labels = _categories(true_rows) or _categories(predicted_rows) or EXPRESSIONS
    predicted = _read(predictions, predicted_rows, labels)
    true = _read(truth, true_rows, labels)
    _same_ids(predictions, predicted, truth, true)
    # One order for both tables, whose rows may be in any.
    order = sorted(true.labels)
    wanted = np.array([true.labels[name] for name in order], dtype=np.int64)
    chosen = np.array([predicted.labels[name] for name in order], dtype=np.int64)
    shares = np.stack([predicted.shares[name] for name in order]) if predicted.shares else None
    covered = {
        name: classification_figures(wanted[rows], chosen[rows], labels)
        for name, rows in _read_covered(truth, true_rows, order).items()
    }
    return TableEvaluation(
        classification_figures(wanted, chosen, labels),
        None if shares is None else calibration(shares, wanted),
        covered,
    )


def _read_covered(
    path: Path, rows: dict[str, tuple[int, Cells]], order: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """Return what is covered → bool for each id of ``order``; nothing without such a column."""
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
    """Return the set of names that a table uses, of the two; None where its names are in both."""
    columns = {name for _, cells in rows.values() for name in cells if name in _EVERY_NAME}
    names = columns | {cells[_LABEL].strip() for _, cells in rows.values() if _LABEL in cells}
    # Names that only one of the two sets has decide it.
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
        # Sorted, so that the same fault always reads the same.
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
        # `<` against the largest: of equal ones the label says which is meant.
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
    # Rounded values of eight categories do not sum to 1 exactly.
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
    # A first of two equal ones would prefer a category by its place in the table.
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
