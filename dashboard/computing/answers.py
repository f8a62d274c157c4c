"""Inquiries of the dashboard to the process that computes: each a function of plain values, whose
result needs no SciPy to be read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.analysis.query import AnalysisQuery
from dashboard.languages.current import SOURCE, speaking
from dashboard.questions.comparison.computing import compute, figures_of, put_into_words
from dashboard.questions.entry import Inquiry, readings_of
from dashboard.questions.register import files_beside
from edge_agent.core.errors import StatisticsError
from edge_agent.timeline.export.bids_physioevents import SKIN_RESPONSES
from edge_agent.timeline.export.bundle import METHOD_OF_ANALYSIS
from edge_agent.timeline.export.format import Computed
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import Sites, reader_of

if TYPE_CHECKING:  # loads SciPy
    from dashboard.analysis.analyse import Analysis
    from edge_agent.timeline.read.quality import SessionQuality


def quality_of(database: Path, session: int) -> SessionQuality:
    """Return the quality report of a session.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    from edge_agent.timeline.read.quality_checks import session_quality

    return session_quality(Reader(database), session)


def computed_files(
    wanted: Collection[Computed],
    sites: Sites,
    question: Mapping[str, Any],
    choice: ExportChoice,
    models: tuple[str, ...],
) -> dict[str, str]:
    """Return what a format takes along that is computed: text by the name of the file.

    Raises:
        StoreError: the database cannot be read.
    """
    files: dict[str, str] = {}
    if Computed.ANALYSIS in wanted:
        files |= analysis_files(sites, question, choice, models)
    if Computed.SKIN_RESPONSES in wanted:
        files |= skin_response_files(sites, question, choice)
    return files


def skin_response_files(
    sites: Sites, question: Mapping[str, Any], choice: ExportChoice
) -> dict[str, str]:
    """Return the responses of skin conductance of the exported sessions as a table; nothing where
    nobody knows the question, which has the threshold, or no skin conductance was recorded.

    Raises:
        StoreError: the database cannot be read.
    """
    from dashboard.computing.skin_response_table import skin_response_csv

    if not question:
        return {}
    query = AnalysisQuery.model_validate(dict(question) | {"sample": "auto", "session": ()})
    reader = reader_of(sites, _span(choice))
    text = skin_response_csv(reader, query, choice.sessions)
    return {SKIN_RESPONSES: text} if text else {}


def analysis_files(
    sites: Sites, question: Mapping[str, Any], choice: ExportChoice, models: tuple[str, ...]
) -> dict[str, str]:
    """Return what the analysis adds to a bundle: text by the name of the file.

    It is about the sessions and the range of the export and no others; nothing where nobody knows
    the question.

    Raises:
        StoreError: the database cannot be read.
    """
    exported = _analyse_export(sites, dict(question) | {"sensitivity": False}, choice, models)
    return {} if exported is None else files_of(*exported)


def files_over_sites(
    sites: Sites, question: Mapping[str, Any], choice: ExportChoice, models: tuple[str, ...]
) -> dict[str, str]:
    """Return the same about several sites together, and all that the analysis says, as JSON.

    Raises:
        StoreError: a database cannot be read.
    """
    exported = _analyse_export(sites, question, choice, models)
    if exported is None:
        return {}
    inquiry, analysis = exported
    return files_of(inquiry, analysis) | {
        "question.json": json.dumps(dict(question), indent=2, ensure_ascii=False) + "\n",
        "analysis.json": put_into_words(sites, analysis).model_dump_json(indent=2) + "\n",
    }


def files_of(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    """Return the tables and figures that an analysis adds to a bundle.

    Raises:
        StoreError: a database cannot be read.
    """
    own, beside = _own_tables(inquiry, analysis), _files_beside(inquiry, analysis)
    return own | figures_of(inquiry, analysis) | beside


def tables_of(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    """Return the tables that an analysis adds to a bundle, with the files of the other questions
    about the same sessions and readings; no table that would be empty.

    Raises:
        StoreError: a database cannot be read.
    """
    return _own_tables(inquiry, analysis) | _files_beside(inquiry, analysis)


def _files_beside(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    return files_beside(inquiry, readings_of(analysis.answer.question, analysis.answer.sample))


def _own_tables(inquiry: Inquiry, analysis: Analysis) -> dict[str, str]:
    from dashboard.analysis.analyse import read_neighbours
    from dashboard.analysis.rendering.tables import bundle_tables, neighbours_csv
    from dashboard.analysis.rendering.words import sentences

    tables = bundle_tables(analysis)
    query = analysis.answer.question
    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=query.count_unknown)
    if analysis.means:
        tried = read_neighbours(reader, query, analysis.sessions)
        tables["neighbours.csv"] = neighbours_csv(tried)
    # In the language of the other texts of a bundle, whoever asks for it.
    with speaking(SOURCE):
        method = "\n\n".join(filter(None, sentences("method", "method", analysis)))
    tables[METHOD_OF_ANALYSIS] = f"{method}\n"
    return tables


def _span(choice: ExportChoice) -> tuple[int | None, int | None] | None:
    span = (choice.start_ms, choice.end_ms)
    return None if span == (None, None) else span


def _analyse_export(
    sites: Sites, question: Mapping[str, Any], choice: ExportChoice, models: tuple[str, ...]
) -> tuple[Inquiry, Analysis] | None:
    """Return the analysis of what is exported; ``None`` where there can be none."""
    if not question:
        return None
    chosen = {} if choice.sessions is None else {"sample": "selected", "session": choice.sessions}
    query = AnalysisQuery.model_validate({**question, **chosen})
    inquiry = Inquiry(sites, query, models, span=_span(choice))
    with suppress(StatisticsError):  # what cannot be analysed has no such tables
        return inquiry, compute(inquiry)
    return None
