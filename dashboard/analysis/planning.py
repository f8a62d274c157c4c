"""A study before its first participant: how many people it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import Field, ValidationError, WithJsonSchema, model_validator

from dashboard.analysis.query import AnalysisQuery, Correction, Model, describe, query_of
from dashboard.languages.macros import Macros
from edge_agent.core.measures import MEASURES, TESTABLE, Measure
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

_MACROS = Macros(Path(__file__).parent)
_AnyMeasure = Annotated[
    Measure, WithJsonSchema({"type": "string", "enum": [kind.value for kind in MEASURES]})
]
"""A measure of any kind, described as one list and not as one of four."""


class PlanQuery(Model):
    """The assumptions of a planned study: the effect as a difference and its spread, or as d_z."""

    question: str = Field(
        "",
        max_length=8000,
        description="The question of the study, as the Analysis page writes it into its address: "
        "family and vital follow from it",
    )
    vital: _AnyMeasure = Field(
        VitalKind.HEART_RATE,
        description="What is measured. Of a question the first, else heart_rate",
    )
    difference: float | None = Field(
        None, description="Smallest difference worth finding, in the unit of the vital"
    )
    sd: float | None = Field(
        None, gt=0, description="Standard deviation between people in one state, in the same unit"
    )
    correlation: float = Field(
        0.7, ge=-1, lt=1, description="Of a person's values in the two states"
    )
    sd_difference: float | None = Field(
        None,
        gt=0,
        description="Standard deviation of the differences of a person, in place of sd and "
        "correlation",
    )
    d_z: float | None = Field(
        None,
        description="Difference over the standard deviation of the differences (groups: of "
        "the values), in place of all these",
    )
    design: Literal["paired", "groups"] = Field(
        "paired", description="Everybody meets both states, or each person one of them"
    )
    tests: int = Field(
        9,
        ge=1,
        le=1000,
        description="Size of the family: vitals times pairs. Counted from the question where there "
        "is one, else 9",
    )
    correction: Correction = Field(Correction.HOLM, description="Which adjusted p decides")
    power: float = Field(0.8, gt=0.05, lt=1, description="How often the study is to find it")
    order: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the people who meet the one state first; 0.5 is balanced",
    )

    @model_validator(mode="before")
    @classmethod
    def _counts_the_family(cls, given: Any) -> Any:
        """Fill in what follows from the question."""
        if not isinstance(given, Mapping) or not isinstance(given.get("question"), str):
            return given
        question = _question_in(given["question"])
        if question is None:
            return given
        filled = {"vital": question.vital[0]} | dict(given)
        return {"tests": question.tests_with(filled["vital"])} | filled

    @model_validator(mode="after")
    def _has_an_effect(self) -> PlanQuery:
        if self.vital not in TESTABLE:
            raise ValueError(Message(N_("{value} is not tested"), value=self.vital.value))
        question = _question_in(self.question)
        if question is not None and self.vital not in question.vital:
            raise ValueError(
                Message(
                    N_("the question does not test {value}; choose from {names}"),
                    value=self.vital.value,
                    names=", ".join(question.vital),
                )
            )
        if 0 in (self.difference, self.d_z):
            raise ValueError(
                N_("no study can find a difference of 0: give the smallest one worth finding")
            )
        if self.d_z is not None:
            return self
        if self.difference is None or (self.sd is None and self.sd_difference is None):
            raise ValueError(
                N_(
                    "give the difference with sd and correlation, or with sd_difference, or give "
                    "d_z"
                )
            )
        return self


def _question_in(address: str) -> AnalysisQuery | None:
    """Return the question of an address; ``None`` without one.

    Raises:
        ValueError: it asks what cannot be asked.
    """
    if not address.strip():
        return None
    try:
        return query_of(parse_qsl(address))
    except ValidationError as error:
        raise ValueError(" ".join(describe(error))) from error


class CurvePoint(Model):
    """A point of the power curve."""

    n: int = Field(description="People; in each group where there are two")
    power: float = Field(description="How often such a study finds the difference, 0…1")


class PlanModel(Model):
    """The answer."""

    question: PlanQuery = Field(description="As it was asked, with defaults filled in")
    effect: float = Field(description="Difference over the standard deviation that it is judged by")
    n: int = Field(description="People needed; in each group where there are two")
    power: float = Field(description="What they reach")
    level: float = Field(description="0.05 divided by the size of the family")
    n_single: int = Field(description="What one test at 0.05 would need")
    curve: tuple[CurvePoint, ...] = Field(description="Power by number of people")
    sentence: str = Field(description="The answer in words")


def plan_of(query: PlanQuery) -> PlanModel:
    """Return how many people a study needs.

    Raises:
        StatisticsError: no such study can be planned; the text says why.
    """
    from dashboard.statistics.planning import PlannedDesign, plan_study
    from dashboard.statistics.t_tests import Method  # loads SciPy

    effect = _effect(query)
    method = Method.PAIRED if query.design == "paired" else Method.WELCH
    # two groups meet one state each, at the same time of their session
    order = query.order if query.design == "paired" else 0.5
    plan = plan_study(PlannedDesign(method, effect, query.tests, order), query.power)
    return PlanModel(
        question=query,
        effect=effect,
        n=plan.n,
        power=plan.power,
        level=plan.level,
        n_single=plan.n_single,
        curve=tuple(CurvePoint(n=n, power=power) for n, power in plan.curve),
        sentence=_MACROS.say("planning", "sentence", query, effect, plan.n, plan.n_single),
    )


def _effect(query: PlanQuery) -> float:
    from dashboard.statistics.planning import difference_sd

    if query.d_z is not None:
        return query.d_z
    difference = query.difference or 0.0
    if query.sd_difference is not None:
        return difference / query.sd_difference
    sd = query.sd or 1.0
    if query.design == "groups":
        return difference / sd
    return difference / difference_sd(sd, query.correlation)
