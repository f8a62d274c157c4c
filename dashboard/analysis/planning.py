"""A study before its first participant: how many people it needs, and what is decided before the
data.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from dashboard.analysis.question import (
    MEASURE_NAMES,
    AnalysisQuery,
    Correction,
    Model,
    QuestionInJson,
    Sample,
    SampleQuery,
)
from dashboard.analysis.windows import MOST_WINDOWS, WindowInLine
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import by_locale, decimal, general, thousands
from dashboard.languages.names import state_name, words
from dashboard.languages.refused import OF_JSON
from edge_agent.core.measures import MEASURES
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import TESTED, VitalKind
from edge_agent.store.gate.commands import Commands
from edge_agent.store.study.preregistrations import Preregistration, preregistrations

log = logging.getLogger(__name__)
_NO_CHOICE = N_("none")
_ONE_FAMILY = N_("all tests together")
_NOTHING = (_NO_CHOICE, _ONE_FAMILY)
_TYPED = frozenset({"states", "group", "prefer_source", "family"})
"""Choices of a question that are people's own words."""
_NAMES = {kind.value: kind.spec.name_in_text for kind in MEASURES} | {
    measure.value: name for measure, name in MEASURE_NAMES.items()
}
"""How people call what a question names."""
_UNITS = {
    "bound_heart_rate": "/min",
    "bound_pressure": "mmHg",
    **dict.fromkeys(("settling_heart_rate", "settling_pressure", "settling_other"), "s"),
    "scr_threshold": "µS",
    **dict.fromkeys(("window", "lag_heart_rate", "lag_pressure"), "s"),
}
_EACH_OWN = N_("each by its own")
# what only adds a table beside the result, and which sessions there are by now
_WITHOUT_EFFECT = frozenset({"sensitivity"})


class PlanQuery(Model):
    """The assumptions of a planned study: the effect as a difference and its spread, or as d_z."""

    vital: VitalKind = Field(VitalKind.HEART_RATE, description="What is measured")
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
    tests: int = Field(9, ge=1, le=1000, description="Size of the family: vitals times pairs")
    correction: Correction = Field(Correction.HOLM, description="Which adjusted p decides")
    power: float = Field(0.8, gt=0.05, lt=1, description="How often the study is to find it")
    order: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the people who meet the one state first; 0.5 is balanced",
    )

    @model_validator(mode="after")
    def _has_an_effect(self) -> PlanQuery:
        if self.vital not in TESTED:
            raise ValueError(Message(N_("{value} is not tested"), value=self.vital.value))
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
    from dashboard.statistics.planning import Design, plan_study
    from dashboard.statistics.t_tests import Method  # loads SciPy

    effect = _effect(query)
    method = Method.PAIRED if query.design == "paired" else Method.WELCH
    # two groups meet one state each, at the same time of their session
    order = query.order if query.design == "paired" else 0.5
    plan = plan_study(Design(method, effect, query.tests, order), query.power)
    return PlanModel(
        question=query,
        effect=effect,
        n=plan.n,
        power=plan.power,
        level=plan.level,
        n_single=plan.n_single,
        curve=tuple(CurvePoint(n=n, power=power) for n, power in plan.curve),
        sentence=_sentence(query, effect, plan.n, plan.n_single),
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


def _sentence(query: PlanQuery, effect: float, n: int, single: int) -> str:
    text = gettext("To find {effect} in {power} % of studies, you need {people}, {family}.")
    if query.design == "paired" and query.order == 0.5:
        text = gettext(
            "To find {effect} in {power} % of studies, you need {people}, half of them starting "
            "with each state, using the test at equal times in the session, {family}."
        )
    elif query.design == "paired":
        text = gettext(
            "To find {effect} in {power} % of studies, you need {people}, {order} % of them "
            "starting with one of the two states, using the test at equal times in the session, "
            "{family}."
        )
    people = gettext("{n} people")
    if query.design == "groups":
        people = gettext("{n} people in each group")
    family = gettext("with one test at 0.05")
    if query.tests != 1:
        family = gettext(
            "in a family of {tests} tests, whose smallest p must be below 0.05 / {tests} (one test "
            "alone would need {single})"
        ).format(tests=query.tests, single=thousands(single))
    return text.format(
        effect=_effect_text(query, effect),
        power=decimal(100 * query.power, 0),
        people=people.format(n=thousands(n)),
        order=decimal(100 * query.order, 0),
        family=family,
    )


def _effect_text(query: PlanQuery, effect: float) -> str:
    size = decimal(abs(effect), 2)
    if query.difference is None:
        return gettext("an effect of {size} standard deviations").format(size=size)
    return gettext("a difference of {value} {unit} ({size} standard deviations)").format(
        value=general(abs(query.difference)), unit=query.vital.spec.unit_shown, size=size
    )


class PreregistrationDocument(Model):
    """A preregistration. ``question`` includes bounds, correction, window and lags."""

    question: QuestionInJson = Field(
        AnalysisQuery(), description="What will be asked of the data, with all its choices"
    )
    people: Annotated[int, Field(ge=1, le=100_000), OF_JSON] = Field(
        description="How many people will take part"
    )
    exclusions: str = Field(
        "", max_length=4000, description="Who and which readings will be left out, and why"
    )
    stopping: str = Field(
        min_length=1, max_length=4000, description="When recording ends and the data are tested"
    )
    expectation: str = Field("", max_length=4000, description="What is expected to be found")
    windows: tuple[WindowInLine, ...] = Field(
        (),
        max_length=MOST_WINDOWS,
        description="Windows of response curves whose means will be compared, as one family",
    )


class PreregistrationModel(Model):
    """A frozen preregistration."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Of the time in milliseconds, a line feed, and the document")
    intact: bool = Field(description="Whether the SHA-256 is still that of time and document")
    document: PreregistrationDocument = Field(description="What was decided")


class PreregisteredModel(Model):
    """The newest preregistration, and how the present question differs from it."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Its SHA-256")
    as_preregistered: bool = Field(description="Whether nothing differs")
    differences: tuple[str, ...] = Field(description="What differs, a sentence each")


def preregister(path: Path, document: PreregistrationDocument, actor: str) -> PreregistrationModel:
    """Freeze what was decided.

    Raises:
        StoreError: the database cannot be written.
    """
    # Sorted: the same decisions give the same text and so the same SHA-256.
    text = json.dumps(document.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    return _model(Commands(path).preregister(text, actor=actor))


def read_preregistrations(path: Path) -> list[PreregistrationModel]:
    """Return all preregistrations, the newest first, without those that are none.

    Raises:
        StoreError: the database cannot be read.
    """
    models = []
    for one in preregistrations(path):
        try:
            models.append(_model(one))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.warning("preregistration %d cannot be read: %s", one.id, error)
    return models


def compare_with_newest(
    path: Path, query: AnalysisQuery, participants: int, began_ms: Sequence[int]
) -> PreregisteredModel | None:
    """Return how a question stands to the newest preregistration; ``None`` where there is none.

    Args:
        path: the timeline.
        query: the question.
        participants: how many people have readings.
        began_ms: when each session of the analysis began, UTC in milliseconds.

    Raises:
        StoreError: the database cannot be read.
    """
    newest = next(iter(read_preregistrations(path)), None)
    if newest is None:
        return None
    differing = _differences(newest, query, participants, began_ms)
    return PreregisteredModel(
        id=newest.id,
        at_ms=newest.at_ms,
        sha256=newest.sha256,
        as_preregistered=not differing,
        differences=differing,
    )


def declaring(path: Path) -> PreregistrationModel | None:
    """Return the newest preregistration if it declares windows of response curves.

    Raises:
        StoreError: the database cannot be read.
    """
    newest = next(iter(read_preregistrations(path)), None)
    return newest if newest is not None and newest.document.windows else None


def sample_differences(decided: AnalysisQuery, query: SampleQuery) -> tuple[str, ...]:
    """Say how sessions and readings that a question looks at differ from what was preregistered."""
    same = {decided.sample, query.sample} <= {Sample.AUTO, Sample.MEASURED}
    names = SampleQuery.model_fields.keys() - ({"sample"} if same else set())
    current = query.model_dump(mode="json", include=names)
    return _differing(choices(decided), {name: _value_text(current[name]) for name in current})


def said_choices(query: AnalysisQuery) -> dict[str, str]:
    """Return every choice of a question in the words of the language in use, by its name."""
    return {name: _in_words(name, value) for name, value in choices(query).items()}


def _in_words(name: str, value: str) -> str:
    """Return a value of :func:`choices` in words; what somebody typed stays, but for emotions."""
    if value in _NOTHING:
        return gettext(value)
    parts = value.split(", ")
    if name in _UNITS and value != _EACH_OWN:
        return f"{by_locale(value)} {_UNITS[name]}"
    if name in _TYPED:
        return ", ".join(state_name(one) for one in parts)
    return by_locale(", ".join(words(_NAMES.get(one, one)) for one in parts))


def choices(query: AnalysisQuery) -> dict[str, str]:
    """Return every choice of a question as text, by its name."""
    shown = query.model_dump(mode="json")
    # What is asked stands before what all questions have: which sessions, and which readings.
    order = sorted(shown, key=lambda name: name in SampleQuery.model_fields)
    texts = {name: _value_text(shown[name]) for name in order if name not in _WITHOUT_EFFECT}
    # ``group`` and ``family`` mean something else when they are empty than other choices do.
    if query.group is None:
        texts["group"] = _NO_CHOICE
    texts["family"] = " / ".join(query.family) or _ONE_FAMILY
    return texts


def _differences(
    newest: PreregistrationModel, query: AnalysisQuery, participants: int, began_ms: Sequence[int]
) -> tuple[str, ...]:
    texts = list(_differing(choices(newest.document.question), choices(query)))
    people = newest.document.people
    if participants != people:
        texts.append(
            gettext("People: {people} preregistered, {n} with readings so far.").format(
                people=people, n=participants
            )
        )
    # Who decides after the data may have chosen by them.
    earlier = sum(at_ms < newest.at_ms for at_ms in began_ms)
    if earlier:
        texts.append(
            ngettext(
                "{n} of {sessions} session began before it was frozen.",
                "{n} of {sessions} sessions began before it was frozen.",
                len(began_ms),
            ).format(n=earlier, sessions=len(began_ms))
        )
    if not newest.intact:
        texts.append(
            gettext("The frozen text does not match its SHA-256: the database was changed.")
        )
    return tuple(texts)


def _differing(decided: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    """Say of each of the current choices that was decided otherwise what was decided."""
    return tuple(
        gettext("{choice}: preregistered {decided}, now {current}.").format(
            choice=words(name),
            decided=_in_words(name, decided[name]),
            current=_in_words(name, value),
        )
        for name, value in current.items()
        if decided[name] != value
    )


def _value_text(value: Any) -> str:
    if value is None:
        return _EACH_OWN
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or _NO_CHOICE
    if isinstance(value, bool):
        return N_("yes") if value else N_("no")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _model(one: Preregistration) -> PreregistrationModel:
    values = json.loads(one.document)
    try:
        document = PreregistrationDocument.model_validate(values)
    except ValidationError:  # of another release, which knew other choices
        # What this release does not know is left out of the
        # question; the frozen text stays as it is.
        known = set(AnalysisQuery.model_fields)
        values["question"] = {k: v for k, v in values["question"].items() if k in known}
        document = PreregistrationDocument.model_validate(values)
    return PreregistrationModel(
        id=one.id, at_ms=one.at_ms, sha256=one.sha256, intact=one.intact, document=document
    )
