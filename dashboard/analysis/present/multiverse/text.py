"""A multiverse as models and in words. Pure."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterator, Sequence

from dashboard.analysis.multiverse.multiverse import Estimate, Multiverse, Result
from dashboard.analysis.multiverse.specifications import Choice, Specification, Visit, Way
from dashboard.analysis.present.flags import flag_name
from dashboard.analysis.present.multiverse.schemas import (
    ChoiceModel,
    CurveModel,
    EstimateModel,
    MultiverseModel,
    ShareModel,
)
from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.present.text import number, unit_of, vital_name
from dashboard.analysis.request import DOUBTS
from dashboard.analysis.sensitivity import Conclusion, MatchingChoice
from dashboard.languages.current import N_, gettext, ngettext, pgettext
from dashboard.languages.figures import general
from dashboard.languages.names import inside, state_name
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.vitals import VitalKind

CAUTION = N_(
    "This describes how far a result depends on choices that the data do not make. It is no "
    "further family of tests: the sets share the same people and readings, so their p values are "
    "no independent evidence. The declared set stays the result; to pick another one because of "
    "what it says would be a false positive."
)
COLUMNS = (
    *("vital", "first", "second", "unit", "specification", "declared", "way", "sessions"),
    *("counted", "settling_s", "window_s", "lag_s", "n", "difference", "low", "high", "p"),
    *("adjusted_p", "conclusion"),
)
"""Of the table of a multiverse."""

_WAYS = {
    Way.T_TEST: N_("t-test"),
    Way.EQUAL_TIMES: N_("t-test at equal times"),
    Way.MIXED_MODEL: N_("mixed model"),
}
_CONCLUSIONS = {
    Conclusion.HIGHER: N_("a rise is shown"),
    Conclusion.LOWER: N_("a fall is shown"),
    Conclusion.NOT_SHOWN: N_("no difference is shown"),
    Conclusion.NO_TEST: N_("there is no test"),
}
_Named = tuple[tuple[str, str], ...]


def multiverse_model(whole: Multiverse) -> MultiverseModel:
    """Return the same numbers and sentences as the page."""
    curves = tuple(_curve(whole, place) for place in range(len(whole.compared)))
    return MultiverseModel(
        question=whole.question,
        sample=whole.declared.sample,
        planned=whole.planned,
        computed=len(whole.results),
        complete=len(whole.results) == whole.planned,
        summary=_summary(whole),
        caution=gettext(CAUTION),
        comparisons=curves,
    )


def multiverse_csv(model: MultiverseModel) -> str:
    """Return a multiverse as CSV, a line for each comparison under each set of choices."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for curve in model.comparisons:
        names = (curve.vital.value, curve.first, curve.second, curve.unit)
        for one in curve.estimates:
            ends: tuple[float | None, float | None] = (None, None)
            if one.interval is not None:
                ends = (one.interval.low, one.interval.high)
            choice = (one.settling, one.window, one.lag)
            made = (one.specification, int(one.declared), one.way, one.sessions)
            row = (*names, *made, " ".join(one.counted), *choice, one.n, one.difference, *ends)
            writer.writerow((*row, one.p, one.adjusted_p, one.conclusion))
    return out.getvalue()


def _summary(whole: Multiverse) -> str:
    """Say how many sets there are and how many were computed."""
    kind = whole.compared[0][0]
    differing = _differing([_named(one.specification, kind) for one in whole.results])
    done = len(whole.results)
    text = ngettext("{n} set of choices.", "{n} sets of choices.", whole.planned)
    if differing:
        text = ngettext(
            "{n} set of choices, which differ in: {choices}.",
            "{n} sets of choices, which differ in: {choices}.",
            whole.planned,
        )
    text = text.format(n=whole.planned, choices=", ".join(inside(name) for name in differing))
    if done == whole.planned:
        return f"{text} {gettext('All of them were computed.')}"
    rest = gettext(
        "The time was over after {n} of them, in a fixed order with the declared one first; the "
        "other {rest} were not computed, and nothing here speaks for them. `affect-edge analyse "
        "--multiverse` takes the time that all of them need."
    ).format(n=done, rest=whole.planned - done)
    return f"{text} {rest}"


def _curve(whole: Multiverse, place: int) -> CurveModel:
    kind, first, second = whole.compared[place]
    every = [(one, one.estimates[place]) for one in whole.results]
    declared = every[0][1]
    tested = [one for one in every if one[1].p is not None and one[1].difference is not None]
    values = [one.difference or 0.0 for _, one in tested]
    same = sum(one.conclusion is declared.conclusion for _, one in tested)
    along = sum((one.difference or 0.0) * (declared.difference or 0.0) > 0 for _, one in tested)
    differing = _differing([_named(one.specification, kind) for one, _ in every])
    return CurveModel(
        vital=kind,
        unit=kind.unit,
        first=str(first),
        second=str(second),
        computed=len(tested),
        same_direction=along,
        same_conclusion=same,
        lowest=min(values, default=None),
        median=statistics.median(values) if values else None,
        highest=max(values, default=None),
        sentence=_sentence(whole, place, (len(tested), along, same), values),
        by_choice=tuple(_shares(tested, kind, differing, declared)),
        estimates=tuple(
            _estimate(number_of, one, own, kind, differing)
            for number_of, (one, own) in enumerate(every, start=1)
        ),
    )


def _sentence(
    whole: Multiverse, place: int, counts: tuple[int, int, int], values: Sequence[float]
) -> str:
    """Say how many sets agree with the declared one."""
    kind, first, second = whole.compared[place]
    declared = whole.results[0].estimates[place]
    tested, along, same = counts
    named = {
        "vital": vital_name(kind),
        "first": state_name(first),
        "second": state_name(second),
    }
    if declared.p is None or declared.difference is None:
        return gettext(
            "{vital}, {first} and {second}: the declared set of choices gives no test, so there is "
            "nothing to compare."
        ).format(**named)
    texts = [
        gettext(
            "{vital}, {first} and {second}: {conclusion} as declared ({difference} {unit}). Of "
            "{tested} sets of choices with a test, {along} differ in the same direction, and "
            "{same} come to the same conclusion. The differences lie between {least} and {most} "
            "{unit}, half of them below {median}."
        ).format(
            **named,
            conclusion=gettext(_CONCLUSIONS[declared.conclusion]),
            difference=number(declared.difference),
            unit=unit_of(kind),
            tested=tested,
            along=along,
            same=same,
            least=number(min(values)),
            most=number(max(values)),
            median=number(statistics.median(values)),
        )
    ]
    none = len(whole.results) - tested
    if none:
        texts.append(
            ngettext("{n} more give no test.", "{n} more give no test.", none).format(n=none)
        )
    if same == tested:
        texts.append(gettext("The conclusion does not depend on these choices."))
    else:
        texts.append(gettext("The conclusion depends on these choices: treat it as tentative."))
    return " ".join(texts)


def _estimate(
    place: int, result: Result, own: Estimate, kind: VitalKind, differing: Sequence[str]
) -> EstimateModel:
    data = result.specification.data
    chosen = [
        ChoiceModel(name=name, value=value)
        for name, value in _named(result.specification, kind)
        if name in differing
    ]
    return EstimateModel.model_validate(
        {
            "specification": place,
            "declared": place == 1,
            "way": result.specification.way,
            "sessions": data.visit,
            "counted": tuple(flag for flag in DOUBTS if flag in data.counted),
            **_times(data.choice, kind),
            "choices": chosen,
            "n": own.n,
            "difference": own.difference,
            "interval": IntervalModel.of(own.interval),
            "p": own.p,
            "adjusted_p": own.adjusted_p,
            "conclusion": own.conclusion,
        }
    )


def _times(choice: Choice, kind: VitalKind) -> dict[str, float | None]:
    """Return settling time, window and lag of a vital, as far as they are chosen."""
    if isinstance(choice, MatchingChoice):
        return {"settling": None, "window": choice.window_s, "lag": choice.lag_s(kind)}
    return {"settling": choice.settling_s(kind), "window": None, "lag": None}


def _shares(
    tested: Sequence[tuple[Result, Estimate]],
    kind: VitalKind,
    differing: Sequence[str],
    declared: Estimate,
) -> Iterator[ShareModel]:
    """Yield what the sets with each value of each choice come to."""
    together: dict[tuple[str, str], list[Estimate]] = {}
    for result, own in tested:
        for name, value in _named(result.specification, kind):
            if name in differing:
                together.setdefault((name, value), []).append(own)
    for (name, value), group in sorted(
        together.items(), key=lambda item: differing.index(item[0][0])
    ):
        yield ShareModel(
            name=name,
            value=value,
            sets=len(group),
            same=sum(one.conclusion is declared.conclusion for one in group),
            median=statistics.median(one.difference or 0.0 for one in group),
        )


def _named(specification: Specification, kind: VitalKind) -> _Named:
    """Return the choices of a set for a vital, as people read them."""
    data = specification.data
    choice = data.choice
    if isinstance(choice, MatchingChoice):
        times: _Named = (
            (gettext("Window"), f"{general(choice.window_s)} s"),
            (gettext("Lag"), f"{general(choice.lag_s(kind))} s"),
        )
    else:
        start = f"{general(choice.settling_s(kind))} s"
        times = ((gettext("Left out at the start"), start),)
    return (
        (gettext("Test"), gettext(_WAYS[specification.way])),
        (gettext("Readings in doubt"), _doubts(specification)),
        *times,
        (gettext("Sessions"), _visits(data.visit)),
    )


def _visits(visit: Visit) -> str:
    if visit is Visit.FIRST:
        return pgettext("sessions", "the first")
    return pgettext("sessions", "all")


def _doubts(specification: Specification) -> str:
    counted = specification.data.counted
    if not counted:
        return pgettext("readings in doubt", "left out")
    if counted >= UNUSABLE:
        return pgettext("readings in doubt", "counted")
    flags = ", ".join(flag_name(flag) for flag in DOUBTS if flag in counted)
    return pgettext("readings in doubt", "counted: {flags}").format(flags=flags)


def _differing(every: Sequence[_Named]) -> list[str]:
    """Return the choices in which the sets differ, in their order."""
    values: dict[str, set[str]] = {}
    for named in every:
        for name, value in named:
            values.setdefault(name, set()).add(value)
    return [name for name, own in values.items() if len(own) > 1]
