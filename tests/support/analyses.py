"""Questions of a made study, and analyses of plain values, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.choices import SettlingChoice, settlings_of
from dashboard.analysis.query import AnalysisQuery, Sample
from dashboard.analysis.readings.states import ReadingGroup, StateReadings
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import (
    AnalysisModel,
    ComputedModel,
    FollowedModel,
    HeartsModel,
    SkinsModel,
)
from dashboard.analysis.steps.around import tables_around
from dashboard.analysis.steps.counted import counted_of
from dashboard.analysis.steps.decided import decided_of
from dashboard.analysis.steps.material import Choices, Material
from dashboard.analysis.steps.question import question_of
from dashboard.analysis.steps.tested import run_tests
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Purpose, Session
from edge_agent.timeline.read.reader import Reader
from tests.support.studies import HEART

RATES = {
    "P1": {"anger": 80.0, "neutral": 70.0},
    "P2": {"anger": 84.0, "neutral": 71.0},
    "P3": {"anger": 79.0, "neutral": 72.0},
}
"""Heart rates of three people, 1/min."""


def group_of(
    person: str, state: str, rate: float, *flags: VitalFlag, session: int = 0, n: int = 5
) -> ReadingGroup:
    """Return heart rates of a person in a state; a person without a session has that of the last
    digits of the code.
    """
    number = session or int(person.lstrip("P"))
    return ReadingGroup(person, number, state, HEART, frozenset(flags), False, n, n * rate, rate)


def material_of(
    rates: Mapping[str, Mapping[str, float]] = RATES,
    *others: ReadingGroup,
    around: Mapping[float, Mapping[str, Mapping[str, float]]] | None = None,
    **asked: object,
) -> Material:
    """Return what the steps of an analysis start from.

    Args:
        rates: by person and state five heart rates of this mean.
        others: other readings.
        around: such rates under other settling times, by their seconds.
        asked: the question.
    """
    question = {"vital": ("heart_rate",), "sensitivity": around is not None} | asked
    query = AnalysisQuery.model_validate(question)
    readings: dict[SettlingChoice, StateReadings] = {}
    for choice in settlings_of(query):
        own = (around or {}).get(choice.settling_s(HEART), rates)
        groups = [group_of(code, *one) for code, means in own.items() for one in means.items()]
        readings[choice] = StateReadings((*groups, *others))
    sessions = (
        Session(int(code.lstrip("P")), code, Purpose.RESEARCH, "", 3_600_000 * place, None)
        for place, code in enumerate(rates, start=1)
    )
    return Material(
        query=query,
        sample=Sample.MEASURED,
        sessions=tuple(sessions),
        excluded=[],
        stimuli=[],
        met=[],
        shown={},
        check=None,
        faces=None,
        choices=Choices({}, readings, None, 0, levels=tuple(readings.values())),
        own={},
        sites={},
    )


def computed_of(material: Material) -> ComputedModel:
    """Return the answer of the steps that read nothing more; nobody measured beats or skin."""
    tested = run_tests(material)
    decided = decided_of(material, tested, None)
    return ComputedModel.of(
        question_of(material),
        counted_of(material, tested),
        decided,
        HeartsModel(variability=(), heart_tests=()),
        SkinsModel(skin=(), skin_tests=()),
        tables_around(material, tested, [one.result for one in decided.comparisons]),
        FollowedModel(),
    )


def analysed(path: Path, **asked: object) -> Analysis:
    """Return the analysis of a timeline."""
    return analyse(Reader(path), AnalysisQuery.model_validate(asked))


def answered(path: Path, **asked: object) -> AnalysisModel:
    """Return what programs get of its heart rates, without other choices."""
    return response_of(analysed(path, **{"vital": ("heart_rate",), "sensitivity": False} | asked))
