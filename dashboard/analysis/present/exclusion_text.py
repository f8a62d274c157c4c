"""What was left out of the means, in words: readings in doubt, beginnings of stimuli. Pure."""

from __future__ import annotations

from collections import Counter

from dashboard.analysis.present.text import vital_name
from dashboard.analysis.request import DOUBTS, Outcome
from dashboard.analysis.results import Analysis
from dashboard.languages.current import N_, gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import vital_in_text
from edge_agent.core.readings import VitalFlag


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
        flags = sorted({gettext(FLAG_WORDS[one.flag]) for one in analysis.left_out})
        texts.append(
            ngettext(
                "{n} reading in doubt is left out of all means and tests ({flags}).",
                "{n} readings in doubt are left out of all means and tests ({flags}).",
                left_out,
            ).format(n=thousands(left_out), flags=", ".join(flags))
        )
        texts.append(_changes(analysis))
    if counted:
        texts.append(
            ngettext(
                "{n} reading in doubt is counted in the means, as chosen.",
                "{n} readings in doubt are counted in the means, as chosen.",
                counted,
            ).format(n=thousands(counted))
        )
    return " ".join(texts)


FLAG_WORDS = {
    VitalFlag.OUT_OF_RANGE: N_("out of range"),
    VitalFlag.CONTACT_LOST: N_("contact lost"),
    VitalFlag.ESTIMATED: N_("estimated"),
    VitalFlag.CLOCK_DIFFERS: N_("clock differs"),
    VitalFlag.POOR_SIGNAL: N_("poor signal"),
}
"""What the flags of readings are called in a list."""


def _changes(analysis: Analysis) -> str:
    """Say how many conclusions would be others if every reading counted."""
    changed = sum(test.with_all is not None and test.with_all.changes for test in analysis.family)
    if not changed:
        return gettext("With every reading counted, each test would conclude the same.")
    return ngettext(
        "With every reading counted, {n} test of {total} would conclude something else; see below "
        "which.",
        "With every reading counted, {n} tests of {total} would conclude something else; see below "
        "which.",
        changed,
    ).format(n=changed, total=len(analysis.family))


def about_settling(analysis: Analysis) -> str:
    """Say where the beginnings of stimuli that are left out take all readings of a state."""
    texts = [
        gettext(
            "{vital}: the first {seconds} s of each stimulus are left out, and with them all "
            "readings in {n} of the participants’ states. Such stimuli are too short for this "
            "vital; a shorter settling time measures the time before as well."
        ).format(vital=vital_name(one.kind), seconds=general(one.seconds), n=one.emptied)
        for one in analysis.settling
        if one.emptied
    ]
    return " ".join(texts)


def about_baseline(analysis: Analysis) -> str:
    """Say what a change from baseline means, and how many sessions have none."""
    if analysis.query.outcome is not Outcome.CHANGE:
        return ""
    lacking = analysis.without_baseline
    text = gettext(
        "Values are changes from the participant’s baseline in the same session. A difference "
        "between two states of one session is the same with and without it; groups of different "
        "people differ less by their usual level."
    )
    if not lacking:
        return text
    left_out = ngettext(
        "{n} session lacks a baseline of a vital, whose readings there are left out.",
        "{n} sessions lack a baseline of a vital, whose readings there are left out.",
        lacking,
    ).format(n=lacking)
    return f"{text} {left_out}"


def about_sources(analysis: Analysis) -> str:
    """Say whose readings count in no mean because another source measured the same."""
    counts: Counter[tuple[str, str]] = Counter()
    sessions = {group.session for group in analysis.passed_over}
    for group in analysis.passed_over:
        counts[vital_in_text(group.kind), group.source] += group.n
    if not counts:
        return ""
    left_out = ", ".join(
        gettext("{n} of {vital} by {source}").format(n=thousands(n), vital=name, source=source)
        for (name, source), n in sorted(counts.items())
    )
    return ngettext(
        "Several sources measured the same in {n} session. One of them counts in each, for a mean "
        "of two sensors is neither’s; left out are readings: {readings}. prefer_source says which "
        "one counts.",
        "Several sources measured the same in {n} sessions. One of them counts in each, for a mean "
        "of two sensors is neither’s; left out are readings: {readings}. prefer_source says which "
        "one counts.",
        len(sessions),
    ).format(n=len(sessions), readings=left_out)


def flag_rule(analysis: Analysis) -> str:
    """Say which readings are left out for their flags, for the methods section."""
    query = analysis.query
    left_out = [flag.value for flag in DOUBTS if flag not in query.counted]
    counted = [flag.value for flag in DOUBTS if flag in query.counted]
    texts = []
    if left_out:
        texts.append(
            gettext("Readings flagged {flags} are in no mean and no test.").format(
                flags=", ".join(left_out)
            )
        )
    if counted:
        texts.append(
            gettext("Readings flagged {flags} count, as asked.").format(flags=", ".join(counted))
        )
    return " ".join(texts)
