"""What was left out of the means, in words: readings in doubt, beginnings of stimuli. Pure."""

from __future__ import annotations

from dashboard.analysis.present.text import vital_name
from dashboard.analysis.request import DOUBTS
from dashboard.analysis.results import Analysis


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
