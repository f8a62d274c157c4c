"""Inquiries of the dashboard to the process that computes: each a function of plain values, whose
result needs no SciPy to be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.analysis.coupling_results import CouplingModel, CouplingQuery
from dashboard.analysis.preregistration import (
    PreregistrationModel,
    compare_with_newest,
    declaring,
    sample_differences,
)
from dashboard.analysis.question import AnalysisQuery, Sample, StateBy
from dashboard.analysis.readings.sites import reader_of
from dashboard.analysis.rendering.light import LeftOutTable
from dashboard.analysis.rendering.responses import (
    ResponsesSheet,
    SessionCurves,
    curves_of_session,
    responses_csv,
    sheet_of_responses,
)
from dashboard.analysis.rendering.responses import put_into_words as responses_in_words
from dashboard.analysis.response_results import (
    ALWAYS_DRAWN,
    MOST_VITALS,
    ResponsesModel,
    ResponsesQuery,
)
from dashboard.analysis.results import AnalysisModel, SensorComparison, TestGroup
from dashboard.charts.chart import Chart
from dashboard.fleet.known import Sites
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.rows import Choice
from edge_agent.store.read.reader import Reader, models_in_use
from edge_agent.vision.models.card import ModelCard, known_cards

if TYPE_CHECKING:  # loads SciPy
    from dashboard.analysis.analyse import Analysis
    from dashboard.analysis.inference.checks import FaceReading
    from edge_agent.store.read.quality import SessionQuality


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question to a timeline.

    Attributes:
        sites: name and timeline of each site; one without a name is this appliance's own.
        query: the question.
        models: names or paths of the configured models, whose cards say how faces are misread.
        prefer_sources: which source counts where several measured the same, the best first.
        span: only what lies between two times, UTC epoch milliseconds; ``None``: everything.
    """

    sites: Sites
    query: AnalysisQuery
    models: tuple[str, ...]
    prefer_sources: tuple[str, ...] = ()
    span: tuple[int | None, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that the page shows of an analysis.

    Attributes:
        response: what the API answers.
        digest: short name of the response, the same as long as no number and no word changes.
        other_states: labels of stimuli with readings that the question does not name.
        groups: the tests as text, by vital.
        left_out: what went into no test, and why.
        charts: of the means by state.
        spreads: of every participant's values.
        effects: the effect sizes.
        variability: what is said of the variability of the heart rate.
        skin: what is said of the responses of skin conductance.
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


@dataclass(frozen=True, slots=True)
class CouplingSheet:
    """Everything that the page shows of an association within people.

    Attributes:
        response: what the API answers.
        chart: mean correlation by lag; ``None`` where no lags were asked for.
    """

    response: CouplingModel
    chart: Chart | None


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
    reader = reader_of(inquiry.sites, inquiry.span)
    return analyse(reader, inquiry.query, face, inquiry.prefer_sources)


def face_reading(database: Path, models: tuple[str, ...]) -> FaceReading | None:
    """Say how often the expression model used last is right for each state, by its card.

    ``None`` without a card. The timeline knows the model by its SHA-256. A prior changes how often
    it is right: with the fitted one less often for neutral faces, more often for others.
    """
    from dashboard.analysis.inference.checks import FaceReading
    from dashboard.statistics.period import Recall

    used = [one for one in models_in_use(database) if one.kind == "expression"]
    text = known_cards(models).get(used[0].sha256) if used else None
    if text is None:
        return None
    card = ModelCard.model_validate_json(text)
    split = "PublicTest"
    if used[0].prior == "fitted" and card.fitted_prior is not None:
        split = "PublicTest, fitted prior"
    recalls = {}
    for emotion in EMOTIONS:
        figures = card.metrics.get(f"{split}, FER+ majority, {emotion.value}", {})
        if {"recall", "n"} <= figures.keys() and figures["n"] >= 1:
            recalls[emotion] = Recall(float(figures["recall"]), int(figures["n"]))
    return FaceReading(f"{card.name} {card.version}", recalls)


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
            analysis.query,
            len(analysis.participants),
            [session.start_ms for session in analysis.sessions],
            sample=analysis.sample,
            prefer_sources=prefer_sources,
        )
    return response_of(analysis, decided)


def analysis_of(inquiry: Inquiry) -> AnalysisModel:
    """Return the family of tests with every number.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return put_into_words(inquiry.sites, compute(inquiry), inquiry.prefer_sources)


def responses_of(
    sites: Sites, query: ResponsesQuery, prefer_sources: tuple[str, ...] = ()
) -> ResponsesModel:
    """Return what measures do around events, in words.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    # Each site froze what is its own: over several, no window is declared.
    decided = declaring(sites[0][1]) if len(sites) == 1 else None
    model = read_responses_of(sites, query, prefer_sources, decided=decided)
    if decided is not None and model.declared is not None:
        differences = sample_differences(decided.document.question, query)
        declared = model.declared.model_copy(update={"differences": differences})
        model = model.model_copy(update={"declared": declared})
    return responses_in_words(model)


def read_responses_of(
    sites: Sites,
    query: ResponsesQuery,
    prefer_sources: tuple[str, ...] = (),
    span: tuple[int | None, int | None] | None = None,
    decided: PreregistrationModel | None = None,
) -> ResponsesModel:
    """Return the same without words, of what lies in a span of time, with the windows that a
    preregistration declares.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.responses import read_responses

    reader = reader_of(sites, span)
    with reader.at_one_moment():
        return read_responses(reader, query, prefer_sources, decided)


def responses_sheet_of(
    sites: Sites, query: ResponsesQuery, prefer_sources: tuple[str, ...] = ()
) -> ResponsesSheet:
    """Return what the page shows of them.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return sheet_of_responses(responses_of(sites, query, prefer_sources))


def session_curves_of(
    sites: Sites, query: ResponsesQuery, prefer_sources: tuple[str, ...] = ()
) -> SessionCurves:
    """Return what the page of a session shows of a question about it.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return curves_of_session(responses_of(sites, query, prefer_sources))


def coupling_of(
    sites: Sites, query: CouplingQuery, prefer_sources: tuple[str, ...] = ()
) -> CouplingModel:
    """Return whether a measure of the face and a vital go together within people, in words.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.rendering.coupling import put_into_words as coupling_in_words

    return coupling_in_words(read_coupling_of(sites, query, prefer_sources))


def read_coupling_of(
    sites: Sites,
    query: CouplingQuery,
    prefer_sources: tuple[str, ...] = (),
    span: tuple[int | None, int | None] | None = None,
) -> CouplingModel:
    """Return the same without words, of what lies in a span of time.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.coupling import read_coupling

    reader = reader_of(sites, span)
    with reader.at_one_moment():
        return read_coupling(reader, query, prefer_sources)


def coupling_sheet_of(
    sites: Sites, query: CouplingQuery, prefer_sources: tuple[str, ...] = ()
) -> CouplingSheet:
    """Return what the page shows of it.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.rendering.coupling import lags_chart

    response = coupling_of(sites, query, prefer_sources)
    return CouplingSheet(response, lags_chart(response))


def sheet_of(inquiry: Inquiry) -> Sheet:
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
    return Sheet(
        response=response,
        digest=hashlib.sha256(response.model_dump_json().encode()).hexdigest()[:12],
        other_states=tuple(analysis.other_states),
        groups=groups_of(response),
        left_out=left_out_table(response),
        charts=analysis_charts(analysis),
        spreads=spread_charts(analysis),
        effects=effects_chart(analysis),
        variability=say("beside", "variability", analysis.variability),
        skin=say("beside", "skin", analysis.skin, analysis.query.scr_threshold),
    )


def quality_of(database: Path, session: int) -> SessionQuality:
    """Return the quality report of a session.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    from edge_agent.store.read.quality_checks import session_quality

    return session_quality(Reader(database), session)


def sensors_of(database: Path, session: int) -> list[SensorComparison]:
    """Return how far sources agree that measured the same in a session, over all sessions of its
    nature: demonstrations, or the others.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    from dashboard.analysis.inference.agreement import compare_sensors

    reader = Reader(database)
    simulated = reader.session(session)[0].simulated
    kinds = [kind for kind in reader.recorded_kinds() if kind is not VitalKind.RR_INTERVAL]
    # Only pairs that measured in this session; their agreement is judged over all sessions.
    here = compare_sensors(reader, kinds, [session])
    pairs = {(one.vital, one.first, one.second) for one in here}
    if not pairs:
        return []
    every = compare_sensors(reader, sorted({one.vital for one in here}), simulated=simulated)
    return [one for one in every if (one.vital, one.first, one.second) in pairs]


def analysis_tables(
    sites: Sites, question: Mapping[str, Any], choice: Choice, models: tuple[str, ...]
) -> dict[str, str]:
    """Return what the analysis adds to a bundle: text by the name of the file.

    It is about the sessions and the range of the export and no others; nothing where nobody knows
    the question.

    Raises:
        StoreError: the database cannot be read.
    """
    exported = _analyse_export(sites, dict(question) | {"sensitivity": False}, choice, models)
    return {} if exported is None else tables_of(*exported)


def tables_over_sites(
    sites: Sites, question: Mapping[str, Any], choice: Choice, models: tuple[str, ...]
) -> dict[str, str]:
    """Return the same about several sites together, and all that the analysis says, as JSON.

    Raises:
        StoreError: a database cannot be read.
    """
    exported = _analyse_export(sites, question, choice, models)
    if exported is None:
        return {}
    inquiry, analysis = exported
    return tables_of(inquiry, analysis) | {
        "question.json": json.dumps(dict(question), indent=2, ensure_ascii=False) + "\n",
        "analysis.json": put_into_words(sites, analysis).model_dump_json(indent=2) + "\n",
    }


def tables_of(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    """Return the tables that an analysis adds to a bundle, ``responses.csv`` and ``coupling.csv``
    among them; none that would be empty.

    Raises:
        StoreError: a database cannot be read.
    """
    from dashboard.analysis.rendering.coupling import coupling_csv
    from dashboard.analysis.rendering.tables import bundle_tables

    beside = {
        "responses.csv": responses_csv(_responses_beside(inquiry, analysis)),
        "coupling.csv": coupling_csv(_coupling_beside(inquiry, analysis)),
    }
    return bundle_tables(analysis) | {name: text for name, text in beside.items() if text}


def _responses_beside(inquiry: Inquiry, analysis: Analysis) -> Iterator[ResponsesModel]:
    """Yield the curves around the starts of the stimuli that an analysis compares.

    First its outcomes, tested as one family; then, described alone, those that are too many for
    one, and what the face shows. A few at a time, so that no more of a recording is in memory than
    for the page.
    """
    question = analysis.query
    first, *others = question.states
    family = question.vital[:MOST_VITALS]
    yield _responses_to(inquiry, analysis, family, event=tuple(others), against=first)
    rest = [kind for kind in dict.fromkeys((*question.vital, *ALWAYS_DRAWN)) if kind not in family]
    for place in range(0, len(rest), MOST_VITALS):
        some = tuple(rest[place : place + MOST_VITALS])
        yield _responses_to(inquiry, analysis, some, event=(*others, first), against="")


def _responses_to(
    inquiry: Inquiry, analysis: Analysis, kinds: tuple[Measure, ...], **events: Any
) -> ResponsesModel:
    query = ResponsesQuery(vital=kinds, **events, **_readings_of(analysis))
    return read_responses_of(inquiry.sites, query, span=inquiry.span)


def _coupling_beside(inquiry: Inquiry, analysis: Analysis) -> CouplingModel:
    """Return the coupling that is asked for where nobody asks for another, in the sessions of an
    analysis.
    """
    query = CouplingQuery(**_readings_of(analysis))
    return read_coupling_of(inquiry.sites, query, span=inquiry.span)


def _readings_of(analysis: Analysis) -> dict[str, Any]:
    """Return which sessions and readings count in an analysis, as other questions name them."""
    query = analysis.query
    return {
        "sample": analysis.sample,
        "session": query.session if analysis.sample is Sample.SELECTED else (),
        "estimated": query.estimated,
        "count_flagged": query.count_flagged,
        "prefer_source": query.prefer_source,
    }


def _analyse_export(
    sites: Sites, question: Mapping[str, Any], choice: Choice, models: tuple[str, ...]
) -> tuple[Inquiry, Analysis] | None:
    """Return the analysis of what is exported; ``None`` where there can be none."""
    if not question:
        return None
    chosen = {} if choice.sessions is None else {"sample": "selected", "session": choice.sessions}
    query = AnalysisQuery.model_validate({**question, **chosen})
    span = (choice.start_ms, choice.end_ms)
    inquiry = Inquiry(sites, query, models, span=None if span == (None, None) else span)
    with suppress(StatisticsError):  # what cannot be analysed has no such tables
        return inquiry, compute(inquiry)
    return None
