"""Misread faces and mixed windows, in words. Pure."""

from __future__ import annotations

from dashboard.analysis.misreading import too_short
from dashboard.analysis.present.text import percent
from dashboard.analysis.results import Analysis, VitalComparison
from dashboard.languages.current import gettext
from dashboard.languages.figures import decimal, general, thousands
from dashboard.languages.names import state_name
from dashboard.statistics import Attenuation


def mixture_warning(analysis: Analysis) -> str:
    """Warn where states are too short for the window; empty where they are not."""
    mixed = analysis.mixture
    if mixed is None or not too_short(mixed):
        return ""
    return gettext(
        "The observed states are short for the window of {window} s: half of the time lies in "
        "stretches of up to {stretch} s, and {share} of the windows hold a second emotion. "
        "Differences may shrink, vanish or turn their sign; no difference is called excluded. "
        "Shorten the window, and see the table of other windows and lags."
    ).format(
        window=general(analysis.query.window),
        stretch=decimal(mixed.stretch_ms / 1000, 0),
        share=percent(mixed.mixed / max(mixed.windows, 1)),
    )


def misreading_sentence(test: VitalComparison) -> str:
    """Say by how much misreading shrinks a difference; empty where states are not observed."""
    if test.misreading is None:
        return ""
    lost = test.misreading.attenuation
    first = state_name(test.first)
    second = state_name(test.second)
    if lost is None:
        return gettext(
            "{First} and {second}: no card on this device says how often the classifier misreads "
            "them, so it is not known how much of a difference is lost."
        ).format(First=_capital(first), second=second)
    text = gettext(
        "{First} and {second}: {model} reads {share_first} of {n_first} faces in {first} and "
        "{share_second} of {n_second} in {second} rightly. If every other one is taken for the "
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
        return gettext("No difference of these two is therefore called excluded.")
    return gettext(
        "The equivalence tests that decide therefore have {share} of the declared bounds, the "
        "lower end of that interval."
    ).format(share=percent(lost.interval.low))


def misreading_sentences(analysis: Analysis) -> tuple[str, ...]:
    """Return each pair of states once."""
    return tuple(dict.fromkeys(filter(None, map(misreading_sentence, analysis.family))))
