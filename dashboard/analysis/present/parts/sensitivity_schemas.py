"""Whether results depend on choices, as programs see it; and the interval that all models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AliasPath, Field

from dashboard.analysis.request import Model
from edge_agent.core.vitals import VitalKind

if TYPE_CHECKING:  # SciPy takes half of the memory that the dashboard needs without it
    from dashboard.statistics import Interval


class IntervalModel(Model):
    """A 95 % confidence interval."""

    low: float = Field(description="Lower end")
    high: float = Field(description="Upper end")

    @classmethod
    def of(cls, interval: Interval | None) -> IntervalModel | None:
        """Return the model of an interval, or ``None`` where there is none."""
        return None if interval is None else cls.model_validate(interval)


class DecisionModel(Model):
    """One comparison under another choice than the declared one, or under that."""

    n_first: int = Field(
        validation_alias=AliasPath("decision", "n_first"),
        description="Participants on the first side; with pairs the pairs",
    )
    n_second: int = Field(
        validation_alias=AliasPath("decision", "n_second"),
        description="Participants on the second side; with pairs the same",
    )
    difference: float | None = Field(
        validation_alias=AliasPath("decision", "difference"), description="Mean difference"
    )
    interval: IntervalModel | None = Field(
        validation_alias=AliasPath("decision", "interval"),
        description="95 % interval of the difference",
    )
    p: float | None = Field(validation_alias=AliasPath("decision", "p"), description="Unadjusted")
    holm_p: float | None = Field(
        validation_alias=AliasPath("decision", "holm_p"),
        description="Adjusted by Holm's method for the family under this setting",
    )
    conclusion: Literal["higher", "lower", "not_shown", "no_test"] = Field(
        description="At a Holm p below 0.05"
    )
    changes: bool = Field(description="Whether that differs from the declared setting")


class VariantModel(DecisionModel):
    """One comparison under another window and lag."""

    window: float = Field(
        validation_alias=AliasPath("choice", "window_s"),
        description="Seconds of expression before a reading",
    )
    lag: float = Field(description="Seconds by which the compared vital follows the face")
    lag_heart_rate: float = Field(
        validation_alias=AliasPath("choice", "lag_heart_rate_s"), description="Seconds"
    )
    lag_pressure: float = Field(
        validation_alias=AliasPath("choice", "lag_pressure_s"), description="Seconds"
    )


class SettlingVariantModel(DecisionModel):
    """One comparison under another settling time."""

    settling: float = Field(
        description="Seconds of each stimulus that are left out for the compared vital"
    )


class _SensitivityModel(Model):
    """Whether one comparison depends on a choice."""

    vital: VitalKind = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    changed: int = Field(description="Under how many settings the conclusion is another")
    sentence: str = Field(description="The result in words")


class SensitivityModel(_SensitivityModel):
    """Whether one comparison depends on window and lag."""

    variants: tuple[VariantModel, ...] = Field(
        description="All settings, the declared one among them"
    )


class SettlingSensitivityModel(_SensitivityModel):
    """Whether one comparison depends on the settling time."""

    variants: tuple[SettlingVariantModel, ...] = Field(
        description="All settings, the declared one among them"
    )
