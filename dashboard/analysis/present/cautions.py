"""What a reader must know before believing the numbers, and weigh when concluding from them."""

from __future__ import annotations

from dashboard.analysis.present.exclusion_text import about_readings, about_values
from dashboard.analysis.present.method_text import share_text
from dashboard.analysis.present.misreading_text import misreading_sentences, mixture_warning
from dashboard.analysis.present.missing_text import missing_cautions, missing_warnings
from dashboard.analysis.present.period_text import period_cautions
from dashboard.analysis.present.study.group_text import group_warning
from dashboard.analysis.present.text import people, percent, states_text, vital_name
from dashboard.analysis.request import Sample
from dashboard.analysis.results import Analysis
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import thousands
from dashboard.languages.names import state_name
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
        *missing_warnings(analysis),
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
        *missing_cautions(analysis),
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
        return gettext(
            "Simulated and measured readings are mixed: {simulated} of {readings} are simulated. "
            "These numbers say nothing about people; select sessions of one kind."
        ).format(simulated=thousands(simulated), readings=thousands(readings))
    return gettext(
        "All of these readings are simulated. They show how the page works and say nothing about "
        "people."
    )


def _about_sessions(analysis: Analysis) -> str:
    if not analysis.sessions:
        return _nothing(analysis.sample)
    if analysis.query.sample is Sample.AUTO and analysis.sample is Sample.EXAMPLE:
        return gettext(
            "No measured session has readings in {states} yet; the example study is shown instead."
        ).format(states=states_text(analysis.query))
    return ""


def _nothing(sample: Sample) -> str:
    if sample is Sample.MEASURED:
        return gettext("There is no measured session, so there is nothing to compare.")
    if sample is Sample.EXAMPLE:
        return gettext("There is no example study, so there is nothing to compare.")
    return gettext("There is no session selected, so there is nothing to compare.")


def _about_repeats(analysis: Analysis) -> str:
    means = len(analysis.means)
    if not means or analysis.readings < _MANY_READINGS * means:
        return ""
    return gettext(
        "The {readings} readings come from {people}. However many readings a person gives, that "
        "person counts once in each state (n = 1): more readings make a mean steadier, not n "
        "larger."
    ).format(readings=thousands(analysis.readings), people=people(len(analysis.participants)))


def _about_left_out(analysis: Analysis) -> str:
    most = max((test.comparison.left_out for test in analysis.family), default=0)
    if not most:
        return ""
    return gettext(
        "Some tests leave out up to {people}: a paired test uses only people with both states in "
        "one session, Welch’s only people with one of them. The table says how many each."
    ).format(people=people(most))


def _about_estimates(analysis: Analysis) -> str:
    estimated = analysis.estimated_readings
    readings = analysis.readings
    if not estimated:
        return ""
    if estimated < readings:
        return gettext(
            "Estimated and measured readings are mixed: {estimated} of {readings} are estimated, "
            "which is no measurement. Select sessions of one kind."
        ).format(estimated=thousands(estimated), readings=thousands(readings))
    return gettext(
        "All of these readings are estimated and not measured. The tests are about the estimates."
    )


def _about_left_out_estimates(analysis: Analysis) -> str:
    left_out = analysis.estimated_left_out
    if not left_out:
        return ""
    return ngettext(
        "{n} estimated reading is left out: an estimate, such as the camera’s pulse, is no "
        "measurement and counts only when you select it.",
        "{n} estimated readings are left out: an estimate, such as the camera’s pulse, is no "
        "measurement and counts only when you select it.",
        left_out,
    ).format(n=thousands(left_out))


def _about_one_person(analysis: Analysis) -> str:
    if len(analysis.participants) != 1:
        return ""
    return gettext(
        "All {readings} readings come from one person. However many readings a person gives, that "
        "is n = 1, and nothing can be said about people: at least {minimum} are needed, and many "
        "more for a good answer."
    ).format(readings=thousands(analysis.readings), minimum=MINIMUM)


def _about_few_matches(analysis: Analysis) -> str:
    m = analysis.matching
    if (
        m is None
        or not m.matched
        or m.matched >= _FEW_MATCHED * (total := m.matched + m.unmatched + m.ambiguous)
    ):
        return ""
    return gettext(
        "Only {share} of the readings could be matched to an emotion. They are not a random "
        "selection: the means may describe moments in which the face was easy to read."
    ).format(share=percent(m.matched / total))


def _about_uneven_states(analysis: Analysis) -> list[str]:
    """Say where the states have very different numbers of people, or of readings a person."""
    texts = []
    for kind in analysis.query.vital:
        own = {s.state: s for s in analysis.summaries if s.kind is kind and s.summary is not None}
        heads = {state: s.summary.n for state, s in own.items() if s.summary is not None}
        each = {state: own[state].readings / n for state, n in heads.items()}
        if _ratio(heads) >= _UNEVEN_PEOPLE:
            texts.append(
                gettext(
                    "{vital}: the states have uneven numbers of people ({numbers}). People are "
                    "seldom missing from a state by chance."
                ).format(vital=vital_name(kind), numbers=_listed(heads))
            )
        if _ratio(each) >= _UNEVEN_READINGS:
            texts.append(
                gettext(
                    "{vital}: the states have uneven numbers of readings a person ({numbers}). "
                    "The mean of few readings is less steady."
                ).format(vital=vital_name(kind), numbers=_listed(each))
            )
    return texts


def _ratio(numbers: dict[str, int] | dict[str, float]) -> float:
    if numbers:
        return max(numbers.values()) / min(numbers.values())
    return 1.0


def _listed(numbers: dict[str, int] | dict[str, float]) -> str:
    return ", ".join(
        gettext("{n} in {state}").format(n=f"{value:.0f}", state=state_name(state))
        for state, value in numbers.items()
    )


def _about_order(analysis: Analysis) -> str:
    orders = analysis.orders
    total = sum(analysis.orders.values())
    if total < MINIMUM:
        return ""
    order, count = max(orders.items(), key=lambda item: item[1])
    if count < _SAME_ORDER * total:
        return ""
    text = gettext(
        "{n} of {people} met the states in the same order ({order}). A difference may come from "
        "the order: habituation, fatigue, or the state before. Balance the order between "
        "participants."
    )
    if count == total:
        text = gettext(
            "All {people} met the states in the same order ({order}). A difference may come from "
            "the order: habituation, fatigue, or the state before. Balance the order between "
            "participants."
        )
    listed = ", ".join(state_name(state) for state in order)
    return text.format(n=count, people=people(total), order=listed)


def _about_matching(analysis: Analysis) -> str:
    m = analysis.matching
    if m is None or not (m.unmatched or m.ambiguous):
        return ""
    return gettext(
        "Of the readings, {matched} could be matched to an observed emotion; {unmatched} could not "
        "because no face was recorded in the window, and {ambiguous} because no emotion held "
        "{share} of it."
    ).format(
        matched=thousands(m.matched),
        unmatched=thousands(m.unmatched),
        ambiguous=thousands(m.ambiguous),
        share=share_text(analysis),
    )


def _about_reports(analysis: Analysis) -> str:
    if not analysis.unreported:
        return ""
    return ngettext(
        "Of {n} stimulus nothing was reported; the readings of that time are left out.",
        "Of {n} stimuli nothing was reported; the readings of that time are left out.",
        analysis.unreported,
    ).format(n=thousands(analysis.unreported))


def _about_other_states(analysis: Analysis) -> str:
    if not analysis.other_states:
        return ""
    listed = ", ".join(
        f"{state_name(label)} ({thousands(count)})"
        for label, count in list(analysis.other_states.items())[:12]
    )
    if len(analysis.other_states) > 12:
        listed = f"{listed}, …"
    return gettext("Readings in other states are not tested: {states}.").format(states=listed)


def _about_open_session(analysis: Analysis) -> str:
    if all(session.end_ms is not None for session in analysis.sessions):
        return ""
    return gettext(
        "A session is still open: the numbers will change. Draw conclusions when it has ended."
    )


def _about_looks(analysis: Analysis) -> str:
    if not analysis.tests_computed:
        return ""
    return gettext(
        "Every look at growing data is another chance of a false finding: in studies without "
        "any effect, one look at p < 0.05 finds something in 5 %, five looks in 14 % "
        "(Armitage, McPherson & Rowe 1969). Decide beforehand how many people take part, and "
        "conclude from the look at the end."
    )
