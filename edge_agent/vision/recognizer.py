"""The vision chain: frame → faces → crops → probabilities → tracks → steadied labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import (
    Emotion,
    Expression,
    Face,
    Frame,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.vision.align import (
    CROP_NAME,
    Matrix,
    box_matrix,
    cut,
    landmark_matrix,
    share_outside,
)
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.faces.finder import (
    FaceFinder,
    UsedModel,
    open_finder,
    open_near_finder,
)
from edge_agent.vision.faces.follower import FaceFollower
from edge_agent.vision.faces.primary import PrimaryFaceSelector
from edge_agent.vision.faces.tracker import Tracker
from edge_agent.vision.models.card import ModelCard, find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.options import DEFAULT_OPTIONS, VisionOptions
from edge_agent.vision.quality import face_quality
from edge_agent.vision.smoother import Smoother, StateHolder, label_of

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FaceReading:
    """One face of a still picture.

    Attributes:
        face: where it is.
        expression: its probabilities.
        emotion: its label; ``None`` is *uncertain*.
        quality: 0…1, how fit the face is for reading.
        reject_reason: why it is not fit for reading; ``None`` when it is.
    """

    face: Face
    expression: Expression
    emotion: Emotion | None
    quality: float
    reject_reason: RejectReason | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One face of a still picture, and what in it spoke for and against each category.

    Attributes:
        reading: what `Recognizer.read_picture` says of it.
        crop: uint8, n × n, gray: what the classifier saw.
        to_crop: float64, 2 × 3, from pixels of the picture to the unit square of the crop.
        parts: float32, h × w × 8: what each region of the crop adds to the logit of each category.
    """

    reading: FaceReading
    crop: Picture
    to_crop: Matrix
    parts: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VisionStages:
    """The stages of the vision chain, in the order in which a frame passes them.

    Attributes:
        detector: finds faces in still pictures.
        follower: finds faces in the frames of a camera.
        classifier: reads one face.
        tracker: gives each face the number of its track.
        selector: selects the participant's face.
        smoother: smooths the probabilities of each track.
    """

    detector: FaceFinder
    follower: FaceFollower
    classifier: ExpressionClassifier
    tracker: Tracker
    selector: PrimaryFaceSelector
    smoother: Smoother


class Recognizer:
    """Reads every face of a frame, and follows the faces over frames.

    `recognize` belongs to one thread, since it remembers tracks. `read_picture` remembers nothing
    and may be called from any thread.

    Args:
        stages: of the chain.
        uncertain_below: lowest probability of a label in still pictures; ``None``: the value in the
            classifier's card.
        quality_filter: whether faces that cannot be read well are rejected: only counted.

    Attributes:
        models: the two models in use.
        on_stage: called with the name of each stage of a frame once it is done, for measuring:
            ``find``, ``follow``, then for each face ``cut``, ``read``, ``judge`` and ``steady``.

    Raises:
        ModelError: the classifier was trained with another crop than the one cut here.

    Example:
        Read a still picture with the shipped models::

            recognizer = open_recognizer(VisionOptions(max_faces=1))
            for reading in recognizer.read_picture(cv2.imread("face.jpg")):
                print(reading.emotion, reading.expression.as_dict())
    """

    def __init__(
        self,
        stages: VisionStages,
        *,
        uncertain_below: float | None = None,
        quality_filter: bool = True,
    ) -> None:
        classifier = stages.classifier
        if classifier.crop != CROP_NAME:
            raise ModelError(
                f"model {classifier.card.name!r} was trained with the crop {classifier.crop!r}, "
                f"this program cuts {CROP_NAME!r}. Install a model of this version."
            )
        self.models: tuple[UsedModel, ModelCard] = (stages.detector.card, classifier.card)
        self._detector = stages.detector
        self._follower = stages.follower
        self._classifier = classifier
        self._tracker = stages.tracker
        self._selector = stages.selector
        self._smoother = stages.smoother
        self._quality_filter = quality_filter
        self._holder = StateHolder()
        self.on_stage: Callable[[str], None] | None = None
        if uncertain_below is None:
            uncertain_below = classifier.uncertain_below
        self._uncertain_below = uncertain_below

    @property
    def whole_s(self) -> float:
        """Seconds from one search of the whole frame to the next while `recognize` follows faces.

        May be set.
        """
        return self._follower.whole_s

    @whole_s.setter
    def whole_s(self, seconds: float) -> None:
        self._follower.whole_s = seconds

    @property
    def searches(self) -> int:
        """How many whole frames `recognize` has searched."""
        return self._follower.searches

    def recognize(self, frame: Frame) -> Recognition:
        """Read the faces of the next frame of a camera.

        Args:
            frame: later than the one of the last call.

        Returns:
            One observation for each face that is followed; one that was only just found is not
            among them.
        """
        height, width = frame.image.shape[:2]
        faces = self._follower.find(frame, self._tracker.steady(frame.at))
        self._done("find")
        tracked = self._tracker.update(faces, frame.at)
        primary = self._selector.select(tracked, width, height, frame.at)
        self._done("follow")
        observations = tuple(
            self._observe(frame, track, face, track == primary) for track, face in tracked
        )
        state = self._holder.update(next((o for o in observations if o.primary), None), frame.at)
        return Recognition(frame.at, frame.number, width, height, observations, state)

    def read_picture(self, image: Picture) -> list[FaceReading]:
        """Read the faces of a still picture: nothing is tracked or smoothed.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            The faces, surest first, in pixels of ``image``.
        """
        return [self._read(image, face) for face in self._detector.detect(image)]

    def explain_picture(self, image: Picture) -> list[Explanation]:
        """Read the faces of a still picture, with the evidence for each category.

        Raises:
            ModelError: the classifier was exported without the evidence of regions.
        """
        self._classifier.refuse_unexplained()
        return [self._explain(image, face) for face in self._detector.detect(image)]

    def _observe(self, frame: Frame, track: int, face: Face, primary: bool) -> Observation:
        reading = self._read(frame.image, face)
        reject_reason = reading.reject_reason
        if not self._quality_filter:
            reject_reason = None
        if reject_reason is None:
            smoothed = self._smoother.update(track, reading.expression, frame.at)
        else:
            smoothed = self._smoother.hold(track, reading.expression, frame.at)
        self._done("steady")
        return Observation(
            track,
            face,
            reading.expression,
            smoothed.expression,
            smoothed.emotion,
            primary,
            reading.quality,
            reject_reason,
        )

    def _read(self, image: Picture, face: Face) -> FaceReading:
        to_crop = crop_matrix(face)
        crop = cut(image, to_crop, self._classifier.size)
        self._done("cut")
        expression = self._classifier.classify(crop)
        self._done("read")
        reading = self._reading(face, crop, expression, share_outside(image, to_crop))
        self._done("judge")
        return reading

    def _done(self, stage: str) -> None:
        if self.on_stage is not None:
            self.on_stage(stage)

    def _explain(self, image: Picture, face: Face) -> Explanation:
        to_crop = crop_matrix(face)
        crop = cut(image, to_crop, self._classifier.size)
        expression, parts = self._classifier.explain(crop)
        return Explanation(
            self._reading(face, crop, expression, share_outside(image, to_crop)),
            crop,
            to_crop,
            parts,
        )

    def _reading(
        self, face: Face, crop: Picture, expression: Expression, outside: float
    ) -> FaceReading:
        quality = face_quality(crop, face, outside)
        return FaceReading(
            face,
            expression,
            label_of(expression, self._uncertain_below),
            quality.score,
            quality.reject_reason,
        )


def crop_face(image: Picture, face: Face, size: int) -> Picture:
    """Return the crop of a face that expression models see.

    It is cut by the face's landmarks, or by its box where they cannot be used.

    Args:
        image: uint8, height × width × 3 (BGR) or height × width (gray).
        face: in pixels of ``image``.
        size: side of the crop in pixels.
    """
    return cut(image, crop_matrix(face), size)


def crop_matrix(face: Face) -> Matrix:
    """Return the transform from pixels of the picture to the unit square of a face's crop.

    float64, 2 × 3.
    """
    try:
        return landmark_matrix(face.landmarks)
    except ValueError:  # landmarks that coincide
        return box_matrix(face.box)


def open_recognizer(options: VisionOptions = DEFAULT_OPTIONS) -> Recognizer:
    """Load the models and build the vision chain.

    Raises:
        ModelError: a model is missing, damaged or does not fit.
    """
    # OpenCV's work here takes microseconds: waking other threads would only make it longer
    cv2.setNumThreads(options.threads)
    finder = open_finder(options)
    card = find_model(options.expression_model)
    classifier = ExpressionClassifier(load_model(card, kind="expression", threads=options.threads))
    threshold = options.uncertain_below
    if threshold is None:
        threshold = classifier.uncertain_below
    stages = VisionStages(
        detector=finder,
        follower=FaceFollower(finder, open_near_finder(options)),
        classifier=classifier,
        tracker=Tracker(options.memory_seconds, options.confirm_frames),
        selector=PrimaryFaceSelector(hold_s=options.memory_seconds),
        smoother=Smoother(
            options.smoothing_seconds,
            options.hysteresis,
            threshold,
            dwell_s=options.dwell_seconds,
        ),
    )
    return Recognizer(stages, uncertain_below=threshold, quality_filter=options.quality_filter)
