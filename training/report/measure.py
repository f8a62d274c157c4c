"""Figures of one model file on one split of labelled faces."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Prior
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import TFLiteModel
from training.data.datasets import Faces
from training.report.calibration import (
    Answered,
    ModelCalibration,
    calibration,
    count_answered,
    in_half_a,
    probabilities,
    risk_coverage,
)
from training.report.evaluate import (
    RUNS,
    Evaluation,
    ProtocolAnswers,
    answers_by_protocol,
    evaluate_logits,
    median_milliseconds,
    read_with,
    run_model,
)
from training.report.robustness import DegradationCost, Group, robustness, worst

WORST_OF: dict[str, tuple[Group, ...]] = {"worst": ("main",), "worst_with_harsh": ("main", "harsh")}


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the faces with a majority.

    Temperature and threshold were fitted on half A; half B checks them.

    Attributes:
        n: faces.
        accuracy: share right, 0…1.
        calibration_error: as for :class:`training.report.calibration.ModelCalibration`.
        answered: at the threshold of the card.
        fer2013_accuracy: share right of all its faces with a FER2013 class, 0…1: on half A the
            second head's biases were fitted, too; None where none has one.
    """

    n: int
    accuracy: float
    calibration_error: float
    answered: Answered
    fer2013_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Confidence:
    """The reliability of the recorded probabilities: the first head against the majority.

    The majority is that of the FER+ votes.

    Attributes:
        halves: "A" and "B"; a half without faces is left out.
        answered: all faces with a majority, at the threshold of the card.
        coverage_of_all: share of all pictures of the split that get an answer, those without a
            majority too, 0…1.
        curve: risk-coverage curve over all faces with a majority.
    """

    halves: dict[str, Half]
    answered: Answered
    coverage_of_all: float
    curve: tuple[Answered, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """Duration of one inference, from pixels to logits.

    Attributes:
        milliseconds: median over ``runs``.
        runs: after a warm-up.
        processor: architecture of the machine it was measured on, such as x86_64.
    """

    milliseconds: float
    runs: int
    processor: str


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """One model on one split.

    Attributes:
        card: of the model; its temperature and threshold were applied.
        usage: name of the split.
        evaluation: how often it is right.
        calibration: by protocol, at the card's temperature, against that protocol's labels.
        confidence: None without votes.
        without_copies: the same figures without pictures that also lie, byte for byte, in Training;
            None where there is no Training to compare with.
        file_bytes: size of the TFLite file.
        robustness: empty where it was not measured.
        speed: of one inference; None where it was not measured.
    """

    card: ModelCard
    usage: str
    evaluation: Evaluation
    calibration: dict[str, ModelCalibration]
    confidence: Confidence | None
    without_copies: Evaluation | None
    file_bytes: int
    robustness: tuple[DegradationCost, ...]
    speed: Speed | None = None

    @property
    def float_figures(self) -> Mapping[str, float]:
        """The figures of the float network on the same split, from the card.

        Empty if the card has none.
        """
        return self.card.metrics.get(f"{self.usage}, float", {})

    def as_json(self) -> dict[str, object]:
        """Plain values for ``json``: those of :meth:`Evaluation.as_json`, and all others."""
        figures: dict[str, object] = {
            **self.evaluation.as_json(),
            "calibration_error": next(iter(self.calibration.values())).error,
            "temperature": self.card.temperature,
            "uncertain_below": self.card.uncertain_below,
            "calibration": {name: asdict(one) for name, one in self.calibration.items()},
            "confidence": None if self.confidence is None else asdict(self.confidence),
            "without_copies": None
            if self.without_copies is None
            else self.without_copies.headline(),
            "float": dict(self.float_figures) or None,
            "int8_loss": int8_loss(self),
            "file_bytes": self.file_bytes,
            "multiply_adds": self.card.multiply_adds,
            "parameters": self.card.parameters,
            "speed": None if self.speed is None else asdict(self.speed),
        }
        if self.robustness:
            figures["robustness"] = [asdict(row) for row in self.robustness]
            for key, groups in WORST_OF.items():
                figures[f"robustness_{key}"] = {
                    name: asdict(worst(self.robustness, name, groups))
                    for name in self.evaluation.by_protocol
                }
        return figures


def measure(
    model: TFLiteModel,
    faces: Faces,
    usage: str,
    *,
    card: ModelCard | None = None,
    robust: bool = False,
    prior: Prior = "data",
) -> MeasuredModel:
    """Measure a model on one split.

    Args:
        model: an expression model.
        faces: all faces; those of Training tell which of the others are copies.
        usage: the split that is evaluated; ``all`` is every face.
        card: whose temperature and threshold count, where not the model's own.
        robust: also each change of :mod:`training.report.robustness`, which takes as long as
            seventeen evaluations.
        prior: as ``vision.prior``; it changes the first head.

    Raises:
        ModelError: when the prior is to be balanced and the card has no shares.
        DataError: when the split is empty or no picture of it can be evaluated.
    """
    card = model.card if card is None else card
    evaluated = faces if usage == "all" else faces.of_usage(usage)
    logits, card = read_with(run_model(model, evaluated.pictures), card, prior)
    evaluation = evaluate_logits(logits, evaluated)
    answers = answers_by_protocol(logits, evaluated)
    unchanged = {name: one.accuracy for name, one in evaluation.by_protocol.items()}
    return MeasuredModel(
        card=card,
        usage=usage,
        evaluation=evaluation,
        calibration={
            name: calibration(probabilities(one.logits, _temperature(card)), one.truth)
            for name, one in answers.items()
        },
        confidence=_confidence(card, logits["expression"], answers, evaluated)
        if "ferplus" in answers
        else None,
        without_copies=_without_copies(logits, evaluated, faces) if usage != "all" else None,
        file_bytes=model.path.stat().st_size,
        robustness=robustness(model, evaluated, unchanged) if robust else (),
    )


def speed_of(model: TFLiteModel, pictures: NDArray[np.uint8]) -> Speed:
    """Duration of one inference on ``pictures`` (uint8, N × H × W) on this machine."""
    return Speed(round(median_milliseconds([model], pictures)[0], 3), RUNS, platform.machine())


def int8_loss(measured: MeasuredModel) -> dict[str, float] | None:
    """Protocol → points of accuracy that int8 lost against the network.

    None where the card has no such figure.
    """
    loss = {}
    for name, figures in measured.evaluation.by_protocol.items():
        if (exact := measured.float_figures.get(f"{name}_accuracy")) is not None:
            loss[name] = round(100 * (exact - figures.accuracy), 2)
    return loss or None


def _temperature(card: ModelCard) -> float:
    if card.temperature is None:
        return 1.0
    return card.temperature


def _confidence(
    card: ModelCard, logits: NDArray[np.float32], each: Mapping[str, ProtocolAnswers], faces: Faces
) -> Confidence:
    """Return the first head's probabilities against the FER+ majority, in halves and together."""
    ferplus = each["ferplus"]
    fer2013 = each.get("fer2013")
    if card.uncertain_below is None:
        threshold = 0.0
    else:
        threshold = card.uncertain_below
    every = probabilities(logits, _temperature(card))
    # By picture, as when temperature and threshold were fitted: half B has not been seen by them.
    in_a = in_half_a(faces.pictures)
    shares = every[ferplus.chosen]
    halves = {}
    for name, half in (("A", in_a), ("B", ~in_a)):
        part = half[ferplus.chosen]
        if part.any():
            error = calibration(shares[part], ferplus.truth[part]).error
            right = float((shares[part].argmax(axis=1) == ferplus.truth[part]).mean())
            given = count_answered(shares[part], ferplus.truth[part], threshold)
            halves[name] = Half(int(part.sum()), right, error, given, _accuracy(fer2013, half))
    return Confidence(
        halves=halves,
        answered=count_answered(shares, ferplus.truth, threshold),
        coverage_of_all=float((every.max(axis=1) >= threshold).mean()),
        curve=risk_coverage(shares, ferplus.truth),
    )


def _accuracy(answers: ProtocolAnswers | None, half: NDArray[np.bool_]) -> float | None:
    """Return the share that is right, of the faces of ``half`` (N) that a protocol counts.

    None where it counts none of them.
    """
    if answers is None or not (part := half[answers.chosen]).any():
        return None
    return float((answers.predicted[part] == answers.truth[part]).mean())


def _without_copies(
    logits: Mapping[str, NDArray[np.float32]], evaluated: Faces, faces: Faces
) -> Evaluation | None:
    # Byte for byte: near-copies remain; `data-problems` names those.
    learnt = {picture.tobytes() for picture in faces.pictures[faces.usage == 0]}
    fresh = np.array([picture.tobytes() not in learnt for picture in evaluated.pictures])
    if not learnt or not fresh.any():
        return None
    return evaluate_logits(
        {name: values[fresh] for name, values in logits.items()}, evaluated.take(fresh)
    )
