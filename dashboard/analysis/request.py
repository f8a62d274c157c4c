"""What an analysis is asked, by page, ``/api/v1/analysis`` and ``analyse``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dashboard.analysis.states import VITALS, Design
from edge_agent.core.vitals import TESTED, AnalysisOption, VitalKind
from edge_agent.store.read.matching import DEFAULT_LAG_S, DEFAULT_SHARE, DEFAULT_WINDOW_S

DEFAULT_BOUND = 5.0
"""Equivalence bound in /min and mmHg: what the standards allow a device to be wrong by (see
``DEFAULT_BOUNDS``).
"""


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
        description="Observed: whether everything is repeated with half and twice the "
        "window and lags",
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
        description="Whether readings flagged estimated, such as the camera's pulse, count "
        "as if measured",
    )
    leave_out_flagged: bool = Field(
        False,
        description="Whether readings flagged out_of_range or contact_lost are left out of "
        "the means",
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
