"""Evaluation of the whole chain, detector → crop → classifier, on uncropped photographs.

The agent runs the same chain. The classifier is also evaluated on other crops of the same
photographs, which separates the errors of detector and crop from those of the classifier:

- `box`: cut by the box of the agent's detector alone, upright, as the agent does where it cannot
  use landmarks;
- `yunet`: cut by the landmarks of YuNet, a larger detector (`training.faces.labelling`);
- `centred`: one cut for all photographs, with the eyes and the mouth where the median of YuNet's
  landmarks lies. It fits photographs that were centred by hand, and needs no detector.

The report is written as text, as JSON, and as CSV tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import Prior
from edge_agent.vision.align import TEMPLATE, align_box, align_face, similarity
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.faces.tracking import prominence
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import FaceReading, Recognizer, open_recognizer
from edge_agent.vision.stills import Picture
from training.data.datasets import EXPRESSIONS
from training.data.photographs import LabelledPhotographs
from training.errors import csv_bytes
from training.faces.labelling import LabelledFace
from training.faces.trial import landmark_error
from training.report.compare import McNemar, mcnemar
from training.report.evaluate import Figures, classification_figures
from training.report.figures import confusion_csv, figures_text

NO_FACE = "no face"
LABELS = (*EXPRESSIONS, NO_FACE)
"""The classifier's labels for a photograph.

Nothing is labelled `NO_FACE`: a face that is not found is a miss of its label.
"""
CHAIN = "chain"
BOX = "box"
YUNET = "yunet"
CENTRED = "centred"

Points = NDArray[np.float64]
Labeller = Callable[[Picture], Sequence[LabelledFace]]
WAYS = {
    CHAIN: "the agent's detector and crop",
    BOX: "the detector's box alone, upright",
    YUNET: "YuNet's landmarks",
    CENTRED: "one cut for all photographs",
}
"""Crop → its description in the report."""


@dataclass(frozen=True, slots=True)
class ChainAnswers:
    """The answers of the classifier when photographs are cropped in one way.

    Attributes:
        truth: int64, n: index of the label in ``EXPRESSIONS``.
        shares: float64, n × 8: calibrated probabilities; zeros where no face was found.
        usable: bool, n: a face was found, and nothing about it speaks against reading it.
    """

    truth: NDArray[np.int64]
    shares: NDArray[np.float64]
    usable: NDArray[np.bool_]

    def take(self, chosen: NDArray[np.bool_]) -> ChainAnswers:
        """Return the answers for some of the photographs."""
        return ChainAnswers(self.truth[chosen], self.shares[chosen], self.usable[chosen])

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """Tell whether a face was found, n."""
        return np.asarray(self.shares.any(axis=1))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index into ``LABELS`` of the answer, n."""
        return np.where(self.has_face, self.shares.argmax(axis=1), LABELS.index(NO_FACE))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Tell whether the answer is the label, n."""
        # Never right without a face: `NO_FACE` is no label.
        return np.asarray(self.predicted == self.truth)

    @property
    def figures(self) -> Figures:
        """Figures over all photographs, with a face or without."""
        return classification_figures(self.truth, self.predicted, LABELS)

    @property
    def label_probability(self) -> float:
        """Mean probability of the labelled category, 0…1; without a face it is 0."""
        return float(self.shares[np.arange(len(self.truth)), self.truth].mean())


@dataclass(frozen=True, slots=True)
class DeviationSpread:
    """The spread of a deviation from face to face.

    Attributes:
        bias: its median.
        median: the median of its size.
        p90: the size that one in ten exceeds.
    """

    bias: float
    median: float
    p90: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> DeviationSpread:
        """Summarise the deviations of n faces."""
        size = np.abs(values)
        return cls(float(np.median(values)), float(np.median(size)), float(np.quantile(size, 0.9)))


@dataclass(frozen=True, slots=True)
class Deviations:
    """The deviations of the chain's landmarks, and of the crops that they make, from YuNet's.

    Attributes:
        faces: how many both found.
        landmarks: mean distance of the five points, in distances of the eyes.
        scale: logarithm of the size of the face in the chain's crop over that in the other; 0.05 is
            5 % larger.
        roll: turn of the face in the chain's crop against the other, degrees, clockwise.
        across, down: shift of the middle of the face in the chain's crop, in sides of the crop.
        roll_followed: degrees that the chain's landmarks turn when YuNet's turn by one (the slope
            of a regression).
    """

    faces: int
    landmarks: DeviationSpread
    scale: DeviationSpread
    roll: DeviationSpread
    across: DeviationSpread
    down: DeviationSpread
    roll_followed: float


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The report on the whole chain.

    Attributes:
        model, detector: name and version.
        files: names of the photographs.
        answers: by the way of cropping; the chain's come first.
        deviations: ``None`` where YuNet was not asked, or no face was found by both.
        uncertain_below: probability below which a face is uncertain with this prior.
    """

    model: str
    detector: str
    files: tuple[str, ...]
    answers: Mapping[str, ChainAnswers]
    deviations: Deviations | None
    uncertain_below: float

    @property
    def tests(self) -> dict[str, McNemar]:
        """Crop → McNemar test of the agent's crop (the first) against it."""
        right = self.answers[CHAIN].right
        return {
            name: mcnemar(right, other.right)
            for name, other in self.answers.items()
            if name != CHAIN
        }


def measure_chain(
    model: str,
    photographs: LabelledPhotographs,
    detector: str = "face-detector",
    label: Labeller | None = None,
    prior: Prior = "data",
) -> ChainReport:
    """Classify every photograph with the agent's crop and with the other crops.

    Args:
        model: path of NAME.tflite or of its card, or name of a shipped expression model.
        photographs: with one label each.
        detector: likewise of a face detector.
        label: says where the faces of a picture are, as YuNet does (`Teacher.label`); without it
            the crops that need it are left out.
        prior: as ``vision.prior``.

    Raises:
        ModelError: the agent would refuse a model or its card.
        DataError, PictureError: a photograph cannot be read.
    """
    settings = VisionSettings(expression_model=model, detector_model=detector, prior=prior)
    recognizer = open_recognizer(settings)
    classifier = ExpressionClassifier(load_model(find_model(model), kind="expression"), prior)
    seen = [_read_largest_face(photograph.image, recognizer, label) for photograph in photographs]
    usual = _usual(seen)
    # Photographs without a reading stay in the figures, as faces that were missed.
    shares = {
        CHAIN: [
            _shares(None if one.reading is None else one.reading.expression.probabilities)
            for one in seen
        ]
    }
    for photograph, one in zip(photographs, seen, strict=True):
        for name, crop in _crops(photograph.image, one, usual, classifier).items():
            probabilities = _shares(
                None if crop is None else classifier.classify(crop).probabilities
            )
            shares.setdefault(name, []).append(probabilities)
    truth = np.array(photographs.labels, dtype=np.int64)
    finder, reader = (f"{card.name} {card.version}" for card in recognizer.models[:2])
    usable = np.array(
        [one.reading is not None and one.reading.reject_reason is None for one in seen]
    )
    answers = {name: ChainAnswers(truth, np.stack(rows), usable) for name, rows in shares.items()}
    both = [
        (one.landmarks, one.taught)
        for one in seen
        if one.landmarks is not None and one.taught is not None
    ]
    threshold = classifier.uncertain_below
    return ChainReport(reader, finder, photographs.files, answers, deviations(both), threshold)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The findings in one photograph of ``size`` (width, height).

    ``reading``
        the agent's, of the participant's face.
    ``taught``
        YuNet's landmarks of it, 5 × 2; ``None`` too where its answers at several sizes disagree.
    """

    size: tuple[int, int]
    reading: FaceReading | None
    taught: Points | None

    @property
    def landmarks(self) -> Points | None:
        """The agent's landmarks, 5 × 2."""
        if self.reading is None:
            return None
        return np.array(self.reading.face.landmarks)

    @property
    def from_middle(self) -> Points | None:
        """YuNet's landmarks from the middle of the photograph, in heights of the photograph."""
        width, height = self.size
        if self.taught is None:
            return None
        return (self.taught - (width / 2, height / 2)) / height


def _read_largest_face(image: Picture, recognizer: Recognizer, label: Labeller | None) -> _Seen:
    """Return the readings of the largest and most central face, the participant's for the agent."""
    height, width = image.shape[:2]
    readings = recognizer.read_picture(image)
    reading = max(readings, key=lambda one: prominence(one.face.box, width, height), default=None)
    faces = [] if label is None else label(image)
    sure = [face for face in faces if not face.ignore and face.points is not None]
    best = max(sure, key=lambda one: prominence(one.box, width, height), default=None)
    return _Seen((width, height), reading, None if best is None else np.array(best.points))


def _usual(seen: Sequence[_Seen]) -> Points | None:
    """Return the median place of the landmarks in the photographs (see `_Seen.from_middle`)."""
    known = [one.from_middle for one in seen if one.from_middle is not None]
    if known:
        # The median of all photographs: a cut by it needs no detector at all.
        return np.asarray(np.median(np.stack(known), axis=0))
    return None


def _crops(
    image: Picture, seen: _Seen, usual: Points | None, classifier: ExpressionClassifier
) -> dict[str, Picture | None]:
    """Return the other crops of a photograph by name; ``None`` where there is no face."""

    def by_points(points: Points) -> Picture:
        return align_face(image, points, classifier.size, classifier.crop)

    box = None if seen.reading is None else seen.reading.face.box
    crops = {BOX: None if box is None else align_box(image, box, classifier.size, classifier.crop)}
    if usual is not None:
        width, height = seen.size
        crops[YUNET] = None if seen.taught is None else by_points(seen.taught)
        crops[CENTRED] = by_points(usual * height + (width / 2, height / 2))
    return crops


def _shares(probabilities: Sequence[float] | None) -> NDArray[np.float64]:
    if probabilities is None:
        return np.zeros(len(EXPRESSIONS))
    return np.array(probabilities)


def deviations(pairs: Sequence[tuple[Points, Points]]) -> Deviations | None:
    """Compare landmarks of the same faces, 5 × 2 each: the chain's, and YuNet's.

    ``None`` without any.
    """
    if not pairs:
        return None
    ours, theirs = ([_plane(points) for points in side] for side in zip(*pairs, strict=True))
    # From YuNet's crop to the chain's: z → a·z + b in complex numbers, and where that takes the
    # middle of the crop.
    a = np.array([one[0] / other[0] for one, other in zip(ours, theirs, strict=True)])
    b = np.array([one[1] for one in ours]) - a * np.array([other[1] for other in theirs])
    shift = a * (0.5 + 0.5j) + b - (0.5 + 0.5j)
    turned, there = (np.angle(np.array([one[0] for one in side])) for side in (ours, theirs))
    return Deviations(
        faces=len(pairs),
        landmarks=DeviationSpread.of(
            np.array([landmark_error(_single(one), _single(other)) for one, other in pairs])
        ),
        scale=DeviationSpread.of(np.log(np.abs(a))),
        roll=DeviationSpread.of(np.degrees(np.angle(a))),
        across=DeviationSpread.of(shift.real),
        down=DeviationSpread.of(shift.imag),
        roll_followed=_slope(there, turned),
    )


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the slope of the least-squares line; 0 where ``x`` is constant."""
    away = x - x.mean()
    return float(away @ y) / max(float(away @ away), 1e-12)


def _single(points: Points) -> NDArray[np.float32]:
    return points.astype(np.float32)


def _plane(points: Points) -> tuple[complex, complex]:
    """Return the similarity that maps landmarks to the template, as a and b of z → a·z + b."""
    (cosine, _, across), (sine, _, down) = similarity(points, TEMPLATE)
    return complex(cosine, sine), complex(across, down)


def chain_json(report: ChainReport) -> dict[str, object]:
    """Plain values for ``json``: the figures of the chain, and of the other crops.

    Those are under ``crops``.
    """
    chain = report.answers[CHAIN]
    tests = report.tests
    return {
        "model": report.model,
        "detector": report.detector,
        **_answers_json(chain),
        "crops": {
            name: {"what": WAYS[name], **_answers_json(answers), "test": _test_json(tests[name])}
            for name, answers in report.answers.items()
            if name != CHAIN
        },
        "deviations": None if report.deviations is None else asdict(report.deviations),
    }


def chain_text(report: ChainReport) -> str:
    """Return the crops side by side, the deviations of the landmarks, and the chain by category."""
    chain = report.answers[CHAIN]
    count = int(chain.has_face.sum())
    counts = (
        f"{len(report.files)} photographs, a face found in {count} "
        f"({count / len(report.files):.1%})"
    )
    parts = [
        f"{report.model} behind {report.detector}: {counts}",
        _ways_text(report),
        "" if report.deviations is None else _deviations_text(report.deviations),
        figures_text("whole chain", chain.figures),
    ]
    return "\n\n".join(part for part in parts if part)


def chain_tables(report: ChainReport) -> dict[str, bytes]:
    """File name → content: a confusion matrix for each crop, and the chain's answers."""
    files = {
        f"confusion-{name}.csv": confusion_csv(answers.figures)
        for name, answers in report.answers.items()
    }
    chain = report.answers[CHAIN]
    rows = zip(report.files, chain.truth, chain.predicted, chain.shares, strict=True)
    files["photographs.csv"] = csv_bytes(
        [
            ("file", "emotion", "said", *EXPRESSIONS),
            *(
                (file, EXPRESSIONS[is_], LABELS[predicted], *(f"{p:.4f}" for p in row))
                for file, is_, predicted, row in rows
            ),
        ]
    )
    return files


def _answers_json(answers: ChainAnswers) -> dict[str, object]:
    figures = answers.figures.as_json()
    return {
        "n": figures.pop("n"),
        "faces_found": int(answers.has_face.sum()),
        "label_probability": answers.label_probability,
        **figures,
    }


def _test_json(test: McNemar) -> dict[str, object]:
    return {"only_chain_right": test.only_first, "only_this_right": test.only_second, "p": test.p}


def _ways_text(report: ChainReport) -> str:
    """Tabulate each crop: faces, accuracy, recalls, and its test against the agent's crop."""
    present = [name for name in EXPRESSIONS if report.answers[CHAIN].figures.per_class[name].n > 0]
    head = f"{'recall by way of cropping':<34} {'found':>6} {'right':>6} " + " ".join(
        f"{n[:9]:>9}" for n in present
    )
    lines = [f"{head}  right only here : only in the chain"]
    for name, answers in report.answers.items():
        figures = answers.figures
        recalls = " ".join(f"{figures.per_class[label].recall:>9.3f}" for label in present)
        line = (
            f"{WAYS[name]:<34} {int(answers.has_face.sum()):>6} {figures.accuracy:>6.1%} {recalls}"
        )
        if name != CHAIN:
            test = report.tests[name]
            line += f"  {test.only_second} : {test.only_first} (p = {test.p:.2g})"
        lines.append(line)
    return "\n".join(lines)


def _deviations_text(deviations: Deviations) -> str:
    def row(what: str, spread: DeviationSpread, factor: float, unit: str) -> str:
        values = (
            f"{spread.median * factor:>8.1f} {spread.p90 * factor:>8.1f} "
            f"{spread.bias * factor:>+8.1f}"
        )
        return f"{what:<34} {values}  {unit}"

    eyes = deviations.landmarks
    return "\n".join(
        [
            (
                f"{f'chain against YuNet, {deviations.faces} faces':<34} {'median':>8} {'p90':>8} "
                f"{'bias':>8}"
            ),
            (
                f"{'landmarks':<34} {eyes.median:>8.1%} {eyes.p90:>8.1%} {'':>8}  "
                "of the distance of the eyes"
            ),
            row("size of the face in the crop", deviations.scale, 100, "%"),
            row("turn of the face in the crop", deviations.roll, 1, "degrees"),
            row("shift of the face, across", deviations.across, 100, "% of the crop"),
            row("shift of the face, down", deviations.down, 100, "% of the crop"),
            f"of a turn of the head the chain's landmarks follow {deviations.roll_followed:.0%}",
        ]
    )
