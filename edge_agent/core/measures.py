"""What an analysis compares between states: vital signs and movements of the face. No I/O.

>>> measure_of("smile").spec.label
'Mouth corners up'
>>> measure_of("heart_rate") is VitalKind.HEART_RATE
True
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

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


Measure = VitalKind | MovementKind


def measure_of(name: str) -> Measure:
    """Return the measure with a name.

    Raises:
        ValueError: there is none.
    """
    return MovementKind(name) if name in _MOVEMENTS else VitalKind(name)


def _spec(
    name: str, colour: str, bound: float, unit: str = "%", shown: str = N_("points")
) -> VitalSpec:
    """Return the properties of a movement.

    Args:
        name: what people call it, inside a sentence.
        colour: that of its lines, a variable of the style sheet.
        bound: the smallest difference of interest. There is no standard: a twentieth of the scale;
            of angles the network's mean error on faces that it was not trained on.
        unit: the UCUM unit.
        shown: the same as people write it.
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
        lag_s=0.0,
        # A row is the mean of the interval before its time, usually one second: the first row of a
        # stimulus shows the second before it.
        settling_s=1.0,
        bound=bound,
        colour=f"--vital-{colour}",
        tile="",
        stream=True,
        panel=N_("Head pose") if unit == "deg" else N_("Movements of the face"),
    )


_SPECS: Mapping[MovementKind, VitalSpec] = {
    MovementKind.BROW_DOWN: _spec(N_("brows down"), "heart-rate", 5.0),
    MovementKind.BROW_INNER_UP: _spec(N_("inner brows up"), "systolic", 5.0),
    MovementKind.BROW_OUTER_UP: _spec(N_("outer brows up"), "diastolic", 5.0),
    MovementKind.EYE_BLINK: _spec(N_("eyes closed"), "violet", 5.0),
    MovementKind.EYE_SQUINT: _spec(N_("eyes narrowed"), "amber", 5.0),
    MovementKind.EYE_WIDE: _spec(N_("eyes wide"), "green", 5.0),
    MovementKind.CHEEK_SQUINT: _spec(N_("cheeks raised"), "slate", 5.0),
    MovementKind.NOSE_SNEER: _spec(N_("nose wrinkled"), "heart-rate", 5.0),
    MovementKind.UPPER_LIP_UP: _spec(N_("upper lip up"), "systolic", 5.0),
    MovementKind.LOWER_LIP_DOWN: _spec(N_("lower lip down"), "diastolic", 5.0),
    MovementKind.SMILE: _spec(N_("mouth corners up"), "violet", 5.0),
    MovementKind.FROWN: _spec(N_("mouth corners down"), "amber", 5.0),
    MovementKind.LIP_STRETCH: _spec(N_("lips stretched"), "green", 5.0),
    MovementKind.LIP_PRESS: _spec(N_("lips pressed"), "slate", 5.0),
    MovementKind.PUCKER: _spec(N_("lips puckered"), "heart-rate", 5.0),
    MovementKind.JAW_OPEN: _spec(N_("jaw open"), "systolic", 5.0),
    MovementKind.YAW: _spec(N_("head turned"), "diastolic", 2.0, "deg", "°"),
    MovementKind.PITCH: _spec(N_("head bent down"), "violet", 2.0, "deg", "°"),
    MovementKind.ROLL: _spec(N_("head tilted"), "amber", 2.0, "deg", "°"),
    MovementKind.LOOK_X: _spec(N_("eyes to the left"), "green", 5.0),
    MovementKind.LOOK_Y: _spec(N_("eyes up"), "slate", 5.0),
}
_MOVEMENTS = frozenset(kind.value for kind in MovementKind)
TESTABLE: tuple[Measure, ...] = (*TESTED, *MovementKind)
"""All measures whose means can be compared between states, in the order of the pages."""
