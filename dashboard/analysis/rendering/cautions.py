"""Warnings to read before the numbers, and cautions to weigh when concluding from them."""

from __future__ import annotations

from dashboard.analysis.analyse import Analysis, VitalComparison
from dashboard.analysis.inference.checks import too_short
from dashboard.analysis.question import TESTED_STATES, Sample, StateBy
from dashboard.analysis.rendering.method import about_readings, about_values, share_text
from dashboard.analysis.rendering.numbers import (
    correction_name,
    interval_text,
    names_of,
    number,
    p_equals,
    people,
    percent,
    states_text,
    unit_of,
)
from dashboard.analysis.rendering.people import missing_cautions, missing_warnings
from dashboard.analysis.results import Caution, DriftModel, PeriodModel
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import decimal, general, thousands
from dashboard.languages.names import said, state_name, vital_label, with_and
from dashboard.statistics.period import Attenuation
from dashboard.statistics.samples import MINIMUM
from edge_agent.core.measures import MovementKind
from edge_agent.store.read.stimuli import FACE


def mixture_warning(analysis: Analysis) -> str:
    """Warn where states are too short for the window; empty where they are not."""
    mixed = analysis.mixture
    if mixed is None or not too_short(mixed):
        return ""
    return gettext(
        "The observed states are short for the window of {window} s: half of the time lies in "
        "stretches of up to {stretch} s, and {share} of the windows hold a second emotion. "
        "Differences may shrink, vanish or change sign; no difference is called excluded. "
        "Shorten the window, and see the table of other windows and lags."
    ).format(
        window=general(analysis.query.window),
        stretch=decimal(mixed.stretch_ms / 1000, 0),
        share=percent(mixed.mixed / max(mixed.windows, 1)),
    )


def misreading_sentence(test: VitalComparison) -> str:
    """Say by how much misreading shrinks a difference; empty where states are not observed, or the
    result says already that it is not known.
    """
    if test.misreading is None:
        return ""
    lost = test.misreading.attenuation
    first = state_name(test.first)
    second = state_name(test.second)
    if lost is None:
        if Caution.MISREAD in test.result.caution_codes:
            return ""
        return gettext(
            "{First} and {second}: no model card on this device says how often the classifier "
            "misreads them, so it is not known how much of a difference is lost."
        ).format(First=_capital(first), second=second)
    text = gettext(
        "{First} and {second}: {model} reads {share_first} of {n_first} faces in {first} and "
        "{share_second} of {n_second} in {second} correctly. If all others are taken for the "
        "other state, {factor} of a difference is left (95 % CI {low} to {high})."
    ).format(
        First=_capital(first),
        first=first,
        second=second,
        model=test.misreading.model,
        share_first=percent(lost.first.share),
        n_first=thousands(lost.first.n),
        share_second=percent(lost.second.share),
        n_second=thousands(lost.second.n),
        factor=percent(lost.factor),
        low=percent(lost.interval.low),
        high=percent(lost.interval.high),
    )
    return f"{text} {_bounds(lost)}"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _bounds(lost: Attenuation) -> str:
    """Say which bounds the equivalence tests that decide have."""
    if lost.interval.low <= 0:
        return gettext("Therefore no difference between these two is called excluded.")
    return gettext(
        "The equivalence tests that decide therefore have {share} of the declared bounds, the "
        "lower end of that interval."
    ).format(share=percent(lost.interval.low))


def misreading_sentences(analysis: Analysis) -> tuple[str, ...]:
    """Return each pair of states once."""
    return tuple(dict.fromkeys(filter(None, map(misreading_sentence, analysis.family))))


def drift_sentence(change: DriftModel) -> str:
    """Say how a vital changes while a session lasts."""
    name = vital_label(change.vital)
    ends = change.interval
    if change.slope is None or ends is None:
        return gettext(
            "{vital}: a change over the session cannot be separated from the states: {reason}."
        ).format(vital=name, reason=said(change.reason))
    return gettext(
        "{vital} changed by {slope} {unit} with each minute of a session, apart from the states "
        "(95 % CI {interval}; {people}, p {p})."
    ).format(
        vital=name,
        slope=number(change.slope, 2),
        unit=unit_of(change.vital),
        interval=interval_text(ends.low, ends.high, 2),
        people=people(change.people),
        p=p_equals(change.p or 0.0),
    )


def period_sentence(test: VitalComparison) -> str:
    """Say what is left of a paired difference at equal times in the session; empty without one."""
    effect = test.period
    tests = test.comparison.tests
    if effect is None or tests is None:
        return ""
    named = _named(test, effect)
    if effect.within_sessions:
        return gettext(
            "{vital}, {first} − {second}: the means of each session are at equal times."
        ).format(**named)
    if effect.one_way:
        return _one_way(effect).format(**named)
    ends = effect.interval
    if effect.difference is None or ends is None:
        return gettext(
            "{vital}, {first} − {second}: too few people, or too little spread, for an estimate at "
            "equal times."
        ).format(**named)
    estimates = gettext(
        "{vital}, {first} − {second}: {difference} {unit} as measured, {adjusted} {unit} at equal "
        "times in the session (95 % CI {interval}; t({df}) = {t}, {method} p {p})."
    ).format(
        **named,
        difference=number(tests.t.difference),
        adjusted=number(effect.difference),
        interval=interval_text(ends.low, ends.high),
        df=general(effect.df or 0.0),
        t=number(effect.t or 0.0, 2),
        method=correction_name(test.correction),
        p=p_equals(effect.adjusted_p or 0.0),
    )
    if not effect.disagrees:
        return f"{estimates} {gettext('Both agree.')}"
    slope = number(effect.slope or 0.0, 2)
    return f"{estimates} {_disagreement(effect).format(**named, slope=slope)}"


def _named(test: VitalComparison, effect: PeriodModel) -> dict[str, str]:
    """Return what the sentences about time in the session name."""
    minutes = number(abs(effect.gap_minutes))
    return {**names_of(test.kind, test.first, test.second), "minutes": minutes}


def _one_way(effect: PeriodModel) -> str:
    if effect.gap_minutes > 0:
        return gettext(
            "{vital}, {first} − {second}: everybody had {first} after {second}, {minutes} min "
            "later on average. This cannot be adjusted for, and a difference must not be called "
            "an effect of the state."
        )
    return gettext(
        "{vital}, {first} − {second}: everybody had {first} before {second}, {minutes} min "
        "earlier on average. This cannot be adjusted for, and a difference must not be called "
        "an effect of the state."
    )


def _disagreement(effect: PeriodModel) -> str:
    if effect.gap_minutes > 0:
        return gettext(
            "The two disagree: {first} came {minutes} min after {second} on average, and with "
            "each minute between them the difference changed by {slope} {unit}."
        )
    return gettext(
        "The two disagree: {first} came {minutes} min before {second} on average, and with each "
        "minute between them the difference changed by {slope} {unit}."
    )


_NOTHING = {
    Sample.MEASURED: N_("There is no measured session, so there is nothing to compare."),
    Sample.EXAMPLE: N_("There is no example study, so there is nothing to compare."),
    Sample.SELECTED: N_("There is no session selected, so there is nothing to compare."),
}
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
        _about_programs(analysis),
        _about_sessions(analysis),
        _about_made_up_times(analysis),
        _about_one_person(analysis),
        _about_few_matches(analysis),
        mixture_warning(analysis),
        *missing_warnings(analysis),
        *about_values(analysis),
        _about_other_states(analysis) if _asks_the_usual(analysis) else "",
    )
    return tuple(text for text in texts if text)


def cautions_of(analysis: Analysis) -> tuple[str, ...]:
    """Return what a reader must weigh when concluding from the numbers."""
    texts = (
        _about_movements(analysis),
        _about_left_out_estimates(analysis),
        *about_readings(analysis),
        _about_repeats(analysis),
        _about_left_out(analysis),
        *_about_uneven_states(analysis),
        *missing_cautions(analysis),
        _about_order(analysis),
        _about_matching(analysis),
        *misreading_sentences(analysis),
        _about_reports(analysis),
        "" if _asks_the_usual(analysis) else _about_other_states(analysis),
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
        if analysis.flow and analysis.flow.excluded:
            return gettext("All sessions were left out by hand, so there is nothing to compare.")
        return gettext(_NOTHING[analysis.sample])
    if analysis.query.sample is Sample.AUTO and analysis.sample is Sample.EXAMPLE:
        return gettext(
            "No measured session has readings in {states} yet; the example study is shown instead."
        ).format(states=states_text(analysis.query))
    return ""


def _about_repeats(analysis: Analysis) -> str:
    means = len(analysis.means)
    if not means or analysis.readings < _MANY_READINGS * means:
        return ""
    return ngettext(
        "The {n} reading comes from {people}. Each person counts once in each state (n = 1), "
        "however many readings there are: more readings make a mean more precise, not n larger.",
        "The {n} readings come from {people}. Each person counts once in each state (n = 1), "
        "however many readings there are: more readings make a mean more precise, not n larger.",
        analysis.readings,
    ).format(n=thousands(analysis.readings), people=people(len(analysis.participants)))


def _about_left_out(analysis: Analysis) -> str:
    most = max((test.comparison.left_out for test in analysis.family), default=0)
    if not most:
        return ""
    return gettext(
        "Some tests leave out up to {people}: a paired test uses only people with both states "
        "in one session, Welch’s only people with one of them. The table shows how many for "
        "each test."
    ).format(people=people(most))


def _about_estimates(analysis: Analysis) -> str:
    estimated = analysis.estimated_readings
    readings = analysis.readings
    if not estimated:
        return ""
    if estimated < readings:
        return gettext(
            "Estimated and measured readings are mixed: {estimated} of {readings} are "
            "estimates, not measurements. Select sessions of one kind."
        ).format(estimated=thousands(estimated), readings=thousands(readings))
    return gettext(
        "All of these readings are estimates, not measurements. The tests compare the estimates."
    )


def _about_movements(analysis: Analysis) -> str:
    if not any(isinstance(kind, MovementKind) for kind in analysis.query.vital):
        return ""
    return gettext(
        "Movements of the face are estimates of a network that another network taught, or of the "
        "program whose table was imported; no person coded them. A strength has points from 0 (at "
        "rest) to 100 and is no FACS intensity."
    )


def _about_programs(analysis: Analysis) -> str:
    if len(analysis.programs) < 2:
        return ""
    listed = [
        gettext("{program} ({people})").format(
            program=gettext("this appliance") if program == FACE else program, people=people(count)
        )
        for program, count in analysis.programs.items()
    ]
    return gettext(
        "The movements of the face come from different programs: {programs}. Programs do not "
        "measure alike, so a difference between people may be one between programs. Select "
        "sessions of one program."
    ).format(programs=with_and(listed))


def _about_left_out_estimates(analysis: Analysis) -> str:
    left_out = analysis.estimated_left_out
    if not left_out:
        return ""
    return ngettext(
        "{n} estimated reading is left out: an estimate, such as the camera’s pulse, is not a "
        "measurement and counts only if you select it.",
        "{n} estimated readings are left out: an estimate, such as the camera’s pulse, is not a "
        "measurement and counts only if you select it.",
        left_out,
    ).format(n=thousands(left_out))


def _about_one_person(analysis: Analysis) -> str:
    if len(analysis.participants) != 1:
        return ""
    return ngettext(
        "The only reading comes from one person. That is n = 1 and says nothing about people in "
        "general: at least {minimum} people are needed, and many more for a good answer.",
        "All {n} readings come from one person. That is n = 1, however many readings there are, "
        "and says nothing about people in general: at least {minimum} people are needed, and many "
        "more for a good answer.",
        analysis.readings,
    ).format(n=thousands(analysis.readings), minimum=MINIMUM)


def _about_few_matches(analysis: Analysis) -> str:
    m = analysis.matching
    if (
        m is None
        or not m.matched
        # ``total`` is reached only where something was matched, and is above 0 then.
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
                ).format(vital=vital_label(kind), numbers=_listed(heads))
            )
        if _ratio(each) >= _UNEVEN_READINGS:
            texts.append(
                gettext(
                    "{vital}: the states have uneven numbers of readings per person "
                    "({numbers}). The mean of few readings is less precise."
                ).format(vital=vital_label(kind), numbers=_listed(each))
            )
    return texts


def _ratio(numbers: dict[str, int] | dict[str, float]) -> float:
    if numbers:
        # States without readings are left out by the caller, so the smallest is never 0.
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
    # Of orders that are equally frequent the first that was met.
    order, count = max(orders.items(), key=lambda item: item[1])
    if count < _SAME_ORDER * total:
        return ""
    text = gettext(
        "{n} of {people} went through the states in the same order ({order}). A difference may "
        "come from the order: habituation, fatigue or the previous state. Balance the order "
        "between participants."
    )
    if count == total:
        text = gettext(
            "All {people} went through the states in the same order ({order}). A difference may "
            "come from the order: habituation, fatigue or the previous state. Balance the order "
            "between participants."
        )
    listed = ", ".join(state_name(state) for state in order)
    return text.format(n=count, people=people(total), order=listed)


def _about_made_up_times(analysis: Analysis) -> str:
    count = sum(session.has_made_up_times for session in analysis.sessions)
    if not count:
        return ""
    return ngettext(
        "The times of {n} session are made up, because its table told none: the order of the "
        "states and changes over time are unknown there, and a difference may come from them.",
        "The times of {n} sessions are made up, because their table told none: the order of the "
        "states and changes over time are unknown there, and a difference may come from them.",
        count,
    ).format(n=thousands(count))


def _about_matching(analysis: Analysis) -> str:
    m = analysis.matching
    if m is None or not (m.unmatched or m.ambiguous):
        return ""
    return ngettext(
        "{n} reading was matched to an observed emotion; {unmatched} not because no face was "
        "recorded in the window, and {ambiguous} because no emotion held {share} of it.",
        "{n} readings were matched to an observed emotion; {unmatched} were not because no face "
        "was recorded in the window, and {ambiguous} because no emotion held {share} of it.",
        m.matched,
    ).format(
        n=thousands(m.matched),
        unmatched=thousands(m.unmatched),
        ambiguous=thousands(m.ambiguous),
        share=share_text(analysis),
    )


def _about_reports(analysis: Analysis) -> str:
    if not analysis.unreported:
        return ""
    return ngettext(
        "Nothing was reported for {n} stimulus; its readings are left out.",
        "Nothing was reported for {n} stimuli; their readings are left out.",
        analysis.unreported,
    ).format(n=thousands(analysis.unreported))


def _asks_the_usual(analysis: Analysis) -> bool:
    """Tell whether labels of the study's own may have been forgotten, not passed over by choice."""
    query = analysis.query
    if query.state is not StateBy.CONDITION or query.states != TESTED_STATES or not analysis.means:
        return False
    # A baseline is there to be taken away, not to be compared.
    return any(label.strip().lower() != "baseline" for label in analysis.other_states)


def _about_other_states(analysis: Analysis) -> str:
    if not analysis.other_states:
        return ""
    listed = ", ".join(
        f"{state_name(label)} ({thousands(count)})"
        for label, count in list(analysis.other_states.items())[:12]
    )
    if len(analysis.other_states) > 12:
        listed = f"{listed}, …"
    return gettext(
        "Readings in other states are not tested: {states}. To compare them, choose “States and "
        "groups” on the page, or --states in the terminal."
    ).format(states=listed)


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
        "any effect, one look at p < 0.05 finds something in 5 %, five looks in 14 % (Armitage, "
        "McPherson & Rowe 1969). Decide beforehand how many people take part, and draw "
        "conclusions only at the end."
    )
