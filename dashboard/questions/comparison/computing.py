"""The comparison computed: the family of tests, in words and in pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.analysis.preregistration import compare_with_newest
from dashboard.analysis.query import AnalysisQuery, Sample, StateBy
from dashboard.analysis.rendering.light import LeftOutTable
from dashboard.analysis.results import AnalysisModel, AroundModel, FlowModel, TestGroup
from dashboard.charts.chart import Chart
from dashboard.charts.figure import figure_files
from dashboard.questions.basis import Basis, figure_source
from dashboard.questions.entry import Inquiry
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import is_of_face
from edge_agent.timeline.read.reader import models_in_use
from edge_agent.timeline.read.sites import Sites, reader_of
from edge_agent.vision.models.card import ModelCard, is_card_of, known_cards

if TYPE_CHECKING:  # loads SciPy
    from dashboard.analysis.analyse import Analysis
    from dashboard.analysis.inference.checks import ClassifierByCard


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that the page shows of an analysis.

    Attributes:
        response: what the API answers, without a line for each test of what nobody measured.
        digest: short name of what the API answers, the same as long as no number and no word
            changes.
        other_states: labels of stimuli with readings that the question does not name.
        groups: the tests as text, by vital.
        left_out: what went into no test, and why.
        charts: of the means by state.
        spreads: of every participant's values.
        effects: the effect sizes.
        variability: the answer about the variability of the heart rate.
        skin: the answer about the responses of skin conductance.
    """

    response: AnalysisModel
    digest: str
    other_states: tuple[str, ...]
    groups: tuple[TestGroup, ...]
    left_out: LeftOutTable
    charts: tuple[Chart, ...]
    spreads: tuple[Chart, ...]
    effects: Chart | None
    variability: str
    skin: str


def compute(inquiry: Inquiry) -> Analysis:
    """Return the analysis, which has no sentence yet.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.analyse import analyse

    face = None
    if inquiry.query.state is StateBy.OBSERVED:
        every = [face_reading(database, inquiry.models) for _, database in inquiry.sites]
        if all(one == every[0] for one in every):  # else the sites use different models
            face = every[0]
    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown)
    return analyse(reader, inquiry.query, face, inquiry.prefer_sources)


def flow_of(inquiry: Inquiry) -> FlowModel | None:
    """Return the flow of people and readings of an analysis, without the rest of it.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.analyse import follow

    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown)
    return follow(reader, inquiry.query, inquiry.prefer_sources)


def face_reading(database: Path, models: tuple[str, ...]) -> ClassifierByCard | None:
    """Say how often the expression model used last is right for each state, by its card.

    ``None`` without a card. The timeline knows the model by its SHA-256 and its version. A prior
    changes how often it is right: with the fitted one less often for neutral faces, more often for
    others.
    """
    from dashboard.analysis.inference.checks import ClassifierByCard
    from dashboard.statistics.period import Recall

    used = card_in_use(database, models)
    if used is None:
        return None
    card, is_fitted = used
    split = "PublicTest, fitted prior" if is_fitted else "PublicTest"
    recalls = {}
    for emotion in EMOTIONS:
        figures = card.metrics.get(f"{split}, FER+ majority, {emotion.value}", {})
        if {"recall", "n"} <= figures.keys() and figures["n"] >= 1:
            recalls[emotion] = Recall(float(figures["recall"]), int(figures["n"]))
    return ClassifierByCard(f"{card.name} {card.version}", recalls)


def card_in_use(database: Path, models: tuple[str, ...]) -> tuple[ModelCard, bool] | None:
    """Return the card of the expression model used last, and whether with its fitted prior.

    ``None`` where it has no card that is known.
    """
    used = [one for one in models_in_use(database) if one.kind == "expression"]
    text = known_cards(models).get(used[0].sha256) if used else None
    if text is None or not is_card_of(text, used[0].version):
        return None
    card = ModelCard.model_validate_json(text)
    return card, used[0].prior == "fitted" and card.fitted_prior is not None


def put_into_words(
    sites: Sites, analysis: Analysis, prefer_sources: Sequence[str] = ()
) -> AnalysisModel:
    """Return an analysis with its sentences, and how the question stands to the newest
    preregistration; over several sites to none, for each froze what is its own.

    Args:
        sites: what was analysed.
        analysis: of it.
        prefer_sources: the sources of the configuration.

    Raises:
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.rendering.answer import response_of

    decided = None
    if len(sites) == 1:
        decided = compare_with_newest(
            sites[0][1],
            analysis.answer.question,
            len(analysis.participants),
            [session.start_ms for session in analysis.sessions],
            sample=analysis.answer.sample,
            prefer_sources=prefer_sources,
        )
    return response_of(analysis, decided)


def figures_of(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    """Return the charts of an analysis as figures that stand alone, by path in a bundle."""
    from dashboard.analysis.rendering.charts import analysis_charts, effects_chart, spread_charts

    effects = effects_chart(analysis)
    charts = (*analysis_charts(analysis), *spread_charts(analysis), *filter(None, [effects]))
    basis = Basis(
        analysis.sessions,
        len(analysis.participants),
        analysis.answer.sample is Sample.EXAMPLE,
        analysis.answer.simulated_readings > 0,
        needs_faces(analysis.answer.question),
    )
    return figure_files(
        charts,
        figure_source(
            reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown), basis
        ),
    )


def needs_faces(query: AnalysisQuery) -> bool:
    """Tell whether what is compared, or by which states, was read from faces."""
    return query.state is StateBy.OBSERVED or any(map(is_of_face, query.vital))


def answer(inquiry: Inquiry) -> AnalysisModel:
    """Return the family of tests with every number.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return put_into_words(inquiry.sites, compute(inquiry), inquiry.prefer_sources)


def _digest(response: AnalysisModel) -> str:
    """Return the short name of an answer, which is the same with and without the tables of other
    choices.
    """
    beside = {*AroundModel.model_fields} - {"without_own_neutral"}
    text = response.model_dump_json(
        exclude={**dict.fromkeys(beside, True), "question": {"sensitivity"}}
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sheet(inquiry: Inquiry) -> Sheet:
    """Return what the page shows of the family of tests.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.rendering.charts import analysis_charts, effects_chart, spread_charts
    from dashboard.analysis.rendering.light import left_out_table
    from dashboard.analysis.rendering.tables import groups_of
    from dashboard.analysis.rendering.words import say

    analysis = compute(inquiry)
    response = put_into_words(inquiry.sites, analysis, inquiry.prefer_sources)
    shown = response.for_people()
    return Sheet(
        response=shown,
        digest=_digest(response),
        other_states=tuple(analysis.answer.other_states),
        groups=groups_of(shown),
        left_out=left_out_table(shown),
        charts=analysis_charts(analysis),
        spreads=spread_charts(analysis),
        effects=effects_chart(analysis),
        variability=say("beside", "variability", analysis.answer.variability),
        skin=say("beside", "skin", analysis.answer.skin, analysis.answer.question.scr_threshold),
    )
