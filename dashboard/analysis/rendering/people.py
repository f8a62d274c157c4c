"""Groups of people, the flow of people and readings, and people who lack a state, in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.inference.flow import Lost
from dashboard.analysis.inference.groups import (
    REST,
    GroupContrast,
    MissingMeasure,
    MissingState,
    VitalGroups,
)
from dashboard.analysis.question import AnalysisQuery
from dashboard.analysis.rendering.findings import apa_of_contrast, apa_p, shift_text
from dashboard.analysis.rendering.numbers import (
    correction_name,
    df_text,
    exact_df,
    flag_name,
    interval_text,
    number,
    p_equals,
    pair_text,
    people,
    states_text,
    unit_of,
)
from dashboard.analysis.results import (
    ALPHA,
    ExcludedModel,
    FlowModel,
    GroupContrastModel,
    GroupFlowModel,
    GroupTestModel,
    LossModel,
    MissingModel,
    StageModel,
    Step,
    VitalGroupsModel,
)
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import thousands
from dashboard.languages.names import (
    capitalised,
    said,
    state_name,
    vital_in_text,
    vital_label,
    with_and,
)
from dashboard.statistics.anova import FTest
from dashboard.statistics.samples import MINIMUM
from edge_agent.core.measures import measure_of
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import exact_since_start


def group_model(one: VitalGroups, query: AnalysisQuery) -> VitalGroupsModel:
    """Return the groups of a vital with their tests in words."""
    anova = one.anova
    return VitalGroupsModel(
        vital=one.kind,
        attribute=query.group or "",
        sizes=dict(one.sizes),
        too_small=one.too_small,
        no_attribute=len(one.no_attribute),
        incomplete=dict(one.incomplete),
        epsilon=anova and anova.epsilon,
        groups=anova and _f_model(one, anova.groups, one.groups_p, query, False),
        interaction=anova and _f_model(one, anova.interaction, one.interaction_p, query, True),
        contrasts=tuple(_contrast(one, contrast, query) for contrast in one.contrasts),
        uneven=one.uneven,
        reason=said(one.reason),
        left_out=_left_out(one, query),
    )


def _f_model(
    one: VitalGroups, test: FTest, adjusted: float | None, query: AnalysisQuery, crossed: bool
) -> GroupTestModel:
    return GroupTestModel(
        f=test.f,
        df=test.df,
        p=test.p,
        adjusted_p=test.p if adjusted is None else adjusted,
        partial_eta_squared=test.partial_eta_squared,
        sentence=_f_sentence(one, test, query, crossed),
        apa=_f_apa(one, test, query, crossed),
    )


def _f_sentence(one: VitalGroups, test: FTest, query: AnalysisQuery, crossed: bool) -> str:
    """Describe by an F test; it errs where groups of unequal size spread differently."""
    of = gettext("{vital}, all states together, by {attribute}")
    if crossed:
        of = gettext("{vital}, state × {attribute}")
    return gettext(
        "{effect}: F = {f} with {df} degrees of freedom, p {p}, partial η² = {eta}; people: "
        "{sizes}. This only describes; Welch’s comparisons decide."
    ).format(
        effect=of.format(vital=vital_label(one.kind), attribute=query.group),
        f=number(test.f, 2),
        df=with_and([exact_df(value) for value in test.df]),
        p=p_equals(test.p),
        eta=number(test.partial_eta_squared, 2),
        sizes=", ".join(f"{name} {one.sizes[name]}" for name in one.compared),
    )


def _f_apa(one: VitalGroups, test: FTest, query: AnalysisQuery, crossed: bool) -> str:
    text = gettext(
        "In a mixed analysis of variance, the main effect of {attribute} on {vital} was F({df}, "
        "{df_rest}) = {f}, p {p}, partial η2 = {eta}, N = {n}."
    )
    if crossed:
        text = gettext(
            "In a mixed analysis of variance, the interaction of state and {attribute} on {vital} "
            "(Greenhouse-Geisser corrected) was F({df}, {df_rest}) = {f}, p {p}, partial η2 = "
            "{eta}, N = {n}."
        )
    return text.format(
        attribute=query.group,
        vital=vital_in_text(one.kind),
        df=exact_df(test.df[0]),
        df_rest=exact_df(test.df[1]),
        f=number(test.f, 2),
        p=apa_p(test.p),
        eta=number(test.partial_eta_squared, 2),
        n=sum(one.sizes[name] for name in one.compared),
    )


def _contrast(
    one: VitalGroups, contrast: GroupContrast, query: AnalysisQuery
) -> GroupContrastModel:
    first_state, second_state = contrast.pair or (None, None)
    test = contrast.test
    return GroupContrastModel(
        first=contrast.first,
        second=contrast.second,
        first_state=first_state,
        second_state=second_state,
        n_first=test.n_first,
        n_second=test.n_second,
        difference=test.difference,
        interval=test.interval,
        t=test.t,
        df=test.df,
        p=test.p,
        adjusted_p=contrast.adjusted_p,
        sentence=_contrast_sentence(one, contrast, query),
        apa=apa_of_contrast(one.kind, contrast, query.correction),
    )


def _contrast_sentence(one: VitalGroups, contrast: GroupContrast, query: AnalysisQuery) -> str:
    t = contrast.test
    of = gettext("{vital}, all states together").format(vital=vital_label(one.kind))
    if contrast.pair is not None:
        of = f"{vital_label(one.kind)}, {pair_text(*contrast.pair)}"
    text = gettext(
        "{what}, {first} − {second}: no significant difference, {difference} {unit} (95 % CI "
        "{interval}); Welch t({df}) = {t}, p {p}, {method} p {adjusted}, n = {n_first} and "
        "{n_second}."
    )
    if contrast.adjusted_p < ALPHA:
        text = gettext(
            "{what}, {first} − {second}: differs, {difference} {unit} (95 % CI {interval}); Welch "
            "t({df}) = {t}, p {p}, {method} p {adjusted}, n = {n_first} and {n_second}."
        )
    return text.format(
        what=of,
        first=contrast.first,
        second=contrast.second,
        difference=number(t.difference),
        unit=unit_of(one.kind),
        interval=interval_text(t.interval.low, t.interval.high),
        df=df_text(t.df),
        t=number(t.t, 2),
        p=p_equals(t.p),
        method=correction_name(query.correction),
        adjusted=p_equals(contrast.adjusted_p),
        n_first=t.n_first,
        n_second=t.n_second,
    )


def _left_out(one: VitalGroups, query: AnalysisQuery) -> str:
    """Say how many people the group tests exclude, and why."""
    parts = []
    if one.no_attribute:
        text = gettext("{people} without {attribute}")
        parts.append(text.format(people=people(len(one.no_attribute)), attribute=query.group))
    if one.incomplete:
        listed = ", ".join(f"{name} {count}" for name, count in one.incomplete.items())
        text = gettext("{people} without all states ({groups})")
        parts.append(text.format(people=people(sum(one.incomplete.values())), groups=listed))
    small = sum(one.sizes[name] for name in one.too_small)
    if small:
        # Groups without anybody left are no group to name here.
        named = ", ".join(name for name in one.too_small if one.sizes[name])
        text = gettext("{people} in groups of fewer than {minimum} ({groups})")
        parts.append(text.format(people=people(small), minimum=MINIMUM, groups=named))
    if not parts:
        return ""
    return gettext("{vital}: the group tests exclude {parts}.").format(
        vital=vital_label(one.kind), parts="; ".join(parts)
    )


def group_lines(one: VitalGroupsModel) -> list[str]:
    """Return all that is said of the groups of a vital: what decides, then the F tests."""
    lines = [contrast.sentence for contrast in one.contrasts]
    if one.groups is None or one.interaction is None:
        text = gettext("{vital}, by {attribute}: no F test. {reason}.")
        vital = vital_label(one.vital)
        lines += [text.format(vital=vital, attribute=one.attribute, reason=capitalised(one.reason))]
    else:
        lines += [one.groups.sentence, one.interaction.sentence]
    return [*lines, one.left_out] if one.left_out else lines


COLUMNS = ("step", "vital", "first", "second", "state", "reason", "people", "sessions", "readings")
"""Of the table of the flow."""

_TITLES: dict[Step, str] = {
    "consented": N_("Consented"),
    "in_sessions": N_("With a selected session"),
    "measured": N_("With readings of a tested vital sign"),
    "usable": N_("With readings that count"),
    "in_state": N_("In {states}"),
    "tested": N_("In at least one t-test"),
}
_REASONS = {
    Lost.NO_SESSION: N_("no session"),
    Lost.OTHER_SESSIONS: N_("only in sessions that are not selected"),
    Lost.EXCLUDED: N_("only in sessions that were left out by hand"),
    Lost.NO_CONSENT: N_("in a session without a consent on record"),
    Lost.NO_READING: N_("no reading in any session"),
    Lost.IN_DOUBT: N_("in doubt"),
    Lost.OUTSIDE_STATES: N_("outside the compared states"),
    Lost.NOT_MATCHED: N_("no face before it, or no clear emotion"),
    Lost.NOT_SETTLED: N_("during the settling time"),
    Lost.NO_PAIR: N_("no second state in the same session to compare with"),
}
_LISTED = 12
_REASONS_NAMED = 3


def told_flow(
    flow: FlowModel, query: AnalysisQuery, groups: Sequence[VitalGroups] = ()
) -> FlowModel:
    """Return the flow with its sentences, and who is in the tests of the groups."""
    states = states_text(query)
    first = flow.stages[0]
    last = flow.stages[-1]
    summary = ngettext(
        "{people} consented, {n} is in a t-test with {readings} readings",
        "{people} consented, {n} are in a t-test with {readings} readings",
        last.people,
    ).format(
        people=people(first.people),
        n=thousands(last.people),
        readings=thousands(last.readings or 0),
    )
    if flow.excluded:
        summary = f"{summary}; {_left_out_by_hand(flow)}"
    return flow.model_copy(
        update={
            "summary": summary,
            "stages": tuple(_stage(stage, states) for stage in flow.stages),
            "excluded": tuple(_excluded(one) for one in flow.excluded),
            "missing": tuple(_missing(one) for one in flow.missing),
            "groups": tuple(_group(one) for one in groups),
        }
    )


def _left_out_by_hand(flow: FlowModel) -> str:
    """Count the sessions and stretches that somebody left out, and name the first reasons."""
    whole = sum(one.from_s is None for one in flow.excluded)
    parts = len(flow.excluded) - whole
    counts = []
    if whole:
        counts.append(ngettext("{n} session", "{n} sessions", whole).format(n=thousands(whole)))
    if parts:
        text = ngettext("{n} stretch of a session", "{n} stretches of sessions", parts)
        counts.append(text.format(n=thousands(parts)))
    reasons = list(dict.fromkeys(one.reason for one in flow.excluded))
    more = ["…"] if len(reasons) > _REASONS_NAMED else []
    return gettext("left out by hand: {what} ({reasons})").format(
        what=with_and(counts), reasons="; ".join(reasons[:_REASONS_NAMED] + more)
    )


def _excluded(one: ExcludedModel) -> ExcludedModel:
    text = gettext("Session {session} was left out: {reason}")
    if one.from_s is not None and one.to_s is not None:
        text = gettext("Session {session}, {start} to {end} was left out: {reason}")
    sentence = text.format(
        session=one.session,
        start=exact_since_start(round(1000 * (one.from_s or 0))),
        end=exact_since_start(round(1000 * (one.to_s or 0))),
        reason=one.reason,
    )
    return one.model_copy(update={"sentence": sentence})


def _group(one: VitalGroups) -> GroupFlowModel:
    return GroupFlowModel(
        vital=one.kind,
        used={name: one.sizes[name] for name in one.compared},
        no_attribute=len(one.no_attribute),
        incomplete=sum(one.incomplete.values()),
        too_small=sum(one.sizes[name] for name in one.too_small),
    )


def flow_csv(flow: FlowModel) -> str:
    """Return the flow as CSV, a line for each step, each loss, each missing state and each test."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(flow))
    return out.getvalue()


def _rows(flow: FlowModel) -> Iterator[tuple[str | int | None, ...]]:
    for stage in flow.stages:
        for loss in stage.lost:
            reason = f"{loss.reason}:{loss.detail}" if loss.detail else loss.reason
            yield ("lost", "", "", "", loss.state, reason, loss.people, None, loss.readings)
        yield (stage.step, "", "", "", "", "", stage.people, stage.sessions, stage.readings)
    for left_out in flow.excluded:
        what = "session" if left_out.from_s is None else "stretch"
        yield ("excluded", "", "", "", "", f"{what}:{left_out.reason}", None, 1, None)
    for one in flow.missing:
        yield ("missing", one.vital, "", "", one.state, "", len(one.participants), None, None)
    for test in flow.tests:
        names = (test.vital, test.first, test.second, "")
        yield ("test", *names, "used", test.used, None, None)
        for reason in ("lacks_first", "lacks_second", "apart", "both"):
            if count := getattr(test, reason):
                yield ("test", *names, reason, count, None, None)
    for own in flow.groups:  # what an attribute says of people stays here: only how many
        names = (own.vital, "", "", "")
        yield ("group", *names, "used", sum(own.used.values()), None, None)
        for reason in ("no_attribute", "incomplete", "too_small"):
            if count := getattr(own, reason):
                yield ("group", *names, reason, count, None, None)


def _stage(stage: StageModel, states: str) -> StageModel:
    lost = tuple(
        loss.model_copy(update={"sentence": _loss_sentence(loss, stage.lost)})
        for loss in stage.lost
    )
    title = gettext(_TITLES[stage.step]).format(states=states)
    return stage.model_copy(update={"title": title, "lost": lost})


def _loss_sentence(loss: LossModel, every: Sequence[LossModel]) -> str:
    reason = gettext(_REASONS[Lost(loss.reason)])
    if loss.reason == Lost.IN_DOUBT and loss.detail:
        reason = flag_name(VitalFlag(loss.detail))
    if loss.reason == Lost.NOT_SETTLED:
        reason = gettext("{vital} during the settling time").format(
            vital=vital_in_text(measure_of(loss.detail))
        )
    if loss.state:
        reason = gettext("{reason}, in {state}").format(reason=reason, state=state_name(loss.state))
    elif loss.detail:
        own = [one for one in every if one.state and one.detail == loss.detail]
        listed = ", ".join(
            gettext("{n} in {state}").format(
                n=thousands(one.readings or 0), state=state_name(one.state)
            )
            for one in own
        )
        reason = f"{reason} ({listed})" if listed else reason
    return f"{_lost(loss)}: {reason}"


def _lost(loss: LossModel) -> str:
    """Say how many people and readings are lost; people may also be gained."""
    parts = []
    # People who joined the step without a consent on record are counted as a negative loss.
    if loss.people < 0:
        parts.append(
            ngettext("{n} person more", "{n} people more", -loss.people).format(n=-loss.people)
        )
    elif loss.people:
        parts.append(people(loss.people))
    if loss.readings:
        parts.append(
            ngettext("{n} reading", "{n} readings", loss.readings).format(
                n=thousands(loss.readings)
            )
        )
    return with_and(parts)


def _missing(one: MissingModel) -> MissingModel:
    codes = ", ".join(one.participants[:_LISTED])
    if len(one.participants) > _LISTED:
        codes = f"{codes}, …"
    count = len(one.participants)
    sentence = ngettext(
        "{vital}: {n} person has no reading that counts in {state} ({codes})",
        "{vital}: {n} people have no reading that counts in {state} ({codes})",
        count,
    ).format(vital=vital_label(one.vital), n=count, state=state_name(one.state), codes=codes)
    return one.model_copy(update={"sentence": sentence})


def missing_warnings(analysis: Analysis) -> tuple[str, ...]:
    """Warn where those who lack a state differ from the others."""
    return tuple(_differ(one) for one in analysis.missing if _shown(one.measures))


def missing_cautions(analysis: Analysis) -> tuple[str, ...]:
    """Say where those who lack a state were not shown to differ from the others."""
    return tuple(_alike(one) for one in analysis.missing if not _shown(one.measures))


def _shown(measures: Iterable[MissingMeasure]) -> list[MissingMeasure]:
    return [one for one in measures if one.adjusted_p < ALPHA]


def _differ(one: MissingState) -> str:
    unit = unit_of(one.kind)
    differences = [
        gettext("{measure} was {difference} (Welch, Holm p {p})").format(
            measure=_name(measure),
            difference=shift_text(measure.difference, unit),
            p=p_equals(measure.adjusted_p),
        )
        for measure in _shown(one.measures)
    ]
    return gettext(
        "{vital}: {lacking} lack {state}, and they differ from the {others} who have it: "
        "{differences}. Comparisons with {state} describe only the people who have it; do not "
        "take them for an effect in everybody."
    ).format(**_named(one), differences=with_and(differences))


def _alike(one: MissingState) -> str:
    return gettext(
        "{vital}: {lacking} lack {state}. They did not differ significantly from the {others} "
        "who have it in {measures} (smallest Holm p {p}), but so few people can hide a "
        "difference; find out why they lack it."
    ).format(
        **_named(one),
        measures=with_and([_name(measure) for measure in one.measures]),
        p=p_equals(min(measure.adjusted_p for measure in one.measures)),
    )


def _named(one: MissingState) -> dict[str, object]:
    return {
        "vital": vital_label(one.kind),
        "lacking": people(one.lacking),
        "state": state_name(one.state),
        "others": one.others,
    }


def _name(measure: MissingMeasure) -> str:
    """Write a state, or a reaction as ``happiness − neutral``."""
    return " − ".join(
        gettext(REST) if state == REST else state_name(state)
        for state in (measure.state, measure.less)
        if state
    )
