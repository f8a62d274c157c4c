"""The flow of people and readings as models, in words, and as a table. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from dashboard.analysis.present.flags import flag_name
from dashboard.analysis.present.parts.study_schemas import (
    FlowModel,
    GroupFlowModel,
    LossModel,
    MissingModel,
    StageModel,
    TestFlowModel,
)
from dashboard.analysis.present.text import people, states_text, vital_name
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.study.flow import Flow, LackingState, Loss, Lost, Stage, Step
from dashboard.analysis.study.groups import VitalGroups
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import thousands
from dashboard.languages.names import state_name, vital_in_text
from dashboard.languages.written import with_and
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind

COLUMNS = ("step", "vital", "first", "second", "state", "reason", "people", "sessions", "readings")
"""Of the table of the flow."""

_TITLES = {
    Step.CONSENTED: N_("Consented"),
    Step.IN_SESSIONS: N_("With a session that is looked at"),
    Step.MEASURED: N_("With readings of what is tested"),
    Step.USABLE: N_("With readings that count"),
    Step.IN_STATE: N_("In {states}"),
    Step.TESTED: N_("In at least one t-test"),
}
_REASONS = {
    Lost.NO_SESSION: N_("no session"),
    Lost.OTHER_SESSIONS: N_("only in sessions that are not looked at"),
    Lost.NO_CONSENT: N_("in a session without a consent on record"),
    Lost.NO_READING: N_("no reading in any session"),
    Lost.IN_DOUBT: N_("in doubt"),
    Lost.OUTSIDE_STATES: N_("outside of the states that are compared"),
    Lost.NOT_MATCHED: N_("no face before it, or no clear emotion"),
    Lost.NOT_SETTLED: N_("before the body had settled"),
    Lost.NO_PAIR: N_("no second state in the same session to compare with"),
}
_LISTED = 12


def flow_model(flow: Flow, query: AnalysisQuery, groups: Sequence[VitalGroups] = ()) -> FlowModel:
    """Return the flow with its sentences, and who is in the tests of the groups."""
    states = states_text(query)
    first = flow.stages[0].count
    last = flow.stages[-1].count
    return FlowModel(
        summary=ngettext(
            "{people} consented, {n} is in a t-test with {readings} readings",
            "{people} consented, {n} are in a t-test with {readings} readings",
            last.people,
        ).format(
            people=people(first.people),
            n=thousands(last.people),
            readings=thousands(last.readings or 0),
        ),
        stages=tuple(_stage(stage, states) for stage in flow.stages),
        missing=tuple(_missing(one) for one in flow.missing),
        tests=tuple(
            TestFlowModel(
                vital=one.kind,
                first=str(one.first),
                second=str(one.second),
                used=one.used,
                lacks_first=one.lacks_first,
                lacks_second=one.lacks_second,
                apart=one.apart,
                both=one.both,
            )
            for one in flow.tests
        ),
        groups=tuple(_group(one) for one in groups),
    )


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


def _stage(stage: Stage, states: str) -> StageModel:
    return StageModel(
        step=stage.step.value,
        title=gettext(_TITLES[stage.step]).format(states=states),
        people=stage.count.people,
        sessions=stage.count.sessions,
        readings=stage.count.readings,
        lost=tuple(_loss(loss, stage.losses) for loss in stage.losses),
    )


def _loss(loss: Loss, every: Sequence[Loss]) -> LossModel:
    return LossModel(
        reason=loss.reason.value,
        detail=loss.detail,
        state="" if loss.state is None else str(loss.state),
        people=loss.people,
        readings=loss.readings,
        sentence=_loss_sentence(loss, every),
    )


def _loss_sentence(loss: Loss, every: Sequence[Loss]) -> str:
    reason = gettext(_REASONS[loss.reason])
    if loss.reason is Lost.IN_DOUBT and loss.detail:
        reason = flag_name(VitalFlag(loss.detail))
    if loss.reason is Lost.NOT_SETTLED:
        reason = gettext("{vital} before the body had settled").format(
            vital=vital_in_text(VitalKind(loss.detail))
        )
    if loss.state is not None:
        reason = gettext("{reason}, in {state}").format(reason=reason, state=state_name(loss.state))
    elif loss.detail:
        own = [one for one in every if one.state and one.detail == loss.detail]
        listed = ", ".join(
            gettext("{n} in {state}").format(
                n=thousands(one.readings or 0), state=state_name(one.state or "")
            )
            for one in own
        )
        reason = f"{reason} ({listed})" if listed else reason
    return f"{_lost(loss)}: {reason}"


def _lost(loss: Loss) -> str:
    """Say how many people and readings are lost; people may also be gained."""
    parts = []
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


def _missing(one: LackingState) -> MissingModel:
    codes = ", ".join(one.codes[:_LISTED])
    if len(one.codes) > _LISTED:
        codes = f"{codes}, …"
    return MissingModel(
        vital=one.kind,
        state=str(one.state),
        participants=one.codes,
        sentence=ngettext(
            "{vital}: {n} person has no reading that counts in {state} ({codes})",
            "{vital}: {n} people have no reading that counts in {state} ({codes})",
            len(one.codes),
        ).format(
            vital=vital_name(one.kind),
            n=len(one.codes),
            state=state_name(one.state),
            codes=codes,
        ),
    )
