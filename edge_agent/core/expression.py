"""Emotions, faces, expressions and what is recorded of them, as frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from edge_agent.core.clock import Instant
from edge_agent.core.movements import FaceMovements
from edge_agent.core.texts import N_, Worded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]

UNCERTAIN = "uncertain"
NO_FACE = "no_face"
NO_TRACK = 0
"""The track of rows of faces that nobody followed, as of another program's table; ours begin with
1."""


class Emotion(StrEnum):
    """The eight categories of FER+, in the order used everywhere (Barsoum et al. 2016)."""

    NEUTRAL = "neutral"
    HAPPINESS = "happiness"
    SURPRISE = "surprise"
    SADNESS = "sadness"
    ANGER = "anger"
    DISGUST = "disgust"
    FEAR = "fear"
    CONTEMPT = "contempt"


EMOTIONS: tuple[Emotion, ...] = tuple(Emotion)
POSITIVE = frozenset({Emotion.HAPPINESS})
NEGATIVE = frozenset(
    {Emotion.SADNESS, Emotion.ANGER, Emotion.DISGUST, Emotion.FEAR, Emotion.CONTEMPT}
)


Prior = Literal["data", "balanced", "fitted"]
"""How common the categories are taken to be: as in what the model learned from, all alike, or as
fitted on photographs."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a camera.

    Attributes:
        image: uint8, height × width × 3, BGR.
        at: when it was taken.
        number: counts the frames of this camera from 0; gaps are frames that were dropped.
    """

    image: Image
    at: Instant
    number: int


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the picture as given; x and y are its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box, x and y in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlap(self, other: Box) -> float:
        """Return intersection over union with ``other``, 0…1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: where, in pixels.
        score: how sure the detector is, 0…1.
        landmarks: five points (x, y) in pixels: right eye, left eye, nose, right and left corner of
            the mouth of the person, which is left to right in a picture that is not mirrored.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """Probabilities of one face at one instant.

    Attributes:
        probabilities: eight values in the order of ``EMOTIONS``, summing to 1.
    """

    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.probabilities) != len(EMOTIONS):
            raise ValueError(
                f"an expression has {len(EMOTIONS)} probabilities, not {len(self.probabilities)}"
            )

    @property
    def dominant(self) -> Emotion:
        """The category with the largest probability."""
        return EMOTIONS[max(range(len(EMOTIONS)), key=self.probabilities.__getitem__)]

    @property
    def confidence(self) -> float:
        """The largest probability."""
        return max(self.probabilities)

    @property
    def valence(self) -> float:
        """Derived valence in −1…1: probability of happiness minus that of the negative categories.

        Surprise and neutral count as 0. It is derived from the probabilities, not measured; label
        it so wherever shown.
        """
        by_emotion = dict(zip(EMOTIONS, self.probabilities, strict=True))
        return sum(by_emotion[e] for e in POSITIVE) - sum(by_emotion[e] for e in NEGATIVE)

    def as_dict(self) -> dict[str, float]:
        """Return category name → probability, in order."""
        return {e.value: p for e, p in zip(EMOTIONS, self.probabilities, strict=True)}


FACE_STATES: tuple[str, ...] = (*(e.value for e in EMOTIONS), UNCERTAIN, NO_FACE)
"""States of the participant's face at an instant: a category, uncertain, or no face."""


class RejectReason(Worded):
    """Why the quality filter rejected a face in a frame.

    A rejected frame is counted with its reason and goes into no mean.
    """

    CUT_OFF = "cut_off", N_("The face is cut off by the edge of the picture")
    TOO_SMALL = "too_small", N_("The face is too small: come closer to the camera")
    TURNED_AWAY = "turned_away", N_("The face is turned away from the camera")
    TOO_DARK = "too_dark", N_("The face is too dark: add light from the front")
    TOO_BRIGHT = "too_bright", N_("The face is too bright: take light away")
    BLURRED = "blurred", N_("The face is blurred: hold still, or clean the lens")
    COVERED = (
        "covered",
        N_("Mouth or eyes are covered: take off mask or dark glasses, and keep hands away"),
    )


class Attribution(StrEnum):
    """The evidence by which a row of a face counts as the participant's, never who somebody is.

    ``declared``: somebody pressed a button while this face led, and its track is unbroken since.
    ``seat``: it is in the zone in which the participant sits. ``alone``: it is the only living face
    in view, and there was no other in the last 10 s. ``leading``: it is the largest and most
    central one. ``unknown``: it was followed, but the evidence that is asked for was lacking; such
    a row counts as nobody's.
    """

    DECLARED = "declared"
    SEAT = "seat"
    ALONE = "alone"
    LEADING = "leading"
    UNKNOWN = "unknown"


Whose = Literal["leading", "seat", "alone", "declared"]
"""The evidence that is asked for (``vision.whose``)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One tracked face in one frame.

    Attributes:
        track: number of the track, unique within a run of the agent; identifies a face over frames,
            never a person.
        face: where it is.
        raw: the classifier's probabilities for this frame.
        smoothed: the probabilities smoothed over time.
        emotion: the smoothed label with hysteresis; ``None`` means *uncertain*.
        primary: whether this face counts as the participant's.
        quality: 0…1, how well the crop can be read (wholeness, size, sharpness, light, pose, and
            that nothing covers mouth or eyes).
        reject_reason: why the quality filter rejected the face in this frame; ``None``: accepted.
            In a rejected frame ``smoothed`` and ``emotion`` keep their values from the last
            accepted frame, and ``raw`` goes into no mean.
        movements: movements, pose and look, as read last; ``None``: not read, or rejected.
        smoothed_movements: the same, smoothed over time.
        attribution: by which evidence it counts as the participant's; ``unknown``: it is followed
            without the evidence, and not primary; ``None``: it is another face.
        is_picture: whether the face has shown no life for so long that it is a poster or portrait.
    """

    track: int
    face: Face
    raw: Expression
    smoothed: Expression
    emotion: Emotion | None
    primary: bool
    quality: float
    reject_reason: RejectReason | None = None
    movements: FaceMovements | None = None
    smoothed_movements: FaceMovements | None = None
    attribution: Attribution | None = None
    is_picture: bool = False

    @property
    def turned_away(self) -> bool | None:
        """Return whether the head is turned away from the camera; ``None``: not known."""
        if self.reject_reason is RejectReason.TURNED_AWAY:
            return True  # farther than movements are read
        moved = self.smoothed_movements
        return None if moved is None else moved.turned_away


@dataclass(frozen=True, slots=True)
class Recognition:
    """The result of reading one frame; without observations no face was seen.

    Attributes:
        at: when the frame was taken.
        frame_number: as in ``Frame``.
        frame_width: pixels.
        frame_height: pixels.
        observations: the faces that are followed and seen in this frame.
        held: the participant's state (one of ``FACE_STATES``), kept for frames in which the face
            was missed; ``None``: no state is kept, only this frame counts.
        is_blank: whether the frame shows nothing but one colour, as behind a covered lens or in the
            dark.
    """

    at: Instant
    frame_number: int
    frame_width: int
    frame_height: int
    observations: tuple[Observation, ...]
    held: str | None = None
    is_blank: bool = False

    @property
    def primary(self) -> Observation | None:
        """The participant's face, or ``None``."""
        return next((o for o in self.observations if o.primary), None)

    @property
    def state(self) -> str:
        """State of the participant's face: one of ``FACE_STATES``."""
        return self.held or face_state(self.primary)


def face_state(participant: Observation | None) -> str:
    """Return the state (one of ``FACE_STATES``) of an observation of the participant's face."""
    if participant is None:
        return NO_FACE
    if participant.emotion:
        return participant.emotion.value
    return UNCERTAIN


@dataclass(frozen=True, slots=True)
class ExpressionRow:
    """One track over one recording interval, as it is recorded.

    Attributes:
        at: end of the interval.
        track: as in ``Observation``.
        frames: accepted frames, over which the means are taken, at least 1.
        mean: mean raw probabilities.
        smoothed: smoothed probabilities at the end of the interval.
        emotion: smoothed label at the end; ``None`` is *uncertain*.
        face_size: mean height of the face in pixels.
        quality: mean quality, 0…1.
        primary: whether it was the participant's face in most of these frames.
        attribution: as in ``Observation``, of most of these frames.
    """

    at: Instant
    track: int
    frames: int
    mean: Expression
    smoothed: Expression
    emotion: Emotion | None
    face_size: float
    quality: float
    primary: bool
    attribution: Attribution | None = None


@dataclass(frozen=True, slots=True)
class RejectedFrames:
    """The frames of one track and interval that were rejected for one reason, as recorded.

    Attributes:
        at: end of the interval.
        track: as in ``Observation``.
        reject_reason: why they were rejected.
        frames: number of rejected frames, at least 1.
        primary: whether it was the participant's face in most of them.
        attribution: as in ``Observation``, of most of them.
    """

    at: Instant
    track: int
    reject_reason: RejectReason
    frames: int
    primary: bool
    attribution: Attribution | None = None
