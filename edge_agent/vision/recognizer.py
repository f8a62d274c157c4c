"""The vision chain: frame → faces → crops → probabilities → tracks → smoothed labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    Attribution,
    Emotion,
    Expression,
    Face,
    Frame,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.movements import FaceMovements
from edge_agent.core.own_neutral import NeutralShift
from edge_agent.core.pictures import is_of_one_colour
from edge_agent.vision.align import (
    ZOOMS,
    CropCutter,
    Matrix,
    Picture,
    check_crop,
    closer,
    crop_matrix,
    share_outside,
)
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.cover import CoverDetector, CoverWatch, open_cover
from edge_agent.vision.faces.attribution import Attributor
from edge_agent.vision.faces.finder import (
    FaceFinder,
    FaceFollower,
    UsedModel,
    finder_for_stills,
    open_finder,
    open_near_finder,
)
from edge_agent.vision.faces.tracking import PrimaryFaceSelector, Tracker
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.movements import (
    READ_S,
    MovementsReader,
    MovementsWatch,
    crop_angle,
    open_movements,
)
from edge_agent.vision.quality import CROP_SIDE, READ_PART, Quality, face_quality
from edge_agent.vision.reading_by_need import Effort, NeedReader, SceneWatch, open_need_reader
from edge_agent.vision.smoother import Smoother, StateHolder, label_of
from edge_agent.vision.speech import SpeechWatch

_WITH_POSE = (None, RejectReason.TURNED_AWAY)
"""Reasons to reject a face, or none, with which the pose of its head is read all the same."""


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
        reader: reads the followed faces by need; ``None``: the classifier reads all.
        cover: detects covered faces; ``None``: covers are not looked for.
        movements: reads movements of the face, pose and look; ``None``: they are not read.
        attributor: says by which evidence the selected face is the participant's; ``None``: by
            leading.
    """

    detector: FaceFinder
    follower: FaceFollower
    classifier: ExpressionClassifier
    tracker: Tracker
    selector: PrimaryFaceSelector
    smoother: Smoother
    reader: NeedReader | None = None
    cover: CoverDetector | None = None
    movements: MovementsReader | None = None
    attributor: Attributor | None = None


Look = Callable[[Picture], float]
"""Returns the probability that the face of a crop is covered, 0…1."""
Classify = Callable[[Picture, bool], Expression]
"""Reads a crop; the flag says whether the face is fit for reading."""


@dataclass(frozen=True, slots=True)
class FaceReading:
    """One face of a still picture.

    Attributes:
        face: where it is.
        expression: its probabilities.
        emotion: its label; ``None`` is *uncertain*.
        quality: 0…1, how fit the face is for reading.
        reject_reason: why it is not fit for reading; ``None`` when it is.
        movements: movements, pose and look, of a head that is turned away pose and look alone;
            ``None``: not read, or the face is not fit for it.
    """

    face: Face
    expression: Expression
    emotion: Emotion | None
    quality: float
    reject_reason: RejectReason | None
    movements: FaceMovements | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One face of a still picture, with the evidence for and against each category.

    Attributes:
        reading: as from `Recognizer.read_picture`.
        crop: uint8, n × n, gray: the input of the classifier.
        to_crop: float64, 2 × 3, from pixels of the picture to the unit square of the crop.
        parts: float32, h × w × 8: what each region of the crop adds to the logit of each category.
    """

    reading: FaceReading
    crop: Picture
    to_crop: Matrix
    parts: npt.NDArray[np.float32]


class Recognizer:
    """Reads every face of a frame, and follows the faces over frames.

    `recognize` belongs to one thread, since it remembers tracks. `read_picture` remembers nothing
    and may be called from any thread.

    Args:
        stages: of the chain.
        uncertain_below: lowest probability of a label in still pictures.
        quality_filter: whether faces that cannot be read well are rejected, that is, only counted.

    Attributes:
        models: the models in use: detector, classifier, and those of covers and movements if there
            are any.
        neutral_shift: shifts the participant's expression before it is smoothed; ``None``: it is
            smoothed as read. Any thread may set it.
        temperature: of the classifier's softmax.
        uncertain_below: lowest probability of a label.
        on_stage: called with the name of each stage of a frame once it is done, for measuring:
            ``find``, ``follow``, then for each face ``cut``, ``read``, ``judge``, ``move`` and
            ``steady``.

    Raises:
        ModelError: the classifier was trained with a crop that is not cut here.

    Example:
        Read a still picture with the shipped models::

            recognizer = open_recognizer(VisionSettings(expression_model="expression-fast"))
            for reading in recognizer.read_picture(cv2.imread("face.jpg")):
                print(reading.emotion, reading.expression.as_dict())
    """

    def __init__(
        self, stages: VisionStages, *, uncertain_below: float, quality_filter: bool
    ) -> None:
        classifier = stages.classifier
        check_crop(classifier.card.name, classifier.crop, ZOOMS)
        self.models: tuple[UsedModel, ...] = (stages.detector.card, classifier.card)
        self._look: Look | None = None
        self._cover_watch: CoverWatch | None = None
        if stages.cover is not None:
            self.models = (*self.models, stages.cover.card)
            self._look = stages.cover.probability
            self._cover_watch = CoverWatch(stages.cover)
        self.neutral_shift: NeutralShift | None = None
        self.temperature = classifier.temperature
        self._movements_watch: MovementsWatch | None = None
        self._speech_watch = SpeechWatch()
        if stages.movements is not None:
            self.models = (*self.models, stages.movements.card)
            self._movements_watch = MovementsWatch(
                stages.movements, stages.smoother.time_constant_s
            )
        self._stages = stages
        self._attributor = stages.attributor or Attributor(selector=stages.selector)
        self._classifier = classifier
        self._reader = stages.reader
        self._quality_filter = quality_filter
        self._holder = StateHolder()
        self._scene = SceneWatch()
        self._watched: Instant | None = None
        self.on_stage: Callable[[str], None] | None = None
        self.uncertain_below = uncertain_below

    @property
    def whole_s(self) -> float:
        """Seconds from one search of the whole frame to the next while `recognize` follows faces.

        May be set.
        """
        return self._stages.follower.whole_s

    @whole_s.setter
    def whole_s(self, seconds: float) -> None:
        self._stages.follower.whole_s = seconds

    @property
    def searches(self) -> int:
        """Number of whole frames that `recognize` has searched."""
        return self._stages.follower.searches

    @property
    def pieces(self) -> int:
        """Number of pieces of frames that it has searched."""
        return self._stages.follower.pieces

    @property
    def effort(self) -> Effort:
        """The effort in reading the faces of a camera; it can be set if they are read by need."""
        return Effort.EVERY_FRAME if self._reader is None else self._reader.effort

    @effort.setter
    def effort(self, effort: Effort) -> None:
        if self._reader is not None:
            self._reader.effort = effort

    @property
    def readings(self) -> tuple[int, int]:
        """Numbers of readings by need: of the configured classifier, and of the quick one."""
        if self._reader is None:
            return 0, 0
        return self._reader.careful_readings, self._reader.quick_readings

    @property
    def movement_readings(self) -> int:
        """Number of readings of movements of followed faces."""
        return self._movements_watch.readings if self._movements_watch is not None else 0

    def declare(self, pressed: Instant | None) -> None:
        """Declare that the face that led at a moment is the participant's; ``None``: none is.

        It holds while the track of that face is unbroken. Callable from any thread.
        """
        self._attributor.pressed = pressed

    def is_due(self, frame: Frame) -> bool:
        """Return whether the next frame of a camera should be recognized.

        If faces are read by need, a frame that is not due may be skipped; otherwise each is due.
        """
        if self._reader is None:
            return True
        self._watch(frame)
        return self._reader.is_due(frame.at)

    def recognize(self, frame: Frame) -> Recognition:
        """Read the faces of the next frame of a camera.

        Args:
            frame: later than the one of the last call.

        Returns:
            One observation for each face that is followed; a face that is not yet confirmed has
            none.
        """
        height, width = frame.image.shape[:2]
        self._watch(frame)
        faces = self._stages.follower.find(frame, self._stages.tracker.steady(frame.at))
        self._done("find")
        tracked = self._stages.tracker.update(faces, frame.at)
        followed, evidence = self._attributor.attribute(tracked, (width, height), frame.at)
        self._done("follow")
        # Read once: another thread may change it meanwhile.
        shift = self.neutral_shift
        observations = tuple(
            # Whoever is followed is shifted: if it is declared later that it was the participant,
            # all labels were made in one way.
            self._observe(frame, track, face, shift, evidence)
            if track == followed
            else self._observe(frame, track, face, None, None)
            for track, face in tracked
        )
        self._attributor.see(observations, frame.at)
        if self._reader is not None:
            tracks = [track for track, _ in tracked]
            self._reader.plan(tracks, frame.at, is_new=self._stages.tracker.is_confirming)
        state = self._holder.update(next((o for o in observations if o.primary), None), frame.at)
        is_blank = not observations and is_of_one_colour(frame.image)
        return Recognition(frame.at, frame.number, width, height, observations, state, is_blank)

    def read_picture(self, image: Picture) -> list[FaceReading]:
        """Read the faces of a still picture: nothing is tracked or smoothed.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            The faces, surest first, in pixels of ``image``.
        """
        return [
            self._moved(
                *self._read(
                    image, face, lambda crop, _: self._classifier.classify(crop), self._look
                )
            )
            for face in self._stages.detector.detect(image)
        ]

    def explain_picture(self, image: Picture) -> list[Explanation]:
        """Read the faces of a still picture, with the evidence for each category.

        Raises:
            ModelError: the classifier was exported without the evidence of regions.
        """
        self._classifier.refuse_unexplained()
        return [self._explain(image, face) for face in self._stages.detector.detect(image)]

    def _watch(self, frame: Frame) -> None:
        """Forget all faces when the scene changes; check each frame once."""
        # `is_due` and `recognize` both come here with the same frame; one comparison is enough.
        if frame.at == self._watched:
            return
        self._watched = frame.at
        if not self._scene.has_changed(frame):
            return
        # Overlap would carry the number of one person's track over to whoever sits there after the
        # cut.
        self._stages.tracker.forget()
        self._attributor.forget()
        if self._reader is not None:
            self._reader.forget()

    def _observe(
        self,
        frame: Frame,
        track: int,
        face: Face,
        shift: NeutralShift | None,
        evidence: Attribution | None,
    ) -> Observation:
        look = None
        # Without the quality filter nothing is rejected, so the network for covers would run for
        # nothing.
        if self._cover_watch is not None and self._quality_filter:
            look = partial(self._cover_watch.probability, track, frame.at)
        classify = partial(self._classify, track, face, frame.at, shift)
        reading, crop, to_crop = self._read(frame.image, face, classify, look)
        reject_reason = reading.reject_reason
        if not self._quality_filter:
            reject_reason = None
        movements, smoothed_movements = None, None
        speaks = False
        if self._movements_watch is not None and reject_reason in _WITH_POSE:
            # By need, a face near the border of a label is read in each frame; its movements need
            # not be.
            pause_s = 0.0 if self.effort is Effort.EVERY_FRAME else READ_S
            movements, smoothed_movements = self._movements_watch.read(
                track,
                frame.at,
                crop,
                angle=crop_angle(to_crop),
                pause_s=pause_s,
                only_pose=reject_reason is not None,
            )
            if reject_reason is None:
                speaks = self._speech_watch.speaks(track, frame.at, movements)
        self._done("move")
        shown = reading.expression if shift is None else shift.applied(reading.expression)
        smoother = self._stages.smoother
        # A rejected frame must not move the smoothed label: its probabilities are noise.
        if reject_reason is None:
            smoothed = smoother.update(track, shown, frame.at, speaks=speaks)
        else:
            smoothed = smoother.hold(track, shown, frame.at)
        self._done("steady")
        return Observation(
            track,
            face,
            reading.expression,
            smoothed.expression,
            smoothed.emotion,
            evidence not in (None, Attribution.UNKNOWN),
            reading.quality,
            reject_reason,
            movements,
            smoothed_movements,
            evidence,
            track in self._attributor.pictures,
        )

    def _classify(
        self,
        track: int,
        face: Face,
        at: Instant,
        shift: NeutralShift | None,
        crop: Picture,
        is_fit: bool,
    ) -> Expression:
        if self._reader is None:
            return self._classifier.classify(crop)
        # Without the filter all frames count, so all are read well enough.
        is_fit = is_fit or not self._quality_filter
        speaks = self._speech_watch.spoke(track, at)
        return self._reader.read(track, face, crop, at, is_fit=is_fit, shift=shift, speaks=speaks)

    def _read(
        self, image: Picture, face: Face, classify: Classify, look: Look | None
    ) -> tuple[FaceReading, Picture, Matrix]:
        """Return the reading of a face, its crop for all but the expression, and the way to it.

        The way is the transform from the picture to that crop.
        """
        to_crop = crop_matrix(face)
        crop, seen, _ = self._crops(image, to_crop)
        quality = face_quality(crop, face, share_outside(image, to_crop, READ_PART))
        self._done("cut")
        expression = classify(seen, quality.reject_reason is None)
        self._done("read")
        reading = self._reading(face, expression, quality, crop, look)
        self._done("judge")
        return reading, crop, to_crop

    def _moved(self, reading: FaceReading, crop: Picture, to_crop: Matrix) -> FaceReading:
        """Return the reading of a still picture's face with its movements, if it is fit.

        Of a head that is turned away with its pose and look alone.
        """
        reason = reading.reject_reason
        if self._stages.movements is None or reason not in _WITH_POSE:
            return reading
        movements = self._stages.movements.read(crop, angle=crop_angle(to_crop))
        return replace(reading, movements=replace(movements, only_pose=reason is not None))

    def _done(self, stage: str) -> None:
        if self.on_stage is not None:
            self.on_stage(stage)

    def _explain(self, image: Picture, face: Face) -> Explanation:
        to_crop = crop_matrix(face)
        crop, seen, to_seen = self._crops(image, to_crop)
        expression, parts = self._classifier.explain(seen)
        quality = face_quality(crop, face, share_outside(image, to_crop, READ_PART))
        reading = self._reading(face, expression, quality, crop, self._look)
        return Explanation(self._moved(reading, crop, to_crop), seen, to_seen, parts)

    def _crops(self, image: Picture, to_crop: Matrix) -> tuple[Picture, Picture, Matrix]:
        """Return the looser crop, the one that the classifier learned from, and the way to it."""
        cutter = CropCutter(image, to_crop)
        crop = cutter.cut(to_crop, CROP_SIDE)
        name, size = self._classifier.crop, self._classifier.size
        # Covers, movements and the limits of quality belong to the looser crop, so a face is cut
        # twice; a model with the crop of before needs no second one.
        if ZOOMS[name] == 1 and size == CROP_SIDE:
            return crop, crop, to_crop
        to_seen = closer(to_crop, name)
        return crop, cutter.cut(to_seen, size), to_seen

    def _reading(
        self, face: Face, expression: Expression, quality: Quality, crop: Picture, look: Look | None
    ) -> FaceReading:
        """Return the reading of a face; check for covers only if nothing else rejects it."""
        score = quality.score
        reason = quality.reject_reason
        if reason is None and look is not None and self._stages.cover is not None:
            covered = look(crop)
            # half of the scale is the limit, as for all that the score is made of
            score = min(score, max(1 - covered / (2 * self._stages.cover.covered_from), 0.0))
            if covered >= self._stages.cover.covered_from:
                reason = RejectReason.COVERED
        emotion = label_of(expression, self.uncertain_below)
        return FaceReading(face, expression, emotion, score, reason)


def open_recognizer(
    options: VisionSettings = VisionSettings(),
    *,
    by_need: bool = False,
    covers: bool = True,
    judges_pictures: bool = False,
) -> Recognizer:
    """Load the models and build the vision chain.

    Args:
        options: the table ``[vision]``.
        by_need: whether the faces of a camera are read as often and as carefully as they need
            (``edge_agent.vision.reading_by_need``), instead of all in each frame; not for still
            pictures.
        covers: whether covered faces are detected.
        judges_pictures: whether a face before the camera that shows no life is a picture, and
            counts as nobody's; in a recorded video a still is a face as well.

    Raises:
        ModelError: a model is missing, damaged or does not fit.
    """
    # OpenCV's work here takes microseconds: waking other threads would only make it longer
    cv2.setNumThreads(options.threads)
    finder = open_finder(options)
    # Every stage loads its model here, at the start: a missing file ends the program before it
    # records.
    card = find_model(options.expression_model)
    model = load_model(card, kind="expression", threads=options.threads)
    classifier = ExpressionClassifier(model, options.prior)
    threshold = classifier.uncertain_below
    if options.uncertain_below is not None:
        threshold = options.uncertain_below
    selector = PrimaryFaceSelector(hold_s=options.memory_seconds)
    stages = VisionStages(
        detector=finder_for_stills(finder, options),
        follower=FaceFollower(finder, open_near_finder(options), options.max_faces),
        classifier=classifier,
        tracker=Tracker(options.memory_seconds, options.confirm_frames),
        selector=selector,
        smoother=Smoother(
            options.smoothing_seconds, options.hysteresis, threshold, dwell_s=options.dwell_seconds
        ),
        reader=open_need_reader(classifier, options) if by_need else None,
        cover=open_cover(options.threads) if covers else None,
        movements=open_movements(options.threads) if options.movements else None,
        attributor=Attributor(
            options.whose, options.seat, selector, judges_pictures=judges_pictures
        ),
    )
    return Recognizer(stages, uncertain_below=threshold, quality_filter=options.gate)
