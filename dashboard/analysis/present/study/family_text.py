"""The families of tests as models and in words. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dashboard.analysis.present.parts.study_schemas import FamilyModel
from dashboard.analysis.present.text import ALPHA
from dashboard.analysis.request import HEART_NAMES, Correction
from dashboard.analysis.results import Analysis
from dashboard.languages.current import gettext
from dashboard.languages.figures import by_locale
from dashboard.languages.names import state_name, vital_in_text

Member = tuple[str, bool]
"""A test in words, and whether it has numbers."""


def family_models(analysis: Analysis) -> tuple[FamilyModel, ...]:
    """Return the declared families and what is left; nothing where none is declared."""
    if not analysis.query.family:
        return ()
    members: defaultdict[tuple[int, str], list[Member]] = defaultdict(list)
    for place, kind, member in _members(analysis):
        # what no family names is two families: those of the vitals, and of the heartbeat
        members[place, "" if place >= 0 else kind].append(member)
    order = sorted(members, key=lambda key: (key[0] < 0, key))
    return tuple(_model(analysis, place, members[place, kind]) for place, kind in order)


def family_rule(analysis: Analysis) -> str:
    """Say for a methods section which p values are adjusted together, and how."""
    method = gettext("Benjamini and Hochberg’s method")
    if analysis.query.correction is Correction.HOLM:
        method = gettext("Holm’s method")
    verdict = gettext("A difference is called one where the adjusted p is below {alpha}.").format(
        alpha=by_locale(str(ALPHA))
    )
    families = family_models(analysis)
    if families:
        listed = " ".join(one.sentence for one in families)
        text = gettext("p values are adjusted by {method} within each family of tests.")
        return f"{text.format(method=method)} {listed} {verdict}"
    text = gettext(
        "p values are adjusted by {method} for what could be computed ({n} of the {total} tests of "
        "the family)."
    ).format(method=method, n=analysis.tests_computed, total=len(analysis.family))
    return f"{text} {verdict}"


def _members(analysis: Analysis) -> Iterator[tuple[int, str, Member]]:
    """Yield for each test its family, what kind of test it is, and itself."""
    query = analysis.query
    for test in analysis.family:
        place = query.family_of(test.kind, test.first, test.second)
        pair = f"{state_name(test.first)} − {state_name(test.second)}"
        computed = test.comparison.tests is not None
        yield place, "vital", (f"{vital_in_text(test.kind)}, {pair}", computed)
    for one in analysis.heart_tests:
        place = query.family_of(one.measure, one.first, one.second)
        name = gettext(HEART_NAMES[one.measure])
        computed = one.comparison.tests is not None
        pair = f"{state_name(one.first)} − {state_name(one.second)}"
        yield place, "heart", (f"{name}, {pair}", computed)


def _model(analysis: Analysis, place: int, members: list[Member]) -> FamilyModel:
    written = "" if place < 0 else analysis.query.family[place]
    computed = sum(has_numbers for _, has_numbers in members)
    tests = tuple(name for name, _ in members)
    text = gettext("In no declared family: {tests} ({n} of {total} computed).")
    if written:
        text = gettext("Family “{family}”: {tests} ({n} of {total} computed).")
    return FamilyModel(
        family=written,
        tests=tests,
        computed=computed,
        sentence=text.format(
            family=written, tests="; ".join(tests), n=computed, total=len(members)
        ),
    )
