"""The method in words, what was left out, and what stands beside the comparisons: all states at
once, agreement, variability, sensitivity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dashboard.analysis.analyse import Analysis, VitalComparison, VitalStates
from dashboard.analysis.choices import MatchingChoice, SettlingChoice
from dashboard.analysis.inference.comparison import Obstacle
from dashboard.analysis.inference.heart import StateVariability
from dashboard.analysis.inference.sensitivity import Sensitivity
from dashboard.analysis.question import DOUBTS, Correction, Design, Outcome, StateBy
from dashboard.analysis.rendering.models import model_rule
from dashboard.analysis.rendering.numbers import (
    bounds_text,
    correction_name,
    exact_df,
    how_many,
    interval_text,
    lags_text,
    names_of,
    number,
    p_equals,
    people,
    percent,
    settling_text,
    states_text,
)
from dashboard.analysis.rendering.tests import family_rule
from dashboard.analysis.results import AgreementModel, By, Conclusion, IntervalModel, Source
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import state_name, vital_in_text, vital_label, with_and
from dashboard.statistics.heart import MINIMUM_S
from dashboard.statistics.samples import MINIMUM
from edge_agent.core.readings import VitalFlag


def about_values(analysis: Analysis) -> tuple[str, ...]:
    """Return what the values are made of, as far as it must be known before them."""
    return about_settling(analysis), about_baseline(analysis)


def about_readings(analysis: Analysis) -> tuple[str, ...]:
    """Return which readings are left out."""
    return about_flags(analysis), about_sources(analysis)


def about_flags(analysis: Analysis) -> str:
    """Say what became of the readings in doubt, those left out first."""
    left_out = analysis.flagged_left_out
    counted = analysis.flagged - left_out
    texts = []
    if left_out:
        flags = sorted({gettext(FLAG_WORDS[one.flag]) for one in analysis.left_out})
        texts.append(
            ngettext(
                "{n} reading in doubt is left out of all means and tests ({flags}).",
                "{n} readings in doubt are left out of all means and tests ({flags}).",
                left_out,
            ).format(n=thousands(left_out), flags=", ".join(flags))
        )
        texts.append(_changes(analysis))
    if counted:
        texts.append(
            ngettext(
                "{n} reading in doubt is counted in the means, as chosen.",
                "{n} readings in doubt are counted in the means, as chosen.",
                counted,
            ).format(n=thousands(counted))
        )
    return " ".join(texts)


FLAG_WORDS = {
    VitalFlag.OUT_OF_RANGE: N_("out of range"),
    VitalFlag.CONTACT_LOST: N_("contact lost"),
    VitalFlag.ESTIMATED: N_("estimated"),
    VitalFlag.CLOCK_DIFFERS: N_("clock differs"),
    VitalFlag.POOR_SIGNAL: N_("poor signal"),
    VitalFlag.ARTEFACT: N_("artefact"),
}
"""What the flags of readings are called in a list."""


def _changes(analysis: Analysis) -> str:
    """Say how many conclusions would be others if every reading counted."""
    changed = sum(test.with_all is not None and test.with_all.changes for test in analysis.family)
    if not changed:
        return gettext("If every reading counted, each test would reach the same conclusion.")
    return ngettext(
        "If every reading counted, {n} test of {total} would reach another conclusion; see below.",
        "If every reading counted, {n} tests of {total} would reach another conclusion; see below.",
        changed,
    ).format(n=changed, total=len(analysis.family))


def about_settling(analysis: Analysis) -> str:
    """Say where the beginnings of stimuli that are left out take all readings of a state."""
    texts = [
        gettext(
            "{vital}: the first {seconds} s of each stimulus are left out, and with them all "
            "readings in {n} of the participants’ states. Such stimuli are too short for this "
            "vital; a shorter settling time measures the time before as well."
        ).format(vital=vital_label(one.vital), seconds=general(one.seconds), n=one.emptied)
        for one in analysis.settling
        if one.emptied
    ]
    return " ".join(texts)


def about_baseline(analysis: Analysis) -> str:
    """Say what a change from baseline means, and how many sessions have none."""
    if analysis.query.outcome is not Outcome.CHANGE:
        return ""
    lacking = analysis.without_baseline
    text = gettext(
        "Values are changes from the participant’s baseline in the same session. A difference "
        "between two states of one session is the same with and without it; groups of different "
        "people differ less by their usual level."
    )
    if not lacking:
        return text
    left_out = ngettext(
        "{n} session has no baseline for a vital; its readings there are left out.",
        "{n} sessions have no baseline for a vital; its readings there are left out.",
        lacking,
    ).format(n=lacking)
    return f"{text} {left_out}"


def about_sources(analysis: Analysis) -> str:
    """Say whose readings count in no mean because another source measured the same."""
    counts: Counter[tuple[str, str]] = Counter()
    sessions = {group.session for group in analysis.passed_over}
    for group in analysis.passed_over:
        counts[vital_in_text(group.kind), group.source] += group.n
    if not counts:
        return ""
    left_out = ", ".join(
        gettext("{n} of {vital} by {source}").format(n=thousands(n), vital=name, source=source)
        for (name, source), n in sorted(counts.items())
    )
    return ngettext(
        "Several sources measured the same vital in {n} session. Only one of them counts in "
        "each, because the mean of two sensors belongs to neither. Readings left out: "
        "{readings}. prefer_source says which one counts.",
        "Several sources measured the same vital in {n} sessions. Only one of them counts in "
        "each, because the mean of two sensors belongs to neither. Readings left out: "
        "{readings}. prefer_source says which one counts.",
        len(sessions),
    ).format(n=len(sessions), readings=left_out)


def flag_rule(analysis: Analysis) -> str:
    """Say which readings are left out for their flags, for the methods section."""
    query = analysis.query
    left_out = [flag.value for flag in DOUBTS if flag not in query.counted]
    counted = [flag.value for flag in DOUBTS if flag in query.counted]
    texts = []
    if left_out:
        texts.append(
            gettext("Readings flagged {flags} are excluded from all means and tests.").format(
                flags=", ".join(left_out)
            )
        )
    if counted:
        texts.append(
            gettext("Readings flagged {flags} count, as asked.").format(flags=", ".join(counted))
        )
    return " ".join(texts)


def method_of(analysis: Analysis) -> tuple[str, ...]:
    """Say how the numbers were computed, fit for the methods section of a paper."""
    return (
        _state_rule(analysis),
        f"{gettext(_UNIT_RULE)} {flag_rule(analysis)}",
        f"{gettext(_TEST_RULES[analysis.query.design]).format(minimum=MINIMUM)} {gettext(_SIDES)}",
        family_rule(analysis),
        gettext(_EFFECT_RULE),
        gettext(_SUPPLEMENT_RULE),
        model_rule(analysis.query.correction),
        *_site_rule(analysis),
        _equivalence_rule(analysis),
        *(
            (gettext(_ALL_STATES_RULE).format(count=how_many(len(analysis.query.states))),)
            if len(analysis.query.states) > 2
            else ()
        ),
        gettext(_AGREEMENT_RULE),
        *((gettext(_VARIABILITY_RULE),) if analysis.variability else ()),
    )


def _site_rule(analysis: Analysis) -> tuple[str, ...]:
    """Say what several sites mean; nothing where there is one."""
    if not analysis.sites:
        return ()
    text = gettext(
        "People of {n} sites are pooled: {sites}. The same code at two sites counts as two "
        "people, because a code identifies a person at one site only. The mixed model has the "
        "site as a fixed effect; the t-tests ignore it: paired tests compare each person with "
        "themselves, and in tests of independent groups a difference between sites may be "
        "mistaken for one between states."
    )
    names = sorted(set(analysis.sites.values()))
    return (text.format(n=len(names), sites=", ".join(names)),)


def assumptions_of(analysis: Analysis) -> tuple[str, ...]:
    """Return the assumptions of the tests, and how to check each."""
    texts = [
        gettext("People are independent of each other, and nobody takes part under two codes."),
        gettext(
            "The t-tests assume that the differences between a person’s two means (with Welch’s "
            "test, the means in each group) are normally distributed. With many people this "
            "matters little; with few, check whether the rank test agrees."
        ),
        gettext("The equivalence bounds were declared before anybody looked at the numbers."),
    ]
    if analysis.query.state is not StateBy.CONDITION:
        texts.append(
            gettext(
                "People do not show or report emotions at random. A difference between such "
                "states is an association; only a difference between conditions in balanced "
                "order is an effect of the stimulus."
            )
        )
    if analysis.query.correction is Correction.BENJAMINI_HOCHBERG:
        texts.append(
            gettext(
                "Benjamini and Hochberg’s method assumes that the tests are independent or "
                "positively related. It keeps the share of errors among the findings at 5 %, not "
                "the chance of any error."
            )
        )
    return tuple(texts)


_UNIT_RULE = N_(
    "The unit is one participant. Readings are averaged within each session and state; a paired "
    "difference is the average, over the person’s sessions with both states, of the differences "
    "within a session, each session with the same weight. Differences are first state minus second."
)
_SIDES = N_("All tests are two-sided. Intervals are 95 % and not adjusted for the number of tests.")
_TEST_RULES = {
    Design.AUTO: N_(
        "Where at least {minimum} participants have both states, Student’s paired t-test of their "
        "differences; otherwise, where at least {minimum} participants on each side have only that "
        "state, Welch’s t-test of two groups."
    ),
    Design.PAIRED: N_(
        "Where at least {minimum} participants have both states, Student’s paired t-test of their "
        "differences, as asked."
    ),
    Design.INDEPENDENT: N_(
        "Where at least {minimum} participants on each side have only that state, Welch’s t-test "
        "of two groups, as asked."
    ),
}
_ALL_STATES_RULE = N_(
    "All {count} states at once: repeated-measures analysis of variance over the participants "
    "who have all {count}, with degrees of freedom always corrected by Greenhouse and Geisser’s "
    "ε. The pairwise tests do not depend on its result, and its p is not adjusted for the "
    "number of vital signs."
)
_AGREEMENT_RULE = N_(
    "Agreement of condition, face and self-report: one judgement is one stimulus; Cohen’s κ with "
    "an interval that counts participants (Fleiss, Cohen & Everitt 1969, summed by participant)."
)
_VARIABILITY_RULE = N_(
    "Variability: RMSSD and SDNN of the intervals between beats (Task Force 1996). Beats that do "
    "not fit the rhythm around them are found by thresholds that follow it (Lipponen & Tarvainen "
    "2019); intervals that such a beat touches count in neither measure. Both are computed within "
    "each session and then averaged over a person’s sessions."
)
_EFFECT_RULE = N_(
    "Effect size: Hedges’ g = J · difference / √((s₁² + s₂²) / 2), g_av for pairs, with the exact "
    "small-sample correction J; its interval is from the noncentral t distribution (Algina & "
    "Keselman 2003 for pairs, Delacre et al. 2021 for groups)."
)
_SUPPLEMENT_RULE = N_(
    "Beside the t-test: Shapiro–Wilk of the differences (of both groups with Welch), and the "
    "Wilcoxon signed-rank or Mann–Whitney test, exact in small samples. Neither decides which "
    "t-test is used. The p of the rank test, adjusted over the family, decides whether it "
    "agrees."
)


def _equivalence_rule(analysis: Analysis) -> str:
    return gettext(
        "Equivalence: two one-sided t-tests against {bounds}, adjusted over the family by the "
        "same method as the t-tests; unless changed, the bounds are the error that the "
        "standards allow a device. People needed: for a difference of that size, the spread so "
        "far, a power of 80 % and the level that the smallest p of the family must reach."
    ).format(bounds=bounds_text(analysis.query))


def share_text(analysis: Analysis) -> str:
    """Return which share of a window one emotion must hold, as in ``70 %``."""
    return f"{general(100 * analysis.query.share)} %"


def _state_rule(analysis: Analysis) -> str:
    query = analysis.query
    if query.state is StateBy.CONDITION:
        text = gettext(
            "The state of a reading is the condition (stimulus) that was running when it was "
            "taken, if its label is {states}."
        ).format(states=states_text(query))
        return f"{text} {settling_text(query)}"
    if query.state is StateBy.REPORTED:
        text = gettext(
            "The state of a reading is the emotion that the participant reported for the "
            "stimulus that was running when it was taken: the last report before the next "
            "stimulus."
        )
        return f"{text} {settling_text(query)}"
    text = gettext(
        "The state of a reading is the emotion observed on the participant’s face before it: the "
        "smoothed label that holds at least {share} of the {window} s which end {lags}."
    ).format(share=share_text(analysis), window=general(query.window), lags=lags_text(query))
    timed = gettext(
        "Where the states of a session took turns, its means are at equal times (least squares of "
        "the readings by state and minutes)."
    )
    return f"{text} {timed}"


_SOURCES = {"condition": N_("condition"), "observed": N_("face"), "reported": N_("self-report")}
_CONCLUSIONS = {
    Conclusion.HIGHER: N_("a rise"),
    Conclusion.LOWER: N_("a fall"),
    Conclusion.NOT_SHOWN: N_("no significant difference"),
    Conclusion.NO_TEST: N_("no test"),
}


def source_name(source: Source) -> str:
    """Return what people call a source of states."""
    return gettext(_SOURCES[source])


def conclusion_name(conclusion: Conclusion) -> str:
    """Return what people call a conclusion."""
    return gettext(_CONCLUSIONS[conclusion])


def all_states_sentence(states: VitalStates) -> str:
    """Say whether a vital differs between the states at all; where order and state hang together,
    the figures alone.
    """
    count = how_many(states.states)
    anova = states.comparison.anova
    name = vital_label(states.kind)
    if anova is None:
        start = gettext("{vital}, all {count} states at once: no test.")
        return f"{start.format(vital=name, count=count)} {_why_no_anova(states)}"
    df = with_and([exact_df(value) for value in anova.corrected_df])
    figures = gettext(
        "{people}, F = {f} with {df} degrees of freedom after Greenhouse and Geisser, p {p}, "
        "generalized η² = {eta}; {method} p {adjusted}"
    ).format(
        people=people(anova.n),
        f=number(anova.f, 2),
        df=df,
        p=p_equals(anova.corrected_p),
        eta=number(anova.generalized_eta_squared, 2),
        method=correction_name(states.correction),
        adjusted=p_equals(states.adjusted_p or 0.0),
    )
    return _all_states_claim(states).format(vital=name, count=count, figures=figures)


def _all_states_claim(states: VitalStates) -> str:
    if states.uneven:
        return gettext(
            "{vital} between the {count} states overall: {figures}. This ignores time in the "
            "session, so it only describes."
        )
    if states.differs:
        return gettext("{vital} differed between the {count} states overall ({figures}).")
    return gettext(
        "{vital} did not differ significantly between the {count} states overall ({figures})."
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
        "The states differ by the same amounts for everybody, so there is no spread to test "
        "them against."
    )


def agreement_sentence(agreement: AgreementModel) -> str:
    """Say how often two sources named the same emotion, and whether that is more than chance."""
    first = source_name(agreement.first)
    names = {"first": first[:1].upper() + first[1:], "second": source_name(agreement.second)}
    if agreement.kappa is None:
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
        observed=percent(agreement.observed or 0.0),
        expected=percent(agreement.expected or 0.0),
        kappa=_kappa(agreement.kappa, agreement.interval),
    )
    texts = [text, _why_no_interval(agreement), _unanswered(agreement.left_out)]
    return " ".join(text for text in texts if text)


def _unanswered(left_out: int) -> str:
    if not left_out:
        return ""
    return ngettext(
        "{n} stimulus where one of the two gave no answer is left out.",
        "{n} stimuli where one of the two gave no answer are left out.",
        left_out,
    ).format(n=thousands(left_out))


def _kappa(kappa: float, interval: IntervalModel | None) -> str:
    text = number(kappa, 2)
    if interval is None:
        return text
    ends = interval_text(interval.low, interval.high, 2)
    return gettext("{value} (95 % CI {interval})").format(value=text, interval=ends)


def _why_no_interval(agreement: AgreementModel) -> str:
    """Return the reason as a sentence; empty where there is an interval."""
    match agreement.no_interval:
        case None:
            return ""
        case "too_few":
            return gettext("An interval needs at least 3 people.")
        case "perfect":
            return gettext(
                "It has no interval, because the formula gives no uncertainty when all answers "
                "agree."
            )
        case "no_spread":
            return gettext("It has no interval, because no person differs from another.")
        case "constant":
            return _constant(agreement)


def _constant(agreement: AgreementModel) -> str:
    """Say which source always gave one label: kappa is 0 then, whatever the other one said."""
    rows = [label for label, row in zip(agreement.labels, agreement.table, strict=True) if any(row)]
    # The first source, unless it used several labels: then it is the second that used one.
    source = agreement.first
    labels = rows
    if len(rows) > 1:
        source = agreement.second
        columns = zip(agreement.labels, zip(*agreement.table, strict=True), strict=True)
        labels = [label for label, column in columns if any(column)]
    return gettext(
        "It has no interval and says nothing here, because the {source} always gave {label}."
    ).format(source=source_name(source), label=state_name(labels[0]))


def variability_sentence(states: Sequence[StateVariability]) -> str:
    """Say for how many recordings the variability could be computed."""
    computed = sum(len(one.sessions) for one in states)
    refused = sum(len(one.refused) for one in states)
    texts = [
        gettext(
            "{n} of {total} recordings (one state in one session) give values from the intervals "
            "between beats."
        ).format(n=thousands(computed), total=thousands(computed + refused)),
        _ultra_short(sum(one.ultra_short for one in states)),
        _averaged(states),
        _without_numbers(states),
        gettext("Compare SDNN only between states that lasted equally long."),
    ]
    return " ".join(text for text in texts if text)


def _averaged(states: Sequence[StateVariability]) -> str:
    if all(len(one.sessions) < 2 for one in states):
        return ""
    return gettext("Of several sessions of a person, the table has the mean of their values.")


def _ultra_short(count: int) -> str:
    if not count:
        return ""
    return ngettext(
        "{n} of them is shorter than the standard five minutes (ultra-short).",
        "{n} of them are shorter than the standard five minutes (ultra-short).",
        count,
    ).format(n=count)


def _without_numbers(states: Sequence[StateVariability]) -> str:
    """Say how many people lack a number somewhere and why; empty where nobody does."""
    without = [one for one in states if one.refused]
    if not without:
        return ""
    artefacts = sum(one.many_artefacts for one in without)
    short = sum(len(one.refused) for one in without) - artefacts
    reasons = []
    if artefacts:
        text = gettext("{n} with more than a fifth of the beats corrected")
        reasons.append(text.format(n=artefacts))
    if short:
        text = gettext("{n} with less than {seconds} s of intervals")
        reasons.append(text.format(n=short, seconds=general(MINIMUM_S)))
    everybody = {one.participant for one in states}
    lacking = {one.participant for one in without}
    text = ngettext(
        "{n} of {people} lacks a number in at least one recording: {reasons}.",
        "{n} of {people} lack a number in at least one recording: {reasons}.",
        len(lacking),
    ).format(n=len(lacking), people=people(len(everybody)), reasons=", ".join(reasons))
    if not artefacts:
        return text
    beside = gettext(
        "This excludes people with many early beats more often than others, so the rest may not "
        "represent everybody."
    )
    return f"{text} {beside}"


def sensitivity_sentence(
    test: VitalComparison, sensitivity: Sensitivity[MatchingChoice] | Sensitivity[SettlingChoice]
) -> str:
    """Say whether a conclusion depends on the choices of windows and lags, or settling times."""
    # All variants of a table are of one kind.
    settling = isinstance(sensitivity.variants[0].choice, SettlingChoice)
    if sensitivity.changed:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion}, but another conclusion with {n} of "
            "{total} windows and lags. Treat this as tentative."
        )
        if settling:
            text = gettext(
                "{vital}, {first} and {second}: {conclusion}, but another conclusion with {n} "
                "of {total} settling times. Treat this as tentative."
            )
    elif settling:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion} under all {total} settling times."
        )
    else:
        text = gettext(
            "{vital}, {first} and {second}: {conclusion} under all {total} windows and lags."
        )
    told = text.format(
        **names_of(test.kind, test.first, test.second),
        conclusion=conclusion_name(sensitivity.chosen.conclusion),
        n=sensitivity.changed,
        total=len(sensitivity.variants),
    )
    if test.result.by in (None, By.PAIRED, By.WELCH):
        return told
    return f"{told} {gettext('These are t-tests; the result is of another analysis.')}"


def _stimuli(count: int) -> str:
    return ngettext("{n} stimulus", "{n} stimuli", count).format(n=thousands(count))
