"""How the numbers of an analysis were computed, and what they take for granted, in words."""

from __future__ import annotations

from dashboard.analysis.present.exclusion_text import flag_rule
from dashboard.analysis.present.study.family_text import family_rule
from dashboard.analysis.present.study.model_text import model_rule
from dashboard.analysis.present.text import (
    bounds_text,
    how_many,
    lags_text,
    settling_text,
    states_text,
)
from dashboard.analysis.request import Correction, StateBy
from dashboard.analysis.results import Analysis
from dashboard.analysis.states import Design
from dashboard.languages.current import N_, gettext
from dashboard.languages.figures import general
from dashboard.statistics import MINIMUM


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
        gettext(_ALL_STATES_RULE).format(count=how_many(len(analysis.query.states))),
        gettext(_AGREEMENT_RULE),
        *((gettext(_VARIABILITY_RULE),) if analysis.variability else ()),
    )


def _site_rule(analysis: Analysis) -> tuple[str, ...]:
    """Say what several sites mean; nothing where there is one."""
    if not analysis.sites:
        return ()
    text = gettext(
        "People of {n} sites are pooled: {sites}. The same code at two sites is two people, for a "
        "code says who somebody is at one site only. The mixed model has the site as a fixed "
        "effect; the t-tests do not know it: paired ones compare each person with themselves, and "
        "in tests of independent groups a difference between sites may be taken for one between "
        "states."
    )
    names = sorted(set(analysis.sites.values()))
    return (text.format(n=len(names), sites=", ".join(names)),)


def assumptions_of(analysis: Analysis) -> tuple[str, ...]:
    """Return the assumptions of the tests, and how to check each."""
    texts = [
        gettext("People are independent of each other, and nobody takes part under two codes."),
        gettext(
            "The t-tests take the differences between a person’s two means (with Welch’s test the "
            "means in each group) for normally distributed. With many people this matters little; "
            "with few, check whether the rank test agrees."
        ),
        gettext("The equivalence bounds were declared before anybody looked at the numbers."),
    ]
    if analysis.query.state is not StateBy.CONDITION:
        texts.append(
            gettext(
                "Who shows or reports which emotion, and when, is not random. A difference between "
                "such states is an association; only a difference between conditions in balanced "
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
    "All {count} states at once: repeated-measures analysis of variance over the participants who "
    "have all {count}, degrees of freedom corrected by Greenhouse and Geisser’s ε always. The "
    "pairwise tests do not wait for it, and its p is not adjusted for the number of vital signs."
)
_AGREEMENT_RULE = N_(
    "Agreement of condition, face and self-report: one judgement is one stimulus; Cohen’s κ with "
    "an interval that counts participants (Fleiss, Cohen & Everitt 1969, summed by participant)."
)
_VARIABILITY_RULE = N_(
    "Variability: RMSSD and SDNN of the intervals between beats (Task Force 1996). Beats that do "
    "not fit the rhythm around them are found by thresholds that follow it (Lipponen & Tarvainen "
    "2019); intervals that such a beat touches count in neither measure."
)
_EFFECT_RULE = N_(
    "Effect size: Hedges’ g = J · difference / √((s₁² + s₂²) / 2), g_av for pairs, with the exact "
    "small-sample correction J; its interval is from the noncentral t distribution (Algina & "
    "Keselman 2003 for pairs, Delacre et al. 2021 for groups)."
)
_SUPPLEMENT_RULE = N_(
    "Beside the t-test: Shapiro–Wilk of the differences (of both groups with Welch), and the "
    "Wilcoxon signed-rank or Mann–Whitney test, exact in small samples. Neither decides which "
    "t-test is used. Whether the rank test agrees is judged by its p adjusted over the family."
)


def _equivalence_rule(analysis: Analysis) -> str:
    return gettext(
        "Equivalence: two one-sided t-tests against {bounds}, adjusted over the family by the same "
        "method as the t-tests; where the bounds were not changed, they are what the standards "
        "allow a device to be wrong by. People needed: for a difference of that size, the spread "
        "so far, a power of 80 % and the level that the smallest p of the family must reach."
    ).format(bounds=bounds_text(analysis.query))


def share_text(analysis: Analysis) -> str:
    """Return which share of a window one emotion must hold, as in ``70 %``."""
    return f"{general(100 * analysis.query.share)} %"


def _state_rule(analysis: Analysis) -> str:
    query = analysis.query
    if query.state is StateBy.CONDITION:
        text = gettext(
            "The state of a reading is the condition (stimulus) that went on when it was taken, if "
            "its label is {states}."
        ).format(states=states_text(query))
        return f"{text} {settling_text(query)}"
    if query.state is StateBy.REPORTED:
        text = gettext(
            "The state of a reading is the emotion that the participant reported of the stimulus "
            "that went on when it was taken: the last report before the next stimulus."
        )
        return f"{text} {settling_text(query)}"
    return gettext(
        "The state of a reading is the emotion observed on the participant’s face before it: the "
        "smoothed label that holds at least {share} of the {window} s which end {lags}."
    ).format(share=share_text(analysis), window=general(query.window), lags=lags_text(query))
