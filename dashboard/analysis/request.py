"""What an analysis is asked, by page, ``/api/v1/analysis`` and ``analyse``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from dashboard.analysis.states import VITALS, Design
from edge_agent.core.readings import DOUBTFUL, UNUSABLE, VitalFlag
from edge_agent.core.vitals import TESTED, AnalysisOption, VitalKind
from edge_agent.store.read.matching import DEFAULT_LAG_S, DEFAULT_SHARE, DEFAULT_WINDOW_S

DEFAULT_BOUND = 5.0
"""Equivalence bound in /min and mmHg: what the standards allow a device to be wrong by (see
``DEFAULT_BOUNDS``).
"""

DOUBTS = tuple(flag for flag in VitalFlag if flag in UNUSABLE)
"""The flags for which a reading is in no mean and no test unless it is asked for."""


class StateBy(StrEnum):
    """What makes the state of a reading."""

    CONDITION = "condition"
    OBSERVED = "observed"
    REPORTED = "reported"


class Correction(StrEnum):
    """How p values are adjusted for the number of tests."""

    HOLM = "holm"
    BENJAMINI_HOCHBERG = "benjamini_hochberg"


class Sample(StrEnum):
    """Which sessions are looked at."""

    AUTO = "auto"
    MEASURED = "measured"
    EXAMPLE = "example"
    SELECTED = "selected"


class Model(BaseModel):
    """Base of all: unknown keys are refused, values do not change.

    A model can be made from the value that it shows (``from_attributes``). Where a name differs,
    ``validation_alias`` says where it stands there.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, from_attributes=True, populate_by_name=True
    )


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Bound = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class AnalysisQuery(Model):
    """The question: which readings count, and what state they belong to."""

    state: StateBy = Field(
        StateBy.CONDITION,
        description="condition: the stimulus that went on. observed: the emotion seen on the face "
        "before the reading. reported: the emotion that the participant reported of "
        "the stimulus that went on",
    )
    sample: Sample = Field(
        Sample.AUTO,
        description="measured: all sessions that are not simulated. example: all simulated ones. "
        "selected: those in session. auto: measured, or the example while no measured "
        "session has readings in a state",
    )
    session: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), max_length=10_000, description="Session ids, with sample=selected"
    )
    vital: tuple[VitalKind, ...] = Field(
        VITALS, min_length=1, description="What is tested; all of it is one family"
    )
    design: Design = Field(
        Design.AUTO,
        description="paired: only participants with both states. independent: only participants "
        "with one of them. auto: paired where at least 3 participants have both "
        "states, else independent",
    )
    correction: Correction = Field(
        Correction.HOLM,
        description="Which adjusted p decides; holm bounds any error, "
        "benjamini_hochberg their share",
    )
    bound_heart_rate: Bound = Field(
        DEFAULT_BOUND,
        description="Equivalence: differences of heart rate up to this, in /min, count as none",
    )
    bound_pressure: Bound = Field(
        DEFAULT_BOUND,
        description="Equivalence: differences of pressure up to this, in mmHg, count as none",
    )
    sensitivity: bool = Field(
        True,
        description="Whether everything is repeated. Observed: with half and twice the window and "
        "lags. Condition and self-report: with none, half and twice of the settling times",
    )
    settling_heart_rate: Seconds = Field(
        VitalKind.HEART_RATE.spec.settling_s,
        description="Condition, self-report: seconds at the start of each stimulus whose heart "
        "rates are left out, because they still say much about the time before",
    )
    settling_pressure: Seconds = Field(
        VitalKind.SYSTOLIC.spec.settling_s,
        description="Condition, self-report: the same of a cuff, whose reading takes time itself",
    )
    settling_other: Seconds | None = Field(
        None,
        description="Condition, self-report: the same of all other vitals; null: of each its own",
    )
    window: float = Field(
        DEFAULT_WINDOW_S,
        gt=0,
        le=600,
        description="Observed: seconds of expression before a reading, less the lag",
    )
    lag_heart_rate: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.HEART_RATE],
        description="Observed: seconds by which heart rate follows the face",
    )
    lag_pressure: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.SYSTOLIC],
        description="Observed: seconds by which a cuff's reading follows the face",
    )
    share: float = Field(
        DEFAULT_SHARE,
        ge=0.5,
        le=1,
        description="Observed: least share of the window that one emotion must hold",
    )
    estimated: bool = Field(
        False,
        description="The same as count_flagged=estimated: whether readings flagged so, such as the "
        "camera's pulse, count as if measured",
    )
    count_flagged: tuple[VitalFlag, ...] = Field(
        (),
        description=f"Which readings in doubt count all the same, by flag: {', '.join(DOUBTS)}. A "
        "reading with several of these flags counts only where all are named",
    )
    leave_out_flagged: bool = Field(
        False,
        description="What is done without it as well: readings in doubt are in no mean and no "
        "test. Contradicts count_flagged",
    )

    @field_validator("vital")
    @classmethod
    def _in_order(cls, vital: tuple[VitalKind, ...]) -> tuple[VitalKind, ...]:
        """A vital named twice would be two tests of one family.

        Intervals between beats are no level to compare.
        """
        if VitalKind.RR_INTERVAL in vital:
            raise ValueError("rr_interval is not tested; its variability stands beside the tests")
        return tuple(kind for kind in TESTED if kind in vital)

    @field_validator("count_flagged")
    @classmethod
    def _are_doubts(cls, flags: tuple[VitalFlag, ...]) -> tuple[VitalFlag, ...]:
        """Other flags cast no doubt: such readings count anyway."""
        for flag in flags:
            if flag not in DOUBTS:
                raise ValueError(f"{flag} readings count anyway; choose from {', '.join(DOUBTS)}")
        return tuple(flag for flag in DOUBTS if flag in flags)

    @field_validator("leave_out_flagged")
    @classmethod
    def _is_no_contradiction(cls, leave_out: bool, info: ValidationInfo) -> bool:
        doubtful = [flag for flag in info.data.get("count_flagged", ()) if flag in DOUBTFUL]
        if leave_out and doubtful:
            raise ValueError(f"count_flagged asks for {', '.join(doubtful)}; give one of the two")
        return leave_out

    @property
    def counted(self) -> frozenset[VitalFlag]:
        """The flags of doubt whose readings count all the same."""
        return frozenset(self.count_flagged) | ({VitalFlag.ESTIMATED} if self.estimated else set())

    def settling_s(self, kind: VitalKind) -> float:
        """Return how much of the start of a stimulus is left out for a vital, in seconds."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.settling_heart_rate
            case AnalysisOption.PRESSURE:
                return self.settling_pressure
        if self.settling_other is None:
            return kind.spec.settling_s
        return self.settling_other

    def lag_s(self, kind: VitalKind) -> float:
        """Return by how many seconds a vital follows the face: as asked, or as it usually does."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.lag_heart_rate
            case AnalysisOption.PRESSURE:
                return self.lag_pressure
        return kind.spec.lag_s

    def bound(self, kind: VitalKind) -> float:
        """Return the size below which a difference of a vital counts as none, in its unit."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.bound_heart_rate
            case AnalysisOption.PRESSURE:
                return self.bound_pressure
        return kind.spec.bound or 0.0
