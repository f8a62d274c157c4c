"""What stands beside the comparisons, in words: all states at once, agreement, variability,
sensitivity. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.analysis.agreement import Source, SourceAgreement
from dashboard.analysis.comparison import Obstacle
from dashboard.analysis.heart.variability import StateVariability
from dashboard.analysis.present.text import (
    ALPHA,
    df_text,
    how_many,
    interval_text,
    number,
    p_equals,
    people,
    percent,
    vital_name,
)
from dashboard.analysis.results import VitalComparison, VitalStates
from dashboard.analysis.sensitivity import (
    Conclusion,
    MatchingChoice,
    Sensitivity,
    SettlingChoice,
)
from dashboard.statistics import MINIMUM, Agreement, NoInterval
from dashboard.statistics.heart.variability import MINIMUM_S

_SOURCES = {Source.CONDITION: "condition", Source.OBSERVED: "face", Source.REPORTED: "self-report"}
_CONCLUSIONS = {
    Conclusion.HIGHER: "a rise",
    Conclusion.LOWER: "a fall",
    Conclusion.NOT_SHOWN: "no difference shown",
    Conclusion.NO_TEST: "no test",
}


def source_name(source: Source) -> str:
    """Return what people call a source of states."""
    return _SOURCES[source]


def conclusion_name(conclusion: Conclusion) -> str:
    """Return what people call a conclusion."""
    return _CONCLUSIONS[conclusion]


def all_states_sentence(states: VitalStates) -> str:
    """Say whether a vital differs between the states at all."""
    count = how_many(states.states)
    anova = states.comparison.anova
    name = vital_name(states.kind)
    if anova is None:
        if states.comparison.obstacle is Obstacle.TOO_FEW:
            why = (
                f"It needs at least {MINIMUM} people with readings in all {count} states; there "
                f"{'is' if states.comparison.n == 1 else 'are'} {states.comparison.n}."
            )
        else:
            why = (
                "The states differ by the same amounts for everybody, so there is no spread to "
                "judge them by."
            )
        return f"{name}, all {count} states at once: no test. {why}"
    df = " and ".join(
        df_text(value) if value == round(value) else f"{value:.2f}" for value in anova.corrected_df
    )
    figures = (
        f"{people(anova.n)}, F = {number(anova.f, 2)} with {df} degrees of freedom after "
        f"Greenhouse and Geisser, p {p_equals(anova.corrected_p)}, generalized η² = "
        f"{number(anova.generalized_eta_squared, 2)}"
    )
    if anova.corrected_p < ALPHA:
        return f"{name} differed somewhere between the {count} states taken together ({figures})."
    return f"{name} was not shown to differ between the {count} states taken together ({figures})."


def agreement_sentence(sources: SourceAgreement) -> str:
    """Say how often two sources named the same emotion, and whether that is more than chance."""
    names = f"{source_name(sources.first).capitalize()} and {source_name(sources.second)}"
    agreement = sources.agreement
    if agreement is None:
        return (
            f"{names}: no agreement can be computed. It needs stimuli with an answer from both, "
            "and more than one answer."
        )
    same = sum(agreement.table[place][place] for place in range(len(agreement.labels)))
    are = "is" if sources.left_out == 1 else "are"
    left = f" {_stimuli(sources.left_out)} where one of the two gave no answer {are} left out."
    return (
        f"{names} named the same emotion in {same} of {_stimuli(agreement.n)} of "
        f"{people(agreement.participants)} ({percent(agreement.observed)}; "
        f"{percent(agreement.expected)} would be chance): kappa "
        f"{number(agreement.kappa, 2)}{_spread(agreement)}, where 1 is always and 0 is "
        f"chance.{_why_no_interval(sources, agreement)}{left if sources.left_out else ''}"
    )


def _spread(agreement: Agreement) -> str:
    if agreement.interval is None:
        return ""
    return f" (95 % CI {interval_text(agreement.interval.low, agreement.interval.high, 2)})"


def _why_no_interval(sources: SourceAgreement, agreement: Agreement) -> str:
    """Return the reason as a sentence, with a space before it; empty where there is an interval."""
    match agreement.no_interval:
        case None:
            return ""
        case NoInterval.TOO_FEW:
            return " An interval needs at least 3 people."
        case NoInterval.PERFECT:
            return " It has no interval, because the formula knows no uncertainty where all agree."
        case NoInterval.NO_SPREAD:
            return " It has no interval, because no person differs from another."
        case NoInterval.CONSTANT:
            return _constant(sources, agreement)


def _constant(sources: SourceAgreement, agreement: Agreement) -> str:
    """Say which source always gave one label: kappa is 0 then, whatever the other one said."""
    rows = [label for label, row in zip(agreement.labels, agreement.table, strict=True) if any(row)]
    source = sources.first
    labels = rows
    if len(rows) > 1:
        source = sources.second
        columns = zip(agreement.labels, zip(*agreement.table, strict=True), strict=True)
        labels = [label for label, column in columns if any(column)]
    return (
        f" It has no interval and says nothing here, because the {source_name(source)} always said "
        f"{labels[0]}."
    )


def variability_sentence(recordings: tuple[StateVariability, ...]) -> str:
    """Say for how many the variability could be computed."""
    computed = [one for one in recordings if one.variability is not None]
    short = sum(one.variability is not None and one.variability.ultra_short for one in recordings)
    brief = ""
    if short:
        verb = "is" if short == 1 else "are"
        brief = f" {short} of them {verb} shorter than the standard five minutes (ultra-short)."
    return (
        f"From the intervals between beats, {len(computed)} of {len(recordings)} recordings of one "
        f"person in one state give numbers.{brief}{_without_numbers(recordings)} Compare SDNN only "
        "between states that lasted equally long."
    )


def _without_numbers(recordings: Sequence[StateVariability]) -> str:
    """Say how many people lack a number somewhere and why; empty where nobody does."""
    without = [one for one in recordings if one.variability is None]
    if not without:
        return ""
    artefacts = sum(one.many_artefacts for one in without)
    reasons = {
        "more than a fifth of the beats corrected": artefacts,
        f"less than {MINIMUM_S:g} s of intervals": len(without) - artefacts,
    }
    told = ", ".join(f"{count} with {reason}" for reason, count in reasons.items() if count)
    everybody = {one.participant for one in recordings}
    lacking = {one.participant for one in without}
    text = (
        f" {len(lacking)} of {people(len(everybody))} lack{'s' if len(lacking) == 1 else ''} a "
        f"number in at least one state: {told}."
    )
    if artefacts:
        text += (
            " Hearts with many early beats are left out by this more often than others, so that "
            "what is left need not speak for everybody."
        )
    return text


def sensitivity_sentence(
    test: VitalComparison,
    sensitivity: Sensitivity[MatchingChoice] | Sensitivity[SettlingChoice],
    choices: str = "windows and lags",
) -> str:
    """Say whether a conclusion depends on the choices, which are called as given."""
    start = (
        f"{vital_name(test.kind)}, {test.first} and {test.second}: "
        f"{conclusion_name(sensitivity.chosen.conclusion)}"
    )
    total = len(sensitivity.variants)
    if not sensitivity.changed:
        return f"{start} under all {total} {choices}."
    return (
        f"{start}; another conclusion under {sensitivity.changed} of {total} {choices}. "
        "Treat this as tentative."
    )


def _stimuli(count: int) -> str:
    if count == 1:
        return "1 stimulus"
    return f"{count:,} stimuli"
