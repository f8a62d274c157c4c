"""Two models on the same pictures, and a test whether they differ by more than chance."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.data.datasets import Faces
from training.measuring.calibration import calibration, probabilities
from training.measuring.evaluate import PROTOCOLS, answers_by_protocol, evaluate_logits, run_model
from training.measuring.timing import median_milliseconds


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
class Comparison:
    """Both sides and the test by protocol."""

    first: Side
    second: Side
    tests: dict[str, McNemar]

    def as_json(self) -> dict[str, object]:
        """Plain values for ``json``."""
        return {**asdict(self), "time_ratio": self.second.milliseconds / self.first.milliseconds}


def compare_files(first: Path, second: Path, faces: Faces) -> Comparison:
    """Evaluate two expression models (each with its card beside it) on ``faces``.

    Raises:
        ModelError: when a file or its card is not as the agent wants it.
        DataError: when no picture can be evaluated.
    """
    models = [load_model(path.with_suffix(".json"), kind="expression") for path in (first, second)]
    logits = [run_model(model, faces.pictures) for model in models]
    durations = median_milliseconds(models, faces.pictures)
    sides = [_side(*each, faces) for each in zip(models, logits, durations, strict=True)]
    answers = [answers_by_protocol(each, faces) for each in logits]
    tests = {
        name: mcnemar(
            one.predicted == one.truth, answers[1][name].predicted == answers[1][name].truth
        )
        for name, one in answers[0].items()
    }
    return Comparison(sides[0], sides[1], tests)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test: a binomial test of the pictures that only one model gets right.

    McNemar 1947.

    Args:
        first: bool, n: whether the first model is right on each picture.
        second: bool, n: the same of the second model.
    """
    only_first = int((first & ~second).sum())
    only_second = int((~first & second).sum())
    differing = only_first + only_second
    if differing:
        p = float(binomtest(only_first, differing, 0.5).pvalue)
    else:
        p = 1.0
    return McNemar(len(first), only_first, only_second, p)


def comparison_text(comparison: Comparison) -> str:
    """The two models in two columns, and the test below."""
    a = comparison.first
    b = comparison.second
    rows = [
        ("", a.model, b.model, "second − first"),
        *(row for name in comparison.tests for row in _protocol_rows(name, a, b)),
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
    points = 100 * (b.accuracy[name] - a.accuracy[name])
    return [
        (
            f"{title}, right",
            f"{a.accuracy[name]:.2%}",
            f"{b.accuracy[name]:.2%}",
            f"{points:+.2f} points",
        ),
        _difference(f"{title}, macro F1", a.macro_f1[name], b.macro_f1[name]),
        _difference(f"{title}, cal. error", a.calibration_error[name], b.calibration_error[name]),
    ]


def _difference(title: str, left: float, right: float) -> tuple[str, str, str, str]:
    return title, f"{left:.3f}", f"{right:.3f}", f"{right - left:+.3f}"


def _ratio(title: str, left: float, right: float, form: str) -> tuple[str, str, str, str]:
    return title, form.format(left), form.format(right), f"× {right / left:.2f}" if left else ""


def _side(
    model: TFLiteModel, logits: dict[str, NDArray[np.float32]], milliseconds: float, faces: Faces
) -> Side:
    card: ModelCard = model.card
    figures = evaluate_logits(logits, faces).by_protocol
    temperature = 1.0 if card.temperature is None else card.temperature
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
            for name, one in answers_by_protocol(logits, faces).items()
        },
    )
