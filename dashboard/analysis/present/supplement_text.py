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
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import decimal, general, thousands
from dashboard.languages.names import state_name
from dashboard.languages.written import with_and
from dashboard.statistics import MINIMUM, Agreement, NoInterval
from dashboard.statistics.heart.variability import MINIMUM_S

_SOURCES = {
    Source.CONDITION: N_("condition"),
    Source.OBSERVED: N_("face"),
    Source.REPORTED: N_("self-report"),
}
_CONCLUSIONS = {
    Conclusion.HIGHER: N_("a rise"),
    Conclusion.LOWER: N_("a fall"),
    Conclusion.NOT_SHOWN: N_("no difference shown"),
    Conclusion.NO_TEST: N_("no test"),
}


def source_name(source: Source) -> str:
    """Return what people call a source of states."""
    return gettext(_SOURCES[source])


def conclusion_name(conclusion: Conclusion) -> str:
    """Return what people call a conclusion."""
    return gettext(_CONCLUSIONS[conclusion])


def all_states_sentence(states: VitalStates) -> str:
    """Say whether a vital differs between the states at all."""
    count = how_many(states.states)
    anova = states.comparison.anova
    name = vital_name(states.kind)
    if anova is None:
        start = gettext("{vital}, all {count} states at once: no test.")
        return f"{start.format(vital=name, count=count)} {_why_no_anova(states)}"
    df = with_and([_exact_df(value) for value in anova.corrected_df])
    text = gettext(
        "{vital} was not shown to differ between the {count} states taken together ({people}, F = "
        "{f} with {df} degrees of freedom after Greenhouse and Geisser, p {p}, generalized η² = "
        "{eta})."
    )
    if anova.corrected_p < ALPHA:
        text = gettext(
            "{vital} differed somewhere between the {count} states taken together ({people}, F = "
            "{f} with {df} degrees of freedom after Greenhouse and Geisser, p {p}, generalized η² "
            "= {eta})."
        )
    return text.format(
        vital=name,
        count=count,
        people=people(anova.n),
        f=number(anova.f, 2),
        df=df,
        p=p_equals(anova.corrected_p),
        eta=number(anova.generalized_eta_squared, 2),
    )


def _why_no_anova(states: VitalStates) -> str:
    if states.comparison.obstacle is Obstacle.TOO_FEW:
        return ngettext(
            "It needs at least {minimum} people with readings in all {count} states; there is {n}.",
            "It needs at least {minimum} people with readings in all {count} states; there are "
            "{n}.",
            states.comparison.n,
        ).format(minimum=MINIMUM, count=how_many(states.states), n=states.comparison.n)
    return gettext(
        "The states differ by the same amounts for everybody, so there is no spread to judge them "
        "by."
    )


def _exact_df(value: float) -> str:
    """Write degrees of freedom: whole ones without decimals, others with two."""
    if value == round(value):
        return df_text(value)
    return decimal(value, 2)


def agreement_sentence(sources: SourceAgreement) -> str:
    """Say how often two sources named the same emotion, and whether that is more than chance."""
    first = source_name(sources.first)
    names = {"first": first[:1].upper() + first[1:], "second": source_name(sources.second)}
    agreement = sources.agreement
    if agreement is None:
        return gettext(
            "{first} and {second}: no agreement can be computed. It needs stimuli with an answer "
            "from both, and more than one answer."
        ).format(**names)
    same = sum(agreement.table[place][place] for place in range(len(agreement.labels)))
    text = gettext(
        "{first} and {second} named the same emotion in {same} of {stimuli} of {people} "
        "({observed}; {expected} would be chance): kappa {kappa}, where 1 is always and 0 is "
        "chance."
    ).format(
        **names,
        same=same,
        stimuli=_stimuli(agreement.n),
        people=people(agreement.participants),
        observed=percent(agreement.observed),
        expected=percent(agreement.expected),
        kappa=_kappa(agreement),
    )
    texts = [text, _why_no_interval(sources, agreement), _unanswered(sources.left_out)]
    return " ".join(text for text in texts if text)


def _unanswered(left_out: int) -> str:
    if not left_out:
        return ""
    return ngettext(
        "{n} stimulus where one of the two gave no answer is left out.",
        "{n} stimuli where one of the two gave no answer are left out.",
        left_out,
    ).format(n=thousands(left_out))


def _kappa(agreement: Agreement) -> str:
    kappa = number(agreement.kappa, 2)
    if agreement.interval is None:
        return kappa
    ends = interval_text(agreement.interval.low, agreement.interval.high, 2)
    return gettext("{value} (95 % CI {interval})").format(value=kappa, interval=ends)


def _why_no_interval(sources: SourceAgreement, agreement: Agreement) -> str:
    """Return the reason as a sentence; empty where there is an interval."""
    match agreement.no_interval:
        case None:
            return ""
        case NoInterval.TOO_FEW:
            return gettext("An interval needs at least 3 people.")
        case NoInterval.PERFECT:
            return gettext(
                "It has no interval, because the formula knows no uncertainty where all agree."
            )
        case NoInterval.NO_SPREAD:
            return gettext("It has no interval, because no person differs from another.")
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
    return gettext(
        "It has no interval and says nothing here, because the {source} always said {label}."
    ).format(source=source_name(source), label=state_name(labels[0]))


def variability_sentence(recordings: tuple[StateVariability, ...]) -> str:
    """Say for how many the variability could be computed."""
    computed = [one for one in recordings if one.variability is not None]
    short = sum(one.variability is not None and one.variability.ultra_short for one in recordings)
    texts = [
        gettext(
            "From the intervals between beats, {n} of {total} recordings of one person in one "
            "state give numbers."
        ).format(n=len(computed), total=len(recordings)),
        _ultra_short(short),
        _without_numbers(recordings),
        gettext("Compare SDNN only between states that lasted equally long."),
    ]
    return " ".join(text for text in texts if text)


def _ultra_short(count: int) -> str:
    if not count:
        return ""
    return ngettext(
        "{n} of them is shorter than the standard five minutes (ultra-short).",
        "{n} of them are shorter than the standard five minutes (ultra-short).",
        count,
    ).format(n=count)


def _without_numbers(recordings: Sequence[StateVariability]) -> str:
    """Say how many people lack a number somewhere and why; empty where nobody does."""
    without = [one for one in recordings if one.variability is None]
    if not without:
        return ""
    artefacts = sum(one.many_artefacts for one in without)
    short = len(without) - artefacts
    reasons = []
    if artefacts:
        text = gettext("{n} with more than a fifth of the beats corrected")
        reasons.append(text.format(n=artefacts))
    if short:
        text = gettext("{n} with less than {seconds} s of intervals")
        reasons.append(text.format(n=short, seconds=general(MINIMUM_S)))
    everybody = {one.participant for one in recordings}
    lacking = {one.participant for one in without}
    text = ngettext(
        "{n} of {people} lacks a number in at least one state: {reasons}.",
        "{n} of {people} lack a number in at least one state: {reasons}.",
        len(lacking),
    ).format(n=len(lacking), people=people(len(everybody)), reasons=", ".join(reasons))
    if not artefacts:
        return text
    beside = gettext(
        "Hearts with many early beats are left out by this more often than others, so that what is "
        "left need not speak for everybody."
    )
    return f"{text} {beside}"


def sensitivity_sentence(
    test: VitalComparison, sensitivity: Sensitivity[MatchingChoice] | Sensitivity[SettlingChoice]
) -> str:
    """Say whether a conclusion depends on the choices of windows and lags, or settling times."""
    settling = isinstance(sensitivity.variants[0].choice, SettlingChoice)
    if sensitivity.changed:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion}; another conclusion under {n} of {total} "
            "windows and lags. Treat this as tentative."
        )
        if settling:
            text = gettext(
                "{vital}, {first} and {second}: {conclusion}; another conclusion under {n} of "
                "{total} settling times. Treat this as tentative."
            )
    elif settling:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion} under all {total} settling times."
        )
    else:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion} under all {total} windows and lags."
        )
    return text.format(
        vital=vital_name(test.kind),
        first=state_name(test.first),
        second=state_name(test.second),
        conclusion=conclusion_name(sensitivity.chosen.conclusion),
        n=sensitivity.changed,
        total=len(sensitivity.variants),
    )


def _stimuli(count: int) -> str:
    return ngettext("{n} stimulus", "{n} stimuli", count).format(n=thousands(count))
