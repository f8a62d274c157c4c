"""The families of tests as models and in words. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dashboard.analysis.present.parts.study_schemas import FamilyModel
from dashboard.analysis.present.text import ALPHA
from dashboard.analysis.request import HEART_NAMES, Correction
from dashboard.analysis.results import Analysis

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
    method = "Benjamini and Hochberg’s method"
    if analysis.query.correction is Correction.HOLM:
        method = "Holm’s method"
    verdict = f"A difference is called one where the adjusted p is below {ALPHA}."
    families = family_models(analysis)
    if families:
        listed = " ".join(one.sentence for one in families)
        return f"p values are adjusted by {method} within each family of tests. {listed} {verdict}"
    return (
        f"p values are adjusted by {method} for what could be computed ({analysis.tests_computed} "
        f"of the {len(analysis.family)} tests of the family). {verdict}"
    )


def _members(analysis: Analysis) -> Iterator[tuple[int, str, Member]]:
    """Yield for each test its family, what kind of test it is, and itself."""
    query = analysis.query
    for test in analysis.family:
        place = query.family_of(test.kind, test.first, test.second)
        name = test.kind.spec.name_in_text
        computed = test.comparison.tests is not None
        yield place, "vital", (f"{name}, {test.first} − {test.second}", computed)
    for one in analysis.heart_tests:
        place = query.family_of(one.measure, one.first, one.second)
        name = HEART_NAMES[one.measure]
        computed = one.comparison.tests is not None
        yield place, "heart", (f"{name}, {one.first} − {one.second}", computed)


def _model(analysis: Analysis, place: int, members: list[Member]) -> FamilyModel:
    written = "" if place < 0 else analysis.query.family[place]
    computed = sum(has_numbers for _, has_numbers in members)
    title = f"Family “{written}”" if written else "In no declared family"
    tests = tuple(name for name, _ in members)
    return FamilyModel(
        family=written,
        tests=tests,
        computed=computed,
        sentence=f"{title}: {'; '.join(tests)} ({computed} of {len(members)} computed).",
    )
