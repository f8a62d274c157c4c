"""What was left out of the means, in words: readings in doubt, beginnings of stimuli. Pure."""

from __future__ import annotations

from collections import Counter

from dashboard.analysis.present.text import vital_name
from dashboard.analysis.request import DOUBTS, Outcome
from dashboard.analysis.results import Analysis


def about_values(analysis: Analysis) -> tuple[str, ...]:
    """Return what the values are made of, as far as it must be known before them."""
    return about_settling(analysis), about_baseline(analysis)


def about_readings(analysis: Analysis) -> tuple[str, ...]:
    """Return which readings are left out."""
    return about_flags(analysis), about_sources(analysis)


def about_flags(analysis: Analysis) -> str:
    """Say what became of the readings in doubt, those left out first."""
    left_out = analysis.flagged_left_out
    counted = analysis.flagged - left_out
    texts = []
    if left_out:
        flags = _joined_words({one.flag.replace("_", " ") for one in analysis.left_out})
        texts.append(
            f"{_in_doubt(left_out)} left out of all means and tests ({flags}). {_changes(analysis)}"
        )
    if counted:
        texts.append(f"{_in_doubt(counted)} counted in the means, as chosen.")
    return " ".join(texts)


def _in_doubt(count: int) -> str:
    return f"{count:,} reading{'s' if count > 1 else ''} in doubt {'are' if count > 1 else 'is'}"


def _changes(analysis: Analysis) -> str:
    """Say how many conclusions would be others if every reading counted."""
    changed = sum(test.with_all is not None and test.with_all.changes for test in analysis.family)
    if not changed:
        return "With every reading counted, each test would conclude the same."
    tests = f"{changed} test{'s' if changed > 1 else ''} of {len(analysis.family)}"
    return f"With every reading counted, {tests} would conclude something else; see below which."


def _joined_words(words: set[str]) -> str:
    return ", ".join(sorted(words))


def about_settling(analysis: Analysis) -> str:
    """Say where the beginnings of stimuli that are left out take all readings of a state."""
    texts = [
        f"{vital_name(one.kind)}: the first {one.seconds:g} s of each stimulus are left out, and "
        f"with them all readings in {one.emptied} of the participants’ states. Such stimuli are "
        "too short for this vital; a shorter settling time measures the time before as well."
        for one in analysis.settling
        if one.emptied
    ]
    return " ".join(texts)


def about_baseline(analysis: Analysis) -> str:
    """Say what a change from baseline means, and how many sessions have none."""
    if analysis.query.outcome is not Outcome.CHANGE:
        return ""
    lacking = analysis.without_baseline
    left_out = ""
    if lacking:
        one = lacking == 1
        left_out = (
            f" {lacking} session{'' if one else 's'} {'lacks' if one else 'lack'} a baseline of a "
            "vital, whose readings there are left out."
        )
    return (
        "Values are changes from the participant’s baseline in the same session. A difference "
        "between two states of one session is the same with and without it; groups of different "
        f"people differ less by their usual level.{left_out}"
    )


def about_sources(analysis: Analysis) -> str:
    """Say whose readings count in no mean because another source measured the same."""
    counts: Counter[tuple[str, str]] = Counter()
    sessions = {group.session for group in analysis.passed_over}
    for group in analysis.passed_over:
        counts[group.kind.spec.name_in_text, group.source] += group.n
    if not counts:
        return ""
    left_out = ", ".join(
        f"{n:,} of {name} by {source}" for (name, source), n in sorted(counts.items())
    )
    return (
        f"Several sources measured the same in {len(sessions)} "
        f"session{'s' if len(sessions) > 1 else ''}. One of them "
        f"counts in each, for a mean of two sensors is neither’s; left out are readings: "
        f"{left_out}. prefer_source says which one counts."
    )


def flag_rule(analysis: Analysis) -> str:
    """Say which readings are left out for their flags, for the methods section."""
    query = analysis.query
    left_out = [flag.value for flag in DOUBTS if flag not in query.counted]
    counted = [flag.value for flag in DOUBTS if flag in query.counted]
    texts = []
    if left_out:
        texts.append(f"Readings flagged {', '.join(left_out)} are in no mean and no test.")
    if counted:
        texts.append(f"Readings flagged {', '.join(counted)} count, as asked.")
    return " ".join(texts)
