"""Sentences that compare people who lack a state with those who have it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.analysis.present.study.comparison_text import shift_text
from dashboard.analysis.present.text import ALPHA, p_equals, people, unit_of, vital_name
from dashboard.analysis.results import Analysis
from dashboard.analysis.study.missing import REST, MissingMeasure, MissingState
from dashboard.languages.current import gettext
from dashboard.languages.names import state_name
from dashboard.languages.written import with_and


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
        "{vital}: {lacking} lack {state}, and they are not like the {others} who have it: "
        "{differences}. Differences with {state} are those of the people who stayed; do not take "
        "them for an effect in all."
    ).format(**_named(one), differences=with_and(differences))


def _alike(one: MissingState) -> str:
    return gettext(
        "{vital}: {lacking} lack {state}. They were not shown to differ from the {others} who have "
        "it in {measures} (smallest Holm p {p}), but so few can hide a difference; ask why they "
        "lack it."
    ).format(
        **_named(one),
        measures=with_and([_name(measure) for measure in one.measures]),
        p=p_equals(min(measure.adjusted_p for measure in one.measures)),
    )


def _named(one: MissingState) -> dict[str, object]:
    return {
        "vital": vital_name(one.kind),
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
