"""The mixed model and the evidence, in words. Pure."""

from __future__ import annotations

from dashboard.analysis.present.text import (
    ALPHA,
    correction_name,
    df_text,
    interval_text,
    number,
    p_equals,
    people,
    unit_of,
    vital_name,
)
from dashboard.analysis.request import Correction
from dashboard.analysis.results import Analysis, VitalComparison
from dashboard.analysis.states import Design
from dashboard.analysis.study.mixed import Main, VitalModel
from dashboard.statistics import BayesFactor

_EVIDENCE = ((100.0, "extreme"), (30.0, "very strong"), (10.0, "strong"), (3.0, "moderate"))
_MATTERS = 0.25  # share of the t-test's difference from which on what time makes of it is said
_OTHER_ERROR = 0.1  # share of the standard error from which on another one is said


def main_reason(analysis: Analysis) -> str:
    """Say which analysis is the main one, and why."""
    repeated = max((one.design.repeated for one in analysis.models), default=0)
    incomplete = max((one.design.incomplete for one in analysis.models), default=0)
    if analysis.main is Main.MIXED_MODEL:
        return (
            f"Main analysis: the mixed model, because {_calls(repeated, incomplete)}. It uses all "
            "of them; the t-tests stand beside it."
        )
    fitted = any(one.tests for one in analysis.models)
    beside = " The mixed model stands beside them." if fitted else ""
    if analysis.query.design is not Design.AUTO:
        return f"Main analysis: the t-tests, because the design was chosen.{beside}"
    if not (repeated or incomplete):
        return (
            "Main analysis: the t-tests, because everybody has one session with all states."
            f"{beside}"
        )
    return (
        "Main analysis: the t-tests. The mixed model does not answer all that they do, or finds "
        f"nothing in which people resemble themselves, though {_calls(repeated, incomplete)}."
        f"{beside}"
    )


def _calls(repeated: int, incomplete: int) -> str:
    parts = []
    if repeated:
        parts.append(f"{people(repeated)} {'has' if repeated == 1 else 'have'} several sessions")
    if incomplete:
        one = incomplete == 1
        parts.append(f"{incomplete:,} session{' lacks' if one else 's lack'} a state")
    return " and ".join(parts)


def model_sentence(model: VitalModel) -> str:
    """Say what went into the model of a vital, or why there is none."""
    name = vital_name(model.kind)
    fit = model.model
    if fit is None:
        return f"{name}: no mixed model. {model.reason[:1].upper()}{model.reason[1:]}."
    design = model.design
    parts = ["people"]
    if fit.session_variance is not None:
        parts.append("sessions")
    if fit.reaction_variance is not None:
        parts.append("people’s own reactions to a state")
    minute = (
        "Time in the session is not in it: all met the states at nearly the same times."
        if model.time is None
        else f"Each minute of the session changes it by {number(model.time.estimate, 2)} "
        f"{unit_of(model.kind)} (p {p_equals(model.time.p)})."
    )
    flat = " A variance was estimated as 0, so this is the fit without it." if fit.singular else ""
    return (
        f"{name}: {design.means:,} means of {people(design.participants)} in {design.sessions:,} "
        f"sessions; variances of {', '.join(parts)} and the rest. {minute}{flat}"
    )


def tested_sentence(test: VitalComparison, model: VitalModel) -> str:
    """Say what the model makes of two states; where the t-test concludes otherwise, why."""
    tested = test.by_model
    if tested is None:
        return ""
    effect = tested.effect
    unit = unit_of(test.kind)
    name = vital_name(test.kind)
    design = model.design
    figures = (
        f"95 % CI {interval_text(effect.interval.low, effect.interval.high)}; "
        f"{people(design.participants)} in {design.sessions:,} sessions, mixed model "
        f"t({df_text(round(effect.df, 1))}) = {number(effect.t, 2)}, "
        f"{correction_name(test.correction)} p {p_equals(tested.adjusted_p)}"
    )
    if effect.p < ALPHA <= tested.adjusted_p:
        figures += f"; p before adjustment {p_equals(effect.p)}"
    when = "" if model.time is None else " at equal times in the session"
    if tested.adjusted_p < ALPHA:
        aside = f"difference {number(effect.estimate)} {unit}, " if effect.estimate < 0 else ""
        text = (
            f"{name} was {_shift(effect.estimate, unit)} in {test.first} than in {test.second}"
            f"{when} ({aside}{figures})."
        )
    else:
        text = (
            f"{name} was not shown to differ between {test.first} and {test.second}{when} "
            f"(difference {number(effect.estimate)} {unit}, {figures}). The data fit anything "
            f"from {_shift(effect.interval.low, unit)} to {_shift(effect.interval.high, unit)} in "
            f"{test.first}."
        )
    return f"{text}{_why_other(test, model)}" if differs(test) else text


def differs(test: VitalComparison) -> bool:
    """Tell whether model and t-test come to another conclusion."""
    tests = test.comparison.tests
    if test.by_model is None or tests is None or test.adjusted_p is None:
        return False
    shows = test.by_model.adjusted_p < ALPHA
    if shows != (test.adjusted_p < ALPHA):
        return True
    return shows and (test.by_model.effect.estimate < 0) != (tests.t.difference < 0)


def _why_other(test: VitalComparison, model: VitalModel) -> str:
    tests = test.comparison.tests
    if tests is None or test.by_model is None:
        return ""
    unit = unit_of(test.kind)
    t = tests.t
    reasons = []
    more = model.design.participants - len(test.comparison.first)
    if more > 0:
        reasons.append(f"uses {people(more)} whom the t-test leaves out")
    gap = 0.0 if test.period is None else test.period.gap
    by_time = 0.0 if model.time is None else model.time.estimate * gap
    if abs(by_time) >= _MATTERS * abs(t.difference):
        reasons.append(f"takes out {number(abs(by_time))} {unit} that time in the session makes")
    error = test.by_model.effect.error
    if abs(error - t.error) >= _OTHER_ERROR * t.error:
        reasons.append(
            "judges by the spread of all states and sessions together (standard error "
            f"{number(error, 2)} instead of {number(t.error, 2)})"
        )
    if not reasons:
        reasons.append("weighs people and sessions by how much they say")
    return (
        f" The t-test concludes otherwise (difference {number(t.difference)} {unit}, "
        f"{correction_name(test.correction)} p {p_equals(test.adjusted_p or 0.0)}): the model "
        f"{', and '.join(reasons)}."
    )


def evidence_sentence(test: VitalComparison, factor: BayesFactor) -> str:
    """Say how much the data speak for a difference, or for none."""
    names = f"{vital_name(test.kind)}, {test.first} and {test.second}"
    scale = f"JZS, scale r = {factor.scale:.3f}"
    against = factor.log_factor < 0
    times = factor.for_none if against else factor.for_difference
    label = "BF₀₁" if against else "BF₁₀"
    strength = next((word for least, word in _EVIDENCE if times >= least), "")
    likely = "without a difference as with one" if against else "with a difference as without one"
    start = (
        f"{names}: the data are {factor_text(times)} times as likely {likely} "
        f"({label} = {factor_text(times)}; {scale})"
    )
    if not strength:
        return f"{start}. They hardly speak for either."
    if not against:
        return f"{start}: {strength} evidence for a difference."
    doubt = "" if test.in_family is None else test.in_family.doubt
    if doubt:
        return f"{start}. This is not called evidence for no difference, because {doubt}."
    return f"{start}: {strength} evidence for no difference."


def factor_text(factor: float) -> str:
    """Write a Bayes factor: three digits, large ones by powers of ten."""
    if factor >= 1e5:
        return "over 100,000"
    if factor >= 100:
        return f"{factor:,.0f}"
    return number(factor, 1 if factor >= 10 else 2)


def model_rule(correction: Correction) -> str:
    """Say how the model is made, for the methods section."""
    return (
        "Mixed model: value ~ state + minutes in the session + (1 | participant / session), and + "
        "(1 | participant : state) where somebody met a state in several sessions; one value is "
        "one mean of a state in a session; restricted maximum likelihood, Satterthwaite’s degrees "
        f"of freedom, p adjusted over its tests by {correction_name(correction)}’s method. It is "
        "the main analysis where people have several sessions or missing states. Bayes factors: "
        "JZS with a Cauchy prior of scale √2/2 (Rouder et al. 2009), from the t-tests."
    )


def _shift(value: float, unit: str) -> str:
    return f"{number(abs(value))} {unit} {'lower' if value < 0 else 'higher'}"
