"""Publish a finished model: calibrate it, measure it, write its card and its page."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.data.datasets import Faces
from training.data.labelled_photographs import LabelledPhotographs
from training.errors import DataError
from training.files import write_all, write_whole
from training.measuring.calibration import choose_threshold, in_half_a, probabilities, risk_coverage
from training.measuring.chain import CHAIN, ChainAnswers, measure_chain
from training.measuring.evaluate import PROTOCOLS, answers_by_protocol, run_model
from training.measuring.figures import artefacts
from training.measuring.measure import Measured, measure, speed_of
from training.measuring.metrics import ClassFigures
from training.measuring.temperature import best_temperature
from training.publishing.model_page import FILE, PHOTOGRAPHS, SPEED, USAGE, page_text

log = logging.getLogger(__name__)


def write_report(
    model: Path,
    faces: Faces,
    out: Path,
    *,
    photographs: LabelledPhotographs | None = None,
    time_again: bool = False,
) -> Path:
    """Calibrate and measure ``NAME.tflite``, and write its card and its page.

    The card lies beside the model; the page goes into ``out``.

    Temperature and threshold come from half A of PublicTest and are checked on half B. The same
    file and faces give the same card and page; the milliseconds, which no two runs share, are
    measured once and then kept.

    Args:
        model: a TFLite file with its card beside it.
        faces: PublicTest with its votes; Training beside it tells which of its pictures are copies.
        out: where ``NAME.md`` and the folder ``NAME`` with figures go.
        photographs: also evaluate the whole chain on them; if left out, the card keeps its figures.
        time_again: measure the milliseconds though the card has them.

    Returns:
        the path of the page.

    Raises:
        ModelError: the file or its card is not as the agent wants it.
        DataError: the faces lack PublicTest or its votes, or something cannot be written.
    """
    card_file = model.with_suffix(".json")
    loaded = load_model(card_file, kind="expression")
    card = calibrated(loaded, faces)
    measured = measure(loaded, faces, USAGE, card=card, robust=True, speed=False)
    chain = _chain(loaded, photographs)
    speed = _speed(loaded, faces, time_again=time_again)
    card = card.model_copy(update={"metrics": card_metrics(measured) | chain | speed})
    page = out / f"{card.name}.md"
    write_all(out / card.name, artefacts(measured))
    write_whole(page, page_text(card).encode())
    write_whole(card_file, card.to_json().encode())
    log.info("%s: %s", card_file, measured.evaluation.headline())
    return page


def calibrated(model: TFLiteModel, faces: Faces) -> ModelCard:
    """The card of a model with the temperature and threshold that follow from half A of PublicTest.

    The temperature is fitted against the FER+ majority, because the probability of an answer is to
    say how often the answer is right; fitted against the shares of the votes it says how many
    people would agree, which is less.

    Raises:
        DataError: half A has no picture with a majority of votes.
    """
    public = faces.of_usage(USAGE)
    first = public.take(in_half_a(public.pictures))
    answers = (
        answers_by_protocol(run_model(model, first.pictures), first).get("ferplus")
        if len(first)
        else None
    )
    if answers is None:
        raise DataError(
            f"no picture in half A of {USAGE} has a majority of votes; give the FER+ "
            "votes with --votes"
        )
    labels = np.eye(len(answers.labels), dtype=np.float32)[answers.truth]
    temperature = round(best_temperature(answers.logits, labels), 4)
    curve = risk_coverage(probabilities(answers.logits, temperature), answers.truth)
    return model.card.model_copy(
        update={"temperature": temperature, "uncertain_below": choose_threshold(curve)}
    )


def card_metrics(measured: Measured) -> dict[str, dict[str, float]]:
    """Everything that was measured as a card keeps it: split → figure → value.

    Figures of other splits stay.
    """
    card = measured.card
    usage = measured.usage
    kept = {
        name: dict(figures)
        for name, figures in card.metrics.items()
        if name == f"{usage}, float"
        or not (name.startswith((usage, PHOTOGRAPHS, SPEED)) or name == FILE)
    }
    errors = {
        f"{name}_calibration_error": round(one.error, 4)
        for name, one in measured.calibration.items()
    }
    metrics = {usage: {**measured.evaluation.headline(), **errors}}
    if measured.without_copies is not None:
        metrics[f"{usage}, without copies"] = measured.without_copies.headline()
    for protocol, figures in measured.evaluation.by_protocol.items():
        for label, one in figures.per_class.items():
            metrics[f"{usage}, {PROTOCOLS[protocol]}, {label}"] = _category(one)
    return (
        kept
        | metrics
        | _read_as(measured)
        | _reliability(measured)
        | _confidence(measured)
        | _robustness(measured)
        | {FILE: {"bytes": measured.file_bytes}}
    )


def chain_metrics(answers: ChainAnswers) -> dict[str, dict[str, float]]:
    """The figures of the whole chain on photographs, as a card keeps them."""
    figures = answers.figures
    metrics = {
        PHOTOGRAPHS: {
            "n": figures.n,
            "found": int(answers.has_face.sum()),
            "accuracy": round(figures.accuracy, 4),
        }
    }
    for label, one in figures.per_class.items():
        if one.n > 0:
            metrics[f"{PHOTOGRAPHS}, {label}"] = _category(one)
    return metrics


def _category(figures: ClassFigures) -> dict[str, float]:
    return {
        name: value if name == "n" else round(value, 4) for name, value in asdict(figures).items()
    }


def _read_as(measured: Measured) -> dict[str, dict[str, float]]:
    """The confusion matrix of the head that the agent uses, a row for each category."""
    protocol, figures = next(iter(measured.evaluation.by_protocol.items()))
    return {
        f"{measured.usage}, {PROTOCOLS[protocol]}, {label}, read as": dict(
            zip(figures.labels, row, strict=True)
        )
        for label, row in zip(figures.labels, figures.confusion_matrix, strict=True)
    }


def _reliability(measured: Measured) -> dict[str, dict[str, float]]:
    """How often that head is right, by its largest probability; empty bins are left out."""
    protocol, one = next(iter(measured.calibration.items()))
    name = f"{measured.usage}, {PROTOCOLS[protocol]}, probability"
    return {
        f"{name} {part.lower:.2f} to {part.upper:.2f}": {
            "n": part.n,
            "confidence": round(part.confidence, 4),
            "accuracy": round(part.accuracy, 4),
        }
        for part in one.bins
        if part.n > 0
    }


def _confidence(measured: Measured) -> dict[str, dict[str, float]]:
    metrics: dict[str, dict[str, float]] = {}
    confidence = measured.confidence
    if confidence is None:
        return metrics
    for name, half in confidence.halves.items():
        metrics[f"{measured.usage}, half {name}"] = {
            "n": half.n,
            "accuracy": round(half.accuracy, 4),
            "calibration_error": round(half.calibration_error, 4),
            "answered": round(half.answered.coverage, 4),
            "answered_accuracy": round(half.answered.accuracy, 4),
            "answered_error_bound": round(half.answered.error_bound, 4),
        }
        if half.fer2013_accuracy is not None:
            metrics[f"{measured.usage}, half {name}"]["fer2013_accuracy"] = round(
                half.fer2013_accuracy, 4
            )
    metrics[f"{measured.usage}, answered"] = {
        "coverage": round(confidence.answered.coverage, 4),
        "accuracy": round(confidence.answered.accuracy, 4),
        "coverage_of_all": round(confidence.coverage_of_all, 4),
    }
    return metrics


def _robustness(measured: Measured) -> dict[str, dict[str, float]]:
    metrics = {}
    for row in measured.robustness:
        figures: dict[str, float] = {}
        for name, accuracy in row.accuracy.items():
            figures[f"{name}_accuracy"] = round(accuracy, 4)
            figures[f"{name}_loss"] = round(row.loss[name], 2)
        metrics[f"{measured.usage}, {row.name}"] = figures
    return metrics


def _chain(
    model: TFLiteModel, photographs: LabelledPhotographs | None
) -> dict[str, dict[str, float]]:
    """The figures of the chain on the photographs; without photographs, those of the card."""
    if photographs is None:
        return _known(model, PHOTOGRAPHS)
    return chain_metrics(measure_chain(str(model.path), photographs).answers[CHAIN])


def _speed(model: TFLiteModel, faces: Faces, *, time_again: bool) -> dict[str, dict[str, float]]:
    """The milliseconds that the card has, or new ones."""
    known = _known(model, SPEED)
    if known and not time_again:
        return known
    speed = speed_of(model, faces.pictures)
    return {f"{SPEED}{speed.processor}": {"milliseconds": speed.milliseconds, "runs": speed.runs}}


def _known(model: TFLiteModel, beginning: str) -> dict[str, dict[str, float]]:
    return {
        name: dict(figures)
        for name, figures in model.card.metrics.items()
        if name.startswith(beginning)
    }
