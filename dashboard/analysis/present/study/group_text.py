"""Groups of people as models and in words. Pure."""

from __future__ import annotations

from dashboard.analysis.present.parts.group_schemas import (
    GroupContrastModel,
    GroupTestModel,
    VitalGroupsModel,
)
from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.present.study.apa import apa_p
from dashboard.analysis.present.text import (
    ALPHA,
    correction_name,
    df_text,
    interval_text,
    number,
    p_equals,
    people,
    unit_of,
    vital_name,
)
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.results import Analysis
from dashboard.analysis.study.groups import GroupContrast, VitalGroups
from dashboard.statistics import MINIMUM, FTest


def group_models(analysis: Analysis) -> tuple[VitalGroupsModel, ...]:
    """Return the groups of each vital; nothing where no attribute is asked for."""
    return tuple(_model(one, analysis.query) for one in analysis.groups)


def group_warning(analysis: Analysis) -> str:
    """Say where F must not be believed; empty where it may."""
    names = [vital_name(one.kind) for one in analysis.groups if one.uneven]
    if not names:
        return ""
    return (
        f"{', '.join(names)}: the groups have unequal numbers of people and spread very "
        "differently, so the F tests of the groups err too often or too seldom. Believe Welch’s "
        "comparisons below them."
    )


def _model(one: VitalGroups, query: AnalysisQuery) -> VitalGroupsModel:
    anova = one.anova
    return VitalGroupsModel(
        vital=one.kind,
        attribute=query.group or "",
        sizes=dict(one.sizes),
        too_small=one.too_small,
        no_attribute=len(one.no_attribute),
        incomplete=dict(one.incomplete),
        epsilon=None if anova is None else anova.epsilon,
        groups=None if anova is None else _f_model(one, anova.groups, one.groups_p, query, False),
        interaction=None
        if anova is None
        else _f_model(one, anova.interaction, one.interaction_p, query, True),
        contrasts=tuple(_contrast(one, contrast, query) for contrast in one.contrasts),
        uneven=one.uneven,
        reason=one.reason,
        left_out=_left_out(one, query),
    )


def _f_model(
    one: VitalGroups, test: FTest, adjusted: float | None, query: AnalysisQuery, crossed: bool
) -> GroupTestModel:
    decides = test.p if adjusted is None else adjusted
    return GroupTestModel(
        f=test.f,
        df=test.df,
        p=test.p,
        adjusted_p=decides,
        partial_eta_squared=test.partial_eta_squared,
        sentence=_f_sentence(one, test, decides, query, crossed),
        apa=_apa(one, test, decides, query, crossed),
    )


def _f_sentence(
    one: VitalGroups, test: FTest, decides: float, query: AnalysisQuery, crossed: bool
) -> str:
    shown = decides < ALPHA
    if crossed:
        verb = "depended" if shown else "was not shown to depend"
        start = f"What the states do to {one.kind.spec.name_in_text} {verb} on {query.group}"
    else:
        verb = "differed" if shown else "was not shown to differ"
        start = f"{vital_name(one.kind)}, all states together, {verb} by {query.group}"
    sizes = ", ".join(f"{name} {one.sizes[name]}" for name in one.compared)
    df = " and ".join(_df(value) for value in test.df)
    return (
        f"{start} (F = {number(test.f, 2)} with {df} degrees of freedom, p {p_equals(test.p)}, "
        f"{correction_name(query.correction)} p {p_equals(decides)}, partial η² = "
        f"{number(test.partial_eta_squared, 2)}; people: {sizes})."
    )


def _df(value: float) -> str:
    return df_text(value) if value == round(value) else f"{value:.2f}"


def _apa(one: VitalGroups, test: FTest, decides: float, query: AnalysisQuery, crossed: bool) -> str:
    effect = "interaction of state and" if crossed else "main effect of"
    corrected = " (Greenhouse-Geisser corrected)" if crossed else ""
    shown = "a significant" if decides < ALPHA else "no significant"
    n = sum(one.sizes[name] for name in one.compared)
    return (
        f"A mixed analysis of variance showed {shown} {effect} {query.group} on "
        f"{one.kind.spec.name_in_text}{corrected}, F({_df(test.df[0])}, {_df(test.df[1])}) = "
        f"{number(test.f, 2)}, p {apa_p(test.p)}, {correction_name(query.correction)}-adjusted p "
        f"{apa_p(decides)}, partial η2 = {number(test.partial_eta_squared, 2)}, N = {n}."
    )


def _contrast(
    one: VitalGroups, contrast: GroupContrast, query: AnalysisQuery
) -> GroupContrastModel:
    t = contrast.test
    pair = contrast.pair
    return GroupContrastModel(
        first=contrast.first,
        second=contrast.second,
        first_state=None if pair is None else str(pair[0]),
        second_state=None if pair is None else str(pair[1]),
        n_first=t.n_first,
        n_second=t.n_second,
        difference=t.difference,
        interval=IntervalModel(low=t.interval.low, high=t.interval.high),
        t=t.t,
        df=t.df,
        p=t.p,
        adjusted_p=contrast.adjusted_p,
        sentence=_contrast_sentence(one, contrast, query),
    )


def _contrast_sentence(one: VitalGroups, contrast: GroupContrast, query: AnalysisQuery) -> str:
    t = contrast.test
    of = f"{vital_name(one.kind)}, all states together"
    if contrast.pair is not None:
        of = f"{vital_name(one.kind)}, {contrast.pair[0]} − {contrast.pair[1]}"
    shown = "differs" if contrast.adjusted_p < ALPHA else "not shown to differ"
    return (
        f"{of}, {contrast.first} − {contrast.second}: {shown}, {number(t.difference)} "
        f"{unit_of(one.kind)} (95 % CI {interval_text(t.interval.low, t.interval.high)}); Welch "
        f"t({df_text(t.df)}) = {number(t.t, 2)}, p {p_equals(t.p)}, "
        f"{correction_name(query.correction)} p {p_equals(contrast.adjusted_p)}, n = {t.n_first} "
        f"and {t.n_second}."
    )


def _left_out(one: VitalGroups, query: AnalysisQuery) -> str:
    """Say who is in no test of the groups, and why."""
    parts = []
    if one.no_attribute:
        parts.append(f"{people(len(one.no_attribute))} without {query.group}")
    if one.incomplete:
        listed = ", ".join(f"{name} {count}" for name, count in one.incomplete.items())
        parts.append(f"{people(sum(one.incomplete.values()))} without all states ({listed})")
    small = sum(one.sizes[name] for name in one.too_small)
    if small:
        named = ", ".join(name for name in one.too_small if one.sizes[name])
        parts.append(f"{people(small)} in groups of fewer than {MINIMUM} ({named})")
    if not parts:
        return ""
    return f"{vital_name(one.kind)}, in no test of the groups: {'; '.join(parts)}."


def group_lines(one: VitalGroupsModel) -> list[str]:
    """Return all that is said of the groups of a vital, the F tests first."""
    if one.groups is None or one.interaction is None:
        lines = [f"{vital_name(one.vital)}, by {one.attribute}: no F test. {one.reason}."]
    else:
        lines = [one.groups.sentence, one.interaction.sentence]
    lines += [contrast.sentence for contrast in one.contrasts]
    return [*lines, one.left_out] if one.left_out else lines
