"""Registry of the measures that an analysis compares between states. No I/O.

These are vital signs, expressions and movements of the face, and what participants rated
themselves. Each has a ``spec`` (name, unit, decimals, lag, settling time, bound), and ``table_of``
says where its values stand.

>>> measure_of("smile").spec.label
'Mouth corners up'
>>> measure_of("heart_rate") is VitalKind.HEART_RATE
True
>>> table_of(measure_of("sam_valence"))
<MeasureTable.SELF_REPORT: 'self_report'>
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial

from edge_agent.core.expression import Emotion
from edge_agent.core.movements import WITHDRAWN
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED, VitalKind, VitalSpec


class MovementKind(StrEnum):
    """A movement of the face, an angle of the head or a direction of the eyes.

    The names and their meaning are those of ``edge_agent.core.movements.NAMES``.
    """

    BROW_DOWN = "brow_down"
    BROW_INNER_UP = "brow_inner_up"
    BROW_OUTER_UP = "brow_outer_up"
    EYE_BLINK = "eye_blink"
    EYE_SQUINT = "eye_squint"
    EYE_WIDE = "eye_wide"
    CHEEK_SQUINT = "cheek_squint"
    NOSE_SNEER = "nose_sneer"
    UPPER_LIP_UP = "upper_lip_up"
    LOWER_LIP_DOWN = "lower_lip_down"
    SMILE = "smile"
    FROWN = "frown"
    LIP_STRETCH = "lip_stretch"
    LIP_PRESS = "lip_press"
    PUCKER = "pucker"
    JAW_OPEN = "jaw_open"
    YAW = "yaw"
    PITCH = "pitch"
    ROLL = "roll"
    LOOK_X = "look_x"
    LOOK_Y = "look_y"

    @property
    def spec(self) -> VitalSpec:
        """The properties of this movement."""
        return _SPECS[self]

    @property
    def unit(self) -> str:
        """The UCUM unit of its values."""
        return _SPECS[self].unit

    @property
    def points(self) -> int:
        """By what a value of ``edge_agent.core.movements`` is multiplied, for an analysis: degrees
        stay, strengths and looks become points, 0 … 100, because tables show one decimal.
        """
        return 1 if self.unit == "deg" else 100


def offered_movements(chosen: Collection[Measure] = ()) -> tuple[MovementKind, ...]:
    """Return the movements that a page offers: those that are withdrawn only if they are chosen.

    They can be chosen by their names alone, for tables of other programs may have them.
    """
    return tuple(kind for kind in MovementKind if kind not in WITHDRAWN or kind in chosen)


class ExpressionKind(StrEnum):
    """A measure of the expressions of the participant's face, from the plain columns.

    The eight probabilities and the valence that is derived of them are means over the frames of a
    row. ``labelled_…`` is the share of the time with a face, uncertain rows counted, in which the
    label was this emotion. An own neutral shifts none of them.
    """

    NEUTRAL = "neutral"
    HAPPINESS = "happiness"
    SURPRISE = "surprise"
    SADNESS = "sadness"
    ANGER = "anger"
    DISGUST = "disgust"
    FEAR = "fear"
    CONTEMPT = "contempt"
    VALENCE = "valence"
    LABELLED_NEUTRAL = "labelled_neutral"
    LABELLED_HAPPINESS = "labelled_happiness"
    LABELLED_SURPRISE = "labelled_surprise"
    LABELLED_SADNESS = "labelled_sadness"
    LABELLED_ANGER = "labelled_anger"
    LABELLED_DISGUST = "labelled_disgust"
    LABELLED_FEAR = "labelled_fear"
    LABELLED_CONTEMPT = "labelled_contempt"

    @property
    def spec(self) -> VitalSpec:
        """The properties of this measure."""
        return _SPECS[self]

    @property
    def unit(self) -> str:
        """The UCUM unit of its values."""
        return _SPECS[self].unit

    @property
    def label(self) -> Emotion | None:
        """The emotion whose share of time it is; ``None``: it is no share."""
        before, _, name = self.value.partition("_")
        return Emotion(name) if before and name else None


class RatingKind(StrEnum):
    """Ratings of participants on nine figures, after the self-assessment manikin (SAM), 1 … 9."""

    SAM_VALENCE = "sam_valence"
    SAM_AROUSAL = "sam_arousal"

    @property
    def spec(self) -> VitalSpec:
        """The properties of this rating."""
        return _SPECS[self]

    @property
    def unit(self) -> str:
        """The UCUM unit of its values."""
        return _SPECS[self].unit

    @property
    def scale(self) -> str:
        """The scale of the table ``self_report`` that its values stand under."""
        return self.value.removeprefix("sam_")


class MeasureTable(StrEnum):
    """The table of the timeline that a measure is read from."""

    VITAL = "vital"
    EXPRESSION = "expression"
    MOVEMENT = "movement"
    SELF_REPORT = "self_report"


FaceKind = ExpressionKind | MovementKind
Measure = VitalKind | MovementKind | ExpressionKind | RatingKind


def measure_of(name: str) -> Measure:
    """Return the measure with a name.

    Raises:
        ValueError: there is none.
    """
    kind = _NAMED.get(name)
    return VitalKind(name) if kind is None else kind


def table_of(kind: Measure) -> MeasureTable:
    """Return the table that the values of a measure stand in."""
    return _TABLES[type(kind)]


def is_of_face(kind: Measure) -> bool:
    """Tell whether a measure is read from the pictures of the participant's face."""
    return isinstance(kind, FaceKind)


def probability_of(emotion: Emotion) -> ExpressionKind:
    """Return the measure that is the probability of an emotion."""
    return ExpressionKind(emotion.value)


def _spec(
    name: str,
    colour: str,
    bound: float,
    unit: str = "%",
    shown: str = N_("points"),
    panel: str = N_("Movements of the face"),
    # A row is the mean of the interval before its time, usually one second: the first row of a
    # stimulus shows the second before it.
    settling_s: float = 1.0,
) -> VitalSpec:
    """Return the properties of a movement or an expression.

    Args:
        name: what people call it, inside a sentence.
        colour: that of its lines, a variable of the style sheet.
        bound: the smallest difference of interest. There is no standard: a twentieth of the scale;
            of angles the network's mean error on faces that it was not trained on.
        unit: the UCUM unit.
        shown: the same as people write it.
        panel: what it is drawn with.
        settling_s: as in ``VitalSpec``.
    """
    limit = 90.0 if unit == "deg" else 100.0
    return VitalSpec(
        label=name[0].upper() + name[1:],
        definition=name,
        unit=unit,
        unit_shown=shown,
        decimals=1,
        plausible=(-limit, limit),
        units={},
        headers="",
        lag_s=0.0,  # a face shows an expression when it is there; a heart follows it
        settling_s=settling_s,
        bound=bound,
        colour=f"--{colour}",
        tile="",
        stream=True,
        panel=N_("Head pose") if unit == "deg" else panel,
    )


_MOVED: Mapping[Measure, VitalSpec] = {
    MovementKind.BROW_DOWN: _spec(N_("brows down"), "vital-heart-rate", 5.0),
    MovementKind.BROW_INNER_UP: _spec(N_("inner brows up"), "vital-systolic", 5.0),
    MovementKind.BROW_OUTER_UP: _spec(N_("outer brows up"), "vital-diastolic", 5.0),
    MovementKind.EYE_BLINK: _spec(N_("eyes closed"), "vital-violet", 5.0),
    MovementKind.EYE_SQUINT: _spec(N_("eyes narrowed"), "vital-amber", 5.0),
    MovementKind.EYE_WIDE: _spec(N_("eyes wide"), "vital-green", 5.0),
    MovementKind.CHEEK_SQUINT: _spec(N_("cheeks raised"), "vital-slate", 5.0),
    MovementKind.NOSE_SNEER: _spec(N_("nose wrinkled"), "vital-heart-rate", 5.0),
    MovementKind.UPPER_LIP_UP: _spec(N_("upper lip up"), "vital-systolic", 5.0),
    MovementKind.LOWER_LIP_DOWN: _spec(N_("lower lip down"), "vital-diastolic", 5.0),
    MovementKind.SMILE: _spec(N_("mouth corners up"), "vital-violet", 5.0),
    MovementKind.FROWN: _spec(N_("mouth corners down"), "vital-amber", 5.0),
    MovementKind.LIP_STRETCH: _spec(N_("lips stretched"), "vital-green", 5.0),
    MovementKind.LIP_PRESS: _spec(N_("lips pressed"), "vital-slate", 5.0),
    MovementKind.PUCKER: _spec(N_("lips puckered"), "vital-heart-rate", 5.0),
    MovementKind.JAW_OPEN: _spec(N_("jaw open"), "vital-systolic", 5.0),
    MovementKind.YAW: _spec(N_("head turned"), "vital-diastolic", 2.0, "deg", "°"),
    MovementKind.PITCH: _spec(N_("head bent down"), "vital-violet", 2.0, "deg", "°"),
    MovementKind.ROLL: _spec(N_("head tilted"), "vital-amber", 2.0, "deg", "°"),
    MovementKind.LOOK_X: _spec(N_("eyes to the left"), "vital-green", 5.0),
    MovementKind.LOOK_Y: _spec(N_("eyes up"), "vital-slate", 5.0),
}
_expression = partial(_spec, bound=5.0, panel=N_("Expressions of the face"))
# A label is smoothed (``vision.smoothing_seconds``, 0.6), and stays for ``vision.dwell_seconds``
# (0.5) at least: within a second more it is that of the stimulus.
_labelled = partial(_expression, settling_s=2.0)
_SHOWN: Mapping[Measure, VitalSpec] = {
    ExpressionKind.NEUTRAL: _expression(N_("probability of neutral"), "emotion-neutral"),
    ExpressionKind.HAPPINESS: _expression(N_("probability of happiness"), "emotion-happiness"),
    ExpressionKind.SURPRISE: _expression(N_("probability of surprise"), "emotion-surprise"),
    ExpressionKind.SADNESS: _expression(N_("probability of sadness"), "emotion-sadness"),
    ExpressionKind.ANGER: _expression(N_("probability of anger"), "emotion-anger"),
    ExpressionKind.DISGUST: _expression(N_("probability of disgust"), "emotion-disgust"),
    ExpressionKind.FEAR: _expression(N_("probability of fear"), "emotion-fear"),
    ExpressionKind.CONTEMPT: _expression(N_("probability of contempt"), "emotion-contempt"),
    ExpressionKind.VALENCE: _expression(N_("valence of the face"), "vital-slate"),
    ExpressionKind.LABELLED_NEUTRAL: _labelled(N_("time labelled neutral"), "emotion-neutral"),
    ExpressionKind.LABELLED_HAPPINESS: _labelled(
        N_("time labelled happiness"), "emotion-happiness"
    ),
    ExpressionKind.LABELLED_SURPRISE: _labelled(N_("time labelled surprise"), "emotion-surprise"),
    ExpressionKind.LABELLED_SADNESS: _labelled(N_("time labelled sadness"), "emotion-sadness"),
    ExpressionKind.LABELLED_ANGER: _labelled(N_("time labelled anger"), "emotion-anger"),
    ExpressionKind.LABELLED_DISGUST: _labelled(N_("time labelled disgust"), "emotion-disgust"),
    ExpressionKind.LABELLED_FEAR: _labelled(N_("time labelled fear"), "emotion-fear"),
    ExpressionKind.LABELLED_CONTEMPT: _labelled(N_("time labelled contempt"), "emotion-contempt"),
}


def _rating(name: str, colour: str) -> VitalSpec:
    """Return the properties of an own rating.

    It is said of a whole stimulus, during it or after it, so nothing of it settles or lags. Half a
    step of the nine is about a twentieth of the scale.
    """
    spec = _spec(name, colour, 0.5, "{score}", N_("steps of 9"), N_("Own ratings"), settling_s=0.0)
    return replace(spec, plausible=(1.0, 9.0), stream=False)


_RATED: Mapping[Measure, VitalSpec] = {
    RatingKind.SAM_VALENCE: _rating(N_("self-rated valence"), "vital-green"),
    RatingKind.SAM_AROUSAL: _rating(N_("self-rated arousal"), "vital-amber"),
}
_SPECS: Mapping[Measure, VitalSpec] = {**_MOVED, **_SHOWN, **_RATED}
_NAMED: Mapping[str, Measure] = {kind.value: kind for kind in _SPECS}
_TABLES: Mapping[type, MeasureTable] = {
    VitalKind: MeasureTable.VITAL,
    ExpressionKind: MeasureTable.EXPRESSION,
    MovementKind: MeasureTable.MOVEMENT,
    RatingKind: MeasureTable.SELF_REPORT,
}
MEASURES: tuple[Measure, ...] = (*VitalKind, *ExpressionKind, *MovementKind, *RatingKind)
"""All measures, in the order of the pages."""
TESTABLE: tuple[Measure, ...] = (*TESTED, *ExpressionKind, *MovementKind, *RatingKind)
"""All measures whose means can be compared between states, in the order of the pages."""
