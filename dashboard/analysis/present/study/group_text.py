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
from dashboard.languages.current import gettext
from dashboard.languages.figures import decimal
from dashboard.languages.names import state_name, vital_in_text
from dashboard.languages.written import said, with_and
from dashboard.statistics import MINIMUM, FTest


def group_models(analysis: Analysis) -> tuple[VitalGroupsModel, ...]:
    """Return the groups of each vital; nothing where no attribute is asked for."""
    return tuple(_model(one, analysis.query) for one in analysis.groups)


def group_warning(analysis: Analysis) -> str:
    """Say where F must not be believed; empty where it may."""
    names = [vital_name(one.kind) for one in analysis.groups if one.uneven]
    if not names:
        return ""
    return gettext(
        "{vitals}: the groups have unequal numbers of people and spread very differently, so the F "
        "tests of the groups err too often or too seldom. Believe Welch’s comparisons below them."
    ).format(vitals=", ".join(names))


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
        reason=said(one.reason),
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
    return _f_claim(shown=decides < ALPHA, crossed=crossed).format(
        vital=vital_in_text(one.kind) if crossed else vital_name(one.kind),
        attribute=query.group,
        f=number(test.f, 2),
        df=with_and([_df(value) for value in test.df]),
        p=p_equals(test.p),
        method=correction_name(query.correction),
        adjusted=p_equals(decides),
        eta=number(test.partial_eta_squared, 2),
        sizes=", ".join(f"{name} {one.sizes[name]}" for name in one.compared),
    )


def _f_claim(*, shown: bool, crossed: bool) -> str:
    if crossed and shown:
        return gettext(
            "What the states do to {vital} depended on {attribute} (F = {f} with {df} degrees of "
            "freedom, p {p}, {method} p {adjusted}, partial η² = {eta}; people: {sizes})."
        )
    if crossed:
        return gettext(
            "What the states do to {vital} was not shown to depend on {attribute} (F = {f} with "
            "{df} degrees of freedom, p {p}, {method} p {adjusted}, partial η² = {eta}; people: "
            "{sizes})."
        )
    if shown:
        return gettext(
            "{vital}, all states together, differed by {attribute} (F = {f} with {df} degrees of "
            "freedom, p {p}, {method} p {adjusted}, partial η² = {eta}; people: {sizes})."
        )
    return gettext(
        "{vital}, all states together, was not shown to differ by {attribute} (F = {f} with {df} "
        "degrees of freedom, p {p}, {method} p {adjusted}, partial η² = {eta}; people: {sizes})."
    )


def _df(value: float) -> str:
    return df_text(value) if value == round(value) else decimal(value, 2)


def _apa(one: VitalGroups, test: FTest, decides: float, query: AnalysisQuery, crossed: bool) -> str:
    return _apa_claim(shown=decides < ALPHA, crossed=crossed).format(
        attribute=query.group,
        vital=vital_in_text(one.kind),
        df=_df(test.df[0]),
        df_rest=_df(test.df[1]),
        f=number(test.f, 2),
        p=apa_p(test.p),
        method=correction_name(query.correction),
        adjusted=apa_p(decides),
        eta=number(test.partial_eta_squared, 2),
        n=sum(one.sizes[name] for name in one.compared),
    )


def _apa_claim(*, shown: bool, crossed: bool) -> str:
    if crossed and shown:
        return gettext(
            "A mixed analysis of variance showed a significant interaction of state and "
            "{attribute} on {vital} (Greenhouse-Geisser corrected), F({df}, {df_rest}) = {f}, p "
            "{p}, {method}-adjusted p {adjusted}, partial η2 = {eta}, N = {n}."
        )
    if crossed:
        return gettext(
            "A mixed analysis of variance showed no significant interaction of state and "
            "{attribute} on {vital} (Greenhouse-Geisser corrected), F({df}, {df_rest}) = {f}, p "
            "{p}, {method}-adjusted p {adjusted}, partial η2 = {eta}, N = {n}."
        )
    if shown:
        return gettext(
            "A mixed analysis of variance showed a significant main effect of {attribute} on "
            "{vital}, F({df}, {df_rest}) = {f}, p {p}, {method}-adjusted p {adjusted}, partial η2 "
            "= {eta}, N = {n}."
        )
    return gettext(
        "A mixed analysis of variance showed no significant main effect of {attribute} on {vital}, "
        "F({df}, {df_rest}) = {f}, p {p}, {method}-adjusted p {adjusted}, partial η2 = {eta}, N = "
        "{n}."
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
    of = gettext("{vital}, all states together").format(vital=vital_name(one.kind))
    if contrast.pair is not None:
        first, second = contrast.pair
        of = f"{vital_name(one.kind)}, {state_name(first)} − {state_name(second)}"
    text = gettext(
        "{what}, {first} − {second}: not shown to differ, {difference} {unit} (95 % CI "
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
    """Say who is in no test of the groups, and why."""
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
        named = ", ".join(name for name in one.too_small if one.sizes[name])
        text = gettext("{people} in groups of fewer than {minimum} ({groups})")
        parts.append(text.format(people=people(small), minimum=MINIMUM, groups=named))
    if not parts:
        return ""
    return gettext("{vital}, in no test of the groups: {parts}.").format(
        vital=vital_name(one.kind), parts="; ".join(parts)
    )


def group_lines(one: VitalGroupsModel) -> list[str]:
    """Return all that is said of the groups of a vital, the F tests first."""
    if one.groups is None or one.interaction is None:
        text = gettext("{vital}, by {attribute}: no F test. {reason}.")
        vital = vital_name(one.vital)
        lines = [text.format(vital=vital, attribute=one.attribute, reason=one.reason)]
    else:
        lines = [one.groups.sentence, one.interaction.sentence]
    lines += [contrast.sentence for contrast in one.contrasts]
    return [*lines, one.left_out] if one.left_out else lines
