"""Conclusions: the one comparison of a p with the level of the tests, and the base of all models of
results. Loads without SciPy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeVar

from pydantic import Field, computed_field, model_validator

from dashboard.analysis.query import Model
from dashboard.statistics import ALPHA

MUCH_MG = 27.0
"""Difference of motion from which a result has the caution whatever p is: what lies between rest
and light activity, of so few people that none is sure.
"""
R = TypeVar("R")
U = TypeVar("U", bound="UnlikeModel")
Beside = Callable[[Sequence[R]], Sequence[U | None]]
"""Returns of each test of a family what is remarked on its readings."""


class Conclusion(StrEnum):
    """The conclusion of a comparison at the level 0.05 of the whole family."""

    HIGHER = "higher"
    LOWER = "lower"
    SHOWN = "shown"
    NOT_SHOWN = "not_shown"
    NO_TEST = "no_test"


class Caution(StrEnum):
    """A caution that stands in the sentence of a result."""

    ASSOCIATION = "association"
    ORDER = "order"
    TIME = "time"
    DISAGREES = "disagrees"
    MISREAD = "misread"
    CARRY_OVER = "carry_over"
    UNEQUAL_LOSS = "unequal_loss"
    DOUBTED = "doubted"
    UNEQUAL_ERRORS = "unequal_errors"
    MOTION = "motion"


class Doubt(StrEnum):
    """Why no difference is called excluded, whatever p says."""

    TOO_SHORT = "too_short"
    UNKNOWN_MISREADING = "unknown_misreading"
    MISREADING = "misreading"
    ONE_ORDER = "one_order"
    INSEPARABLE = "inseparable"
    NO_ESTIMATE = "no_estimate"
    REACHES_BOUND = "reaches_bound"
    RESULT_REACHES_BOUND = "result_reaches_bound"


def shows(p: float | None) -> bool:
    """Tell whether a p is below the level; no other code compares one with it.

    Args:
        p: of a test, adjusted where it is one of a family; ``None`` without a test.
    """
    return p is not None and p < ALPHA


def conclude(difference: float | None, adjusted_p: float | None) -> Conclusion:
    """Return what a difference and the p that decides come to; without both there is no test."""
    if adjusted_p is None or difference is None:
        return Conclusion.NO_TEST
    if not shows(adjusted_p):
        return Conclusion.NOT_SHOWN
    return Conclusion.HIGHER if difference > 0 else Conclusion.LOWER


def conclude_without_direction(p: float | None) -> Conclusion:
    """Return what the p of a test comes to that has no direction, as that of two curves."""
    if p is None:
        return Conclusion.NO_TEST
    return Conclusion.SHOWN if shows(p) else Conclusion.NOT_SHOWN


class UnlikeModel(Model):
    """A remark on the readings of two sides, which is a caution where it is not alike on both."""

    caution: ClassVar[Caution]
    first: float = Field(description="On the first side")
    second: float = Field(description="On the second side")
    people: int = Field(description="People that these are of")
    p: float = Field(description="Of their difference, adjusted")
    is_unequal: bool = Field(description="Whether it is a caution of the result")
    state: str = Field(
        "", description="Between groups: the state that it is of, the least alike; else empty"
    )

    @property
    def may_make_it(self) -> bool:
        """True where it is a caution of a result that tells a difference, alike or not."""
        return False

    def applies(self, *, tells: bool) -> bool:
        """Tell whether it is a caution of a result, which may tell a difference or none."""
        return self.is_unequal or (tells and self.may_make_it)


def cautions_of(
    remarks: Iterable[UnlikeModel | None], *, tells: bool, codes: Iterable[Caution] = ()
) -> tuple[Caution, ...]:
    """Return the cautions of a result with those of some remarks.

    Args:
        remarks: on its readings; ``None`` where one is not known.
        tells: whether the result tells a difference.
        codes: cautions that it has already.
    """
    more = (one.caution for one in remarks if one is not None and one.applies(tells=tells))
    return (*codes, *more)


class LostModel(UnlikeModel):
    """Share of the readings of two sides that is in no mean: in doubt, or never there."""

    caution = Caution.UNEQUAL_LOSS
    first: float = Field(description="Mean of the people's shares on the first side, 0…1")
    second: float = Field(description="On the second side")
    people: int = Field(description="People that these are of")
    p: float = Field(
        description="Of their difference, within people where three have both sides; adjusted by "
        "Holm’s method for the pairs of states of the measure"
    )
    is_unequal: bool = Field(
        description="Whether it is a caution of the result: a fifth or more is lost on a side; or "
        "a tenth or more, and they differ by 0.02 or more; or they differ by 0.01 or more and p is "
        "below 0.05. Of fewer than ten readings in a state, those that never came count by p alone"
    )


class DoubtedModel(UnlikeModel):
    """Share of the readings that count which their device itself doubts, on two sides: it was
    measured while the body moved, say, or the pulse was irregular.
    """

    caution = Caution.DOUBTED
    first: float = Field(description="Mean of the people's shares on the first side, 0…1")
    p: float = Field(
        description="Of their difference, within people where three have both sides; adjusted by "
        "Holm’s method for the pairs of states of the measure"
    )
    is_unequal: bool = Field(
        description="Whether it is a caution of the result: a fifth or more is doubted on a side, "
        "or they differ by 0.01 or more and p is below 0.05"
    )


class StatedErrorsModel(UnlikeModel):
    """The errors that the intervals between beats of two states state."""

    caution = Caution.UNEQUAL_ERRORS
    first: float = Field(
        description="Mean of the people’s in the first state, ms: standard deviation of normal "
        "errors with the stated mean without sign"
    )
    second: float = Field(description="In the second")
    people: int = Field(description="People that these are of, who have both states")
    p: float = Field(
        description="Of their difference, adjusted by Holm’s method for the pairs of states"
    )
    adds: float = Field(
        description="By which share of the square of RMSSD the errors of one state may add more "
        "than those of the other"
    )
    is_unequal: bool = Field(
        description="Whether it is a caution of the result: adds is 0.04 or more, so that RMSSD "
        "may differ by 2 %, and p is below 0.05"
    )


class MotionModel(UnlikeModel):
    """The motion of the wearers of a sensor on two sides, where that was recorded."""

    caution = Caution.MOTION
    first: float = Field(description="Mean of the people’s means on the first side, mg")
    second: float = Field(description="On the second side")
    people: int = Field(description="People that these are of")
    p: float = Field(
        description="Of the difference of their logarithms (of 1 mg more), within people where "
        "three have both sides; adjusted by Holm’s method for the pairs of states"
    )
    is_unequal: bool = Field(
        description="Whether it is a caution of the result: they differ by 2 mg or more, and p is "
        "below 0.05. If a difference is reported, 27 mg are a caution whatever p is"
    )
    explains: bool = Field(
        False,
        description="Whether it is one of a difference that is reported: who moved more in a state "
        "differs more (p below 0.05), and at equal motion no difference is shown",
    )

    @property
    def may_make_it(self) -> bool:
        """True where motion explains a difference, or differs very much."""
        return self.explains or abs(self.first - self.second) >= MUCH_MG


class Derived(Model):
    """A model of which some fields follow from others: JSON that has them can be read again."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_follows(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: one for name, one in given.items() if name not in cls.model_computed_fields}


class Concluded(Derived):
    """A result, with what it comes to and what must be said with it."""

    caution_codes: tuple[Caution, ...] = Field(
        (), description="What the sentence says with the result, as a word for programs"
    )

    @computed_field(  # type: ignore[prop-decorator]  # mypy knows no decorated property
        description="At a p below 0.05, adjusted where the test is one of a family: higher, lower; "
        "shown, where there is no direction; else not_shown, or no_test without a test"
    )
    @property
    def conclusion(self) -> Conclusion:
        """The conclusion, which follows from the numbers."""
        return self._conclude()

    @property
    def shows_difference(self) -> bool:
        """True where a difference is reported, or an association."""
        return self.conclusion not in (Conclusion.NOT_SHOWN, Conclusion.NO_TEST)

    @abstractmethod
    def _conclude(self) -> Conclusion:
        """Return what the numbers come to."""


class Told(Concluded):
    """A result that says beside its conclusion whether anything is shown."""

    @computed_field(  # type: ignore[prop-decorator]  # mypy knows no decorated property
        description="Whether a difference or an association is shown: p below 0.05, adjusted where "
        "the test is one of a family"
    )
    @property
    def shown(self) -> bool:
        """As ``shows_difference``."""
        return self.shows_difference


class Concluding(StrEnum):
    """A reader that concludes."""

    COMPARISON = "comparison"
    HEART = "measures of the heart"
    SKIN = "measures of the skin"
    GROUPS = "groups"
    CURVES = "curves"
    WINDOWS = "windows"
    COUPLING = "coupling"
    WEEK = "week"
    CHOICES = "choices"
    PLANNING = "planning"
    SENSORS = "sensors"


@dataclass(frozen=True, slots=True)
class Open:
    """A cell that should be used, and is not yet.

    Attributes:
        why: what it would change.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Used:
    """A cell that is used.

    Attributes:
        test: pytest's name of a test in which it changes the answer, or its caution; empty: the
            contract's own, which makes a recording with and without it.
    """

    test: str = ""


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A row.

    Attributes:
        name: of a flag, a column (``table.column``), a table, or a word.
        used: readers that use it.
        cells: what some readers do with it.
        otherwise: what each other reader does; empty: there is no other.
    """

    name: str
    used: tuple[Concluding, ...] = ()
    cells: Mapping[Concluding, Used | Open | str] = field(default_factory=dict)
    otherwise: Used | Open | str = ""
