"""What a reader must know before believing the numbers, what they take for granted, how they were
computed. Pure.
"""

from __future__ import annotations

from dashboard.analysis.present.exclusion_text import about_readings, about_values, flag_rule
from dashboard.analysis.present.misreading_text import misreading_sentences, mixture_warning
from dashboard.analysis.present.period_text import period_cautions
from dashboard.analysis.present.study.family_text import family_rule
from dashboard.analysis.present.study.group_text import group_warning
from dashboard.analysis.present.study.model_text import model_rule
from dashboard.analysis.present.text import (
    bounds_text,
    how_many,
    lags_text,
    people,
    percent,
    settling_text,
    states_text,
    vital_name,
)
from dashboard.analysis.request import Correction, Sample, StateBy
from dashboard.analysis.results import Analysis
from dashboard.analysis.states import Design
from dashboard.statistics import MINIMUM

_MANY_READINGS = 10
_UNEVEN_PEOPLE = 2
_UNEVEN_READINGS = 3
_SAME_ORDER = 0.8
_FEW_MATCHED = 0.5


def warnings_of(analysis: Analysis) -> tuple[str, ...]:
    """Return what a reader must know before believing any number, gravest first."""
    texts = (
        _about_simulation(analysis),
        _about_estimates(analysis),
        _about_sessions(analysis),
        _about_one_person(analysis),
        _about_few_matches(analysis),
        mixture_warning(analysis),
        group_warning(analysis),
        *about_values(analysis),
    )
    return tuple(text for text in texts if text)


def cautions_of(analysis: Analysis) -> tuple[str, ...]:
    """Return what a reader must weigh when concluding from the numbers."""
    texts = (
        _about_left_out_estimates(analysis),
        *about_readings(analysis),
        _about_repeats(analysis),
        _about_left_out(analysis),
        *_about_uneven_states(analysis),
        _about_order(analysis),
        *period_cautions(analysis),
        _about_matching(analysis),
        *misreading_sentences(analysis),
        _about_reports(analysis),
        _about_other_states(analysis),
        _about_open_session(analysis),
        _about_looks(analysis),
    )
    return tuple(text for text in texts if text)


def _about_simulation(analysis: Analysis) -> str:
    simulated = analysis.simulated_readings
    readings = analysis.readings
    if not simulated:
        return ""
    if simulated < readings:
        return (
            f"Simulated and measured readings are mixed: {simulated:,} of {readings:,} are "
            "simulated. These numbers say nothing about people; select sessions of one kind."
        )
    return (
        "All of these readings are simulated. They show how the page works and say nothing "
        "about people."
    )


def _about_sessions(analysis: Analysis) -> str:
    if not analysis.sessions:
        wanted = {Sample.MEASURED: "no measured session", Sample.EXAMPLE: "no example study"}
        return (
            f"There is {wanted.get(analysis.sample, 'no session selected')}, so there is "
            "nothing to compare."
        )
    if analysis.query.sample is Sample.AUTO and analysis.sample is Sample.EXAMPLE:
        return (
            f"No measured session has readings in {states_text(analysis.query)} yet; the example "
            "study is shown instead."
        )
    return ""


def _about_repeats(analysis: Analysis) -> str:
    means = len(analysis.means)
    if not means or analysis.readings < _MANY_READINGS * means:
        return ""
    return (
        f"The {analysis.readings:,} readings come from {people(len(analysis.participants))}. "
        "However many readings a person gives, that person counts once in each state (n = 1): "
        "more readings make a mean steadier, not n larger."
    )


def _about_left_out(analysis: Analysis) -> str:
    most = max((test.comparison.left_out for test in analysis.family), default=0)
    if not most:
        return ""
    return (
        f"Some tests leave out up to {people(most)}: a paired test uses only people with both "
        "states in one session, Welch’s only people with one of them. The table says how many each."
    )


def _about_estimates(analysis: Analysis) -> str:
    estimated = analysis.estimated_readings
    readings = analysis.readings
    if not estimated:
        return ""
    if estimated < readings:
        return (
            f"Estimated and measured readings are mixed: {estimated:,} of {readings:,} are "
            "estimated, which is no measurement. Select sessions of one kind."
        )
    return (
        "All of these readings are estimated and not measured. The tests are about the estimates."
    )


def _about_left_out_estimates(analysis: Analysis) -> str:
    left_out = analysis.estimated_left_out
    if not left_out:
        return ""
    readings = f"{left_out:,} estimated reading{'s are' if left_out > 1 else ' is'}"
    why = (
        "an estimate, such as the camera’s pulse, is no measurement and counts only when you "
        "select it."
    )
    return f"{readings} left out: {why}"


def _about_one_person(analysis: Analysis) -> str:
    if len(analysis.participants) != 1:
        return ""
    return (
        f"All {analysis.readings:,} readings come from one person. However many readings a person "
        f"gives, that is n = 1, and nothing can be said about people: at least {MINIMUM} are "
        "needed, and many more for a good answer."
    )


def _about_few_matches(analysis: Analysis) -> str:
    m = analysis.matching
    if (
        m is None
        or not m.matched
        or m.matched >= _FEW_MATCHED * (total := m.matched + m.unmatched + m.ambiguous)
    ):
        return ""
    return (
        f"Only {percent(m.matched / total)} of the readings could be matched to an emotion. They "
        "are not a random selection: the means may describe moments in which the face was easy to "
        "read."
    )


def _about_uneven_states(analysis: Analysis) -> list[str]:
    """Say where the states have very different numbers of people, or of readings a person."""
    texts = []
    for kind in analysis.query.vital:
        own = {s.state: s for s in analysis.summaries if s.kind is kind and s.summary is not None}
        heads = {state: s.summary.n for state, s in own.items() if s.summary is not None}
        each = {state: own[state].readings / n for state, n in heads.items()}
        if _ratio(heads) >= _UNEVEN_PEOPLE:
            texts.append(
                f"{vital_name(kind)}: the states have uneven numbers of people ({_listed(heads)}). "
                "People are seldom missing from a state by chance."
            )
        if _ratio(each) >= _UNEVEN_READINGS:
            texts.append(
                f"{vital_name(kind)}: the states have uneven numbers of readings a person "
                f"({_listed(each)}). The mean of few readings is less steady."
            )
    return texts


def _ratio(numbers: dict[str, int] | dict[str, float]) -> float:
    if numbers:
        return max(numbers.values()) / min(numbers.values())
    return 1.0


def _listed(numbers: dict[str, int] | dict[str, float]) -> str:
    return ", ".join(f"{value:.0f} in {state}" for state, value in numbers.items())


def _about_order(analysis: Analysis) -> str:
    orders = analysis.orders
    total = sum(analysis.orders.values())
    if total < MINIMUM:
        return ""
    order, count = max(orders.items(), key=lambda item: item[1])
    if count < _SAME_ORDER * total:
        return ""
    if count == total:
        who = f"All {people(total)}"
    else:
        who = f"{count} of {people(total)}"
    return (
        f"{who} met the states in the same order ({', '.join(order)}). A difference may come "
        "from the order: habituation, fatigue, or the state before. Balance the order "
        "between participants."
    )


def _about_matching(analysis: Analysis) -> str:
    m = analysis.matching
    if m is None or not (m.unmatched or m.ambiguous):
        return ""
    return (
        f"Of the readings, {m.matched:,} could be matched to an observed emotion; {m.unmatched:,} "
        f"could not because no face was recorded in the window, and {m.ambiguous:,} because no "
        f"emotion held {_percent(analysis)} of it."
    )


def _about_reports(analysis: Analysis) -> str:
    if not analysis.unreported:
        return ""
    return (
        f"Of {analysis.unreported:,} stimul{'us' if analysis.unreported == 1 else 'i'} nothing was "
        "reported; the readings of that time are left out."
    )


def _about_other_states(analysis: Analysis) -> str:
    if not analysis.other_states:
        return ""
    listed = ", ".join(
        f"{label} ({count:,})" for label, count in list(analysis.other_states.items())[:12]
    )
    more = ", …" if len(analysis.other_states) > 12 else ""
    return f"Readings in other states are not tested: {listed}{more}."


def _about_open_session(analysis: Analysis) -> str:
    if all(session.end_ms is not None for session in analysis.sessions):
        return ""
    return "A session is still open: the numbers will change. Draw conclusions when it has ended."


def _about_looks(analysis: Analysis) -> str:
    if not analysis.tests_computed:
        return ""
    return (
        "Every look at growing data is another chance of a false finding: in studies without "
        "any effect, one look at p < 0.05 finds something in 5 %, five looks in 14 % "
        "(Armitage, McPherson & Rowe 1969). Decide beforehand how many people take part, and "
        "conclude from the look at the end."
    )


def method_of(analysis: Analysis) -> tuple[str, ...]:
    """Say how the numbers were computed, fit for the methods section of a paper."""
    return (
        _state_rule(analysis),
        f"{_UNIT_RULE} {flag_rule(analysis)}",
        _TEST_RULES[analysis.query.design],
        family_rule(analysis),
        _EFFECT_RULE,
        _SUPPLEMENT_RULE,
        model_rule(analysis.query.correction),
        _equivalence_rule(analysis),
        _ALL_STATES_RULE.format(count=how_many(len(analysis.query.states))),
        _AGREEMENT_RULE,
        *((_VARIABILITY_RULE,) if analysis.variability else ()),
    )


def assumptions_of(analysis: Analysis) -> tuple[str, ...]:
    """Return the assumptions of the tests, and how to check each."""
    texts = [
        "People are independent of each other, and nobody takes part under two codes.",
        (
            "The t-tests take the differences between a person’s two means (with Welch’s test the "
            "means in each group) for normally distributed. With many people this matters little; "
            "with few, check whether the rank test agrees."
        ),
        "The equivalence bounds were declared before anybody looked at the numbers.",
    ]
    if analysis.query.state is not StateBy.CONDITION:
        texts.append(
            "Who shows or reports which emotion, and when, is not random. A difference "
            "between such states is an association; only a difference between conditions in "
            "balanced order is an effect of the stimulus."
        )
    if analysis.query.correction is Correction.BENJAMINI_HOCHBERG:
        texts.append(
            "Benjamini and Hochberg’s method assumes that the tests are independent or positively "
            "related. It keeps the share of errors among the findings at 5 %, not the chance of "
            "any error."
        )
    return tuple(texts)


_UNIT_RULE = (
    "The unit is one participant. Readings are averaged within each session and state; a paired "
    "difference is the average, over the person’s sessions with both states, of the differences "
    "within a session, each session with the same weight. Differences are first state minus second."
)
_SIDES = "All tests are two-sided. Intervals are 95 % and not adjusted for the number of tests."
_PAIRED_RULE = (
    f"at least {MINIMUM} participants have both states, Student’s paired t-test of "
    "their differences"
)
_WELCH_RULE = (
    f"at least {MINIMUM} participants on each side have only that state, Welch’s t-test "
    "of two groups"
)
_TEST_RULES = {
    Design.AUTO: f"Where {_PAIRED_RULE}; otherwise, where {_WELCH_RULE}. {_SIDES}",
    Design.PAIRED: f"Where {_PAIRED_RULE}, as asked. {_SIDES}",
    Design.INDEPENDENT: f"Where {_WELCH_RULE}, as asked. {_SIDES}",
}
_ALL_STATES_RULE = (
    "All {count} states at once: repeated-measures analysis of variance over the participants who "
    "have all {count}, degrees of freedom corrected by Greenhouse and Geisser’s ε always. The "
    "pairwise tests do not wait for it, and its p is not adjusted for the number of vital signs."
)
_AGREEMENT_RULE = (
    "Agreement of condition, face and self-report: one judgement is one stimulus; Cohen’s κ with "
    "an interval that counts participants (Fleiss, Cohen & Everitt 1969, summed by participant)."
)
_VARIABILITY_RULE = (
    "Variability: RMSSD and SDNN of the intervals between beats (Task Force 1996). Beats that do "
    "not fit the rhythm around them are found by thresholds that follow it (Lipponen & Tarvainen "
    "2019); intervals that such a beat touches count in neither measure."
)
_EFFECT_RULE = (
    "Effect size: Hedges’ g = J · difference / √((s₁² + s₂²) / 2), g_av for pairs, with the exact "
    "small-sample correction J; its interval is from the noncentral t distribution (Algina & "
    "Keselman 2003 for pairs, Delacre et al. 2021 for groups)."
)
_SUPPLEMENT_RULE = (
    "Beside the t-test: Shapiro–Wilk of the differences (of both groups with Welch), and the "
    "Wilcoxon signed-rank or Mann–Whitney test, exact up to 50 values. Neither decides which "
    "t-test is used. Whether the rank test agrees is judged by its p adjusted over the family."
)


def _equivalence_rule(analysis: Analysis) -> str:
    bounds = bounds_text(analysis.query)
    return (
        f"Equivalence: two one-sided t-tests against {bounds}, adjusted over the family by the "
        "same method as the t-tests; where the bounds were not changed, they are what the "
        "standards allow a device to be wrong by. People needed: for a difference of that size, "
        "the spread so far, a power of 80 % and the level that the smallest p of the family must "
        "reach."
    )


def _percent(analysis: Analysis) -> str:
    return f"{100 * analysis.query.share:g} %"


def _state_rule(analysis: Analysis) -> str:
    query = analysis.query
    if query.state is StateBy.CONDITION:
        return (
            "The state of a reading is the condition (stimulus) that went on when it was taken, if "
            f"its label is {states_text(query)}. {settling_text(query)}"
        )
    if query.state is StateBy.REPORTED:
        return (
            "The state of a reading is the emotion that the participant reported of the stimulus "
            "that went on when it was taken: the last report before the next stimulus. "
            f"{settling_text(query)}"
        )
    return (
        "The state of a reading is the emotion observed on the participant’s face before it: the "
        f"smoothed label that holds at least {_percent(analysis)} of the {query.window:g} s which "
        f"end {lags_text(query)}."
    )
