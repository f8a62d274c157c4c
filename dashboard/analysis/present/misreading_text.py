"""Misread faces and mixed windows, in words. Pure."""

from __future__ import annotations

from dashboard.analysis.misreading import too_short
from dashboard.analysis.present.text import percent
from dashboard.analysis.results import Analysis, VitalComparison
from dashboard.statistics import Attenuation


def mixture_warning(analysis: Analysis) -> str:
    """Warn where states are too short for the window; empty where they are not."""
    mixed = analysis.mixture
    if mixed is None or not too_short(mixed):
        return ""
    return (
        f"The observed states are short for the window of {analysis.query.window:g} s: half of the "
        f"time lies in stretches of up to {mixed.stretch_ms / 1000:.0f} s, and "
        f"{percent(mixed.mixed / max(mixed.windows, 1))} of the windows hold a second emotion. "
        "Differences may shrink, vanish or turn their sign; no difference is called excluded. "
        "Shorten the window, and see the table of other windows and lags."
    )


def misreading_sentence(test: VitalComparison) -> str:
    """Say by how much misreading shrinks a difference; empty where states are not observed."""
    if test.misreading is None:
        return ""
    lost = test.misreading.attenuation
    pair = f"{test.first} and {test.second}"
    if lost is None:
        return (
            f"{pair[0].upper()}{pair[1:]}: no card on this device says how often the classifier "
            "misreads them, so it is not known how much of a difference is lost."
        )
    return (
        f"{pair[0].upper()}{pair[1:]}: {test.misreading.model} reads {percent(lost.first.share)} "
        f"of {lost.first.n:,} faces in {test.first} and {percent(lost.second.share)} of "
        f"{lost.second.n:,} in {test.second} rightly. If every other one is taken for the other "
        f"state, {percent(lost.factor)} of a difference is left (95 % CI "
        f"{percent(lost.interval.low)} to {percent(lost.interval.high)}).{_bounds(lost)}"
    )


def _bounds(lost: Attenuation) -> str:
    """Say which bounds the equivalence tests that decide have."""
    if lost.interval.low <= 0:
        return " No difference of these two is therefore called excluded."
    return (
        f" The equivalence tests that decide therefore have {percent(lost.interval.low)} of the "
        "declared bounds, the lower end of that interval."
    )


def misreading_sentences(analysis: Analysis) -> tuple[str, ...]:
    """Return each pair of states once."""
    return tuple(dict.fromkeys(filter(None, map(misreading_sentence, analysis.family))))
