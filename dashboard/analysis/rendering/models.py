"""The mixed model and the evidence, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.analysis.analyse import Analysis, VitalComparison
from dashboard.analysis.inference.mixed import Main
from dashboard.analysis.question import Correction, Design
from dashboard.analysis.rendering.numbers import (
    correction_name,
    interval_text,
    names_of,
    number,
    p_equals,
    people,
    sessions_text,
    unit_of,
)
from dashboard.analysis.results import By, VitalModelModel
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import decimal, thousands
from dashboard.languages.names import said, vital_label, with_and
from dashboard.statistics.t_tests import BayesFactor
from edge_agent.core.study import Session

LARGE_FACTOR = 1e5
"""From here on a Bayes factor is only said to be larger."""

_MODERATE = 3.0
_FOR_DIFFERENCE = {
    100.0: N_("{finding}: extreme evidence for a difference."),
    30.0: N_("{finding}: very strong evidence for a difference."),
    10.0: N_("{finding}: strong evidence for a difference."),
    _MODERATE: N_("{finding}: moderate evidence for a difference."),
}
_FOR_NONE = {
    100.0: N_("{finding}: extreme evidence for no difference."),
    30.0: N_("{finding}: very strong evidence for no difference."),
    10.0: N_("{finding}: strong evidence for no difference."),
    _MODERATE: N_("{finding}: moderate evidence for no difference."),
}
"""Names of a Bayes factor of so much, or more."""


def main_reason(analysis: Analysis) -> str:
    """Say which analysis is the main one, and why."""
    repeated = max((one.repeated for one in analysis.models), default=0)
    incomplete = max((one.incomplete for one in analysis.models), default=0)
    if analysis.main is Main.MIXED_MODEL:
        return gettext(
            "Main analysis: the mixed model, because {reason}. It uses all of them; the t-tests "
            "are shown beside it."
        ).format(reason=_calls(repeated, incomplete))
    if analysis.query.design is not Design.AUTO:
        text = gettext("Main analysis: the t-tests, because the design was chosen.")
    elif not (repeated or incomplete):
        text = gettext(
            "Main analysis: the t-tests, because everybody has one session with all states."
        )
    elif any(one.uneven for one in analysis.models):
        text = gettext(
            "Main analysis: the t-tests, because the mixed model treats means of few and of "
            "many readings as equally precise."
        )
    else:
        text = gettext(
            "Main analysis: the t-tests. The mixed model does not answer every question that "
            "they answer, or finds no similarity within people, although {reason}."
        ).format(reason=_calls(repeated, incomplete))
    if any(test.by_model for test in analysis.family):
        return f"{text} {gettext('The mixed model is shown beside them.')}"
    return text


def _calls(repeated: int, incomplete: int) -> str:
    parts = []
    if repeated:
        parts.append(
            ngettext(
                "{n} person has several sessions", "{n} people have several sessions", repeated
            ).format(n=repeated)
        )
    if incomplete:
        parts.append(
            ngettext("{n} session lacks a state", "{n} sessions lack a state", incomplete).format(
                n=thousands(incomplete)
            )
        )
    return with_and(parts)


def model_sentence(model: VitalModelModel, sessions: Sequence[Session]) -> str:
    """Say what went into the model of a vital, or why there is none."""
    name = vital_label(model.vital)
    if model.reason:
        reason = said(model.reason)
        return gettext("{vital}: no mixed model. {reason}.").format(
            vital=name, reason=reason[:1].upper() + reason[1:]
        )
    variances = [
        (gettext("people"), model.participant_variance),
        (gettext("sessions"), model.session_variance),
        (gettext("people’s own reactions to a state"), model.reaction_variance),
        (gettext("the rest"), model.residual_variance),
    ]
    parts = [f"{of} {number(value, 2)}" for of, value in variances if value is not None]
    texts = [
        gettext("{vital}: {means} means of {people} in {sessions}; variances: {parts}.").format(
            vital=name,
            means=thousands(model.means),
            people=people(model.participants),
            sessions=sessions_text(model.sessions),
            parts=", ".join(parts),
        ),
        _minute(model, made_up=any(session.has_made_up_times for session in sessions)),
    ]
    if model.sites:
        texts.append(_site_text(model))
    if model.singular:
        texts.append(gettext("A variance was estimated as 0, so this is the fit without it."))
    return " ".join(texts)


def _site_text(model: VitalModelModel) -> str:
    """Say how the sites differ."""
    differences = [
        gettext("{site} {difference} {unit} (95 % CI {interval}, p {p})").format(
            site=site.site,
            difference=number(site.difference, 1),
            unit=unit_of(model.vital),
            interval=interval_text(site.interval.low, site.interval.high),
            p=p_equals(site.p),
        )
        for site in model.sites
    ]
    return gettext("The model includes the site. Differences from {first}: {differences}.").format(
        first=model.first_site, differences="; ".join(differences)
    )


def _minute(model: VitalModelModel, *, made_up: bool) -> str:
    """Say what the time in the session does, or why it is not in the model."""
    if model.minute is None and made_up:
        return gettext(
            "Time in the session is not in the model, because the times of sessions are not known."
        )
    if model.minute is None:
        return gettext(
            "Time in the session is not in the model, because everybody went through the states "
            "at nearly the same times."
        )
    return gettext("Each minute of the session changes it by {slope} {unit} (p {p}).").format(
        slope=number(model.minute, 2), unit=unit_of(model.vital), p=p_equals(model.minute_p or 0.0)
    )


def evidence_sentence(test: VitalComparison, factor: BayesFactor) -> str:
    """Say how much the data speak for a difference, or for none."""
    against = factor.log_factor < 0
    times = factor.for_none if against else factor.for_difference
    text = gettext(
        "{vital}, {first} and {second}: the data are {times} times as likely with a difference as "
        "without one (BF₁₀ = {times}; JZS, scale r = {scale})"
    )
    if against:
        text = gettext(
            "{vital}, {first} and {second}: the data are {times} times as likely without a "
            "difference as with one (BF₀₁ = {times}; JZS, scale r = {scale})"
        )
    start = text.format(
        **names_of(test.kind, test.first, test.second),
        times=factor_text(times),
        scale=decimal(factor.scale, 3),
    )
    return f"{_weighed(test, factor, start)} {_ignored(test)}".rstrip()


def _ignored(test: VitalComparison) -> str:
    """Say what the factor, which is the t-test's, ignores and the result does not."""
    if test.result.by is By.EQUAL_TIMES:
        return gettext("It ignores time in the session.")
    if test.result.by is By.MIXED_MODEL:
        return gettext("It comes from the t-test, not from the mixed model.")
    return ""


def _weighed(test: VitalComparison, factor: BayesFactor, start: str) -> str:
    """Say in words how much a factor is."""
    against = factor.log_factor < 0
    times = factor.for_none if against else factor.for_difference
    # Below 3 the words of both sides would claim too much.
    if times < _MODERATE:
        return gettext("{finding}. This is hardly evidence for either.").format(finding=start)
    if not against:
        return _called(times, _FOR_DIFFERENCE).format(finding=start)
    # A doubt bars only the claim of no difference, as with the equivalence test.
    doubt = "" if test.in_family is None else test.in_family.doubt
    if doubt:
        text = gettext("{finding}. This is not called evidence for no difference, because {doubt}.")
        return text.format(finding=start, doubt=gettext(doubt))
    return _called(times, _FOR_NONE).format(finding=start)


def _called(times: float, names: Mapping[float, str]) -> str:
    # From the largest down: the first that is reached names it.
    return gettext(next(name for least, name in names.items() if times >= least))


def factor_text(factor: float) -> str:
    """Write a Bayes factor: three digits, large ones by powers of ten."""
    if factor >= LARGE_FACTOR:
        return gettext("over {factor}").format(factor=thousands(100_000))
    if factor >= 100:
        return thousands(round(factor))
    return number(factor, 1 if factor >= 10 else 2)


def model_rule(correction: Correction) -> str:
    """Say how the model is made, for the methods section."""
    return gettext(
        "Mixed model: value ~ state + minutes in the session + (1 | participant / session), and + "
        "(1 | participant : state) where somebody met a state in several sessions; one value is "
        "one mean of a state in a session; restricted maximum likelihood, Satterthwaite’s degrees "
        "of freedom, p adjusted over its tests by {method}’s method. It is the main analysis where "
        "people have several sessions or missing states. Bayes factors: JZS with a Cauchy prior of "
        "scale √2/2 (Rouder et al. 2009), from the t-tests."
    ).format(method=correction_name(correction))
