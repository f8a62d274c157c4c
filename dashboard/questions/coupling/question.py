"""The entry of coupling: whether a measure of the face and a vital go together more than with
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from dashboard.charts.chart import Chart
from dashboard.languages.names import vital_label
from dashboard.languages.templates import PageRecord
from dashboard.questions.basis import Basis, basis_in
from dashboard.questions.coupling.answer import OF_FACE, STREAMED, CouplingModel, CouplingQuery
from dashboard.questions.coupling.report import report
from dashboard.questions.coupling.table import TABLE
from dashboard.questions.entry import (
    BundlePart,
    Documented,
    Inquiry,
    PageOf,
    Question,
    QuestionPage,
)
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import reader_of


@dataclass(frozen=True, slots=True)
class CouplingSheet:
    """Everything that the page shows of an association beside that with others.

    Attributes:
        response: what the API answers.
        chart: mean correlation by lag; ``None`` where no lags were asked for.
    """

    response: CouplingModel
    chart: Chart | None


def answer(inquiry: Inquiry) -> CouplingModel:
    """Return whether a measure of the face and a vital go together more than with others, in words.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.coupling.words import put_into_words

    return put_into_words(read(inquiry))


def read(inquiry: Inquiry) -> CouplingModel:
    """Return the same without words.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.coupling.computing import read_coupling

    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown)
    with reader.at_one_moment():
        return read_coupling(reader, inquiry.query, inquiry.prefer_sources)


def sheet(inquiry: Inquiry) -> CouplingSheet:
    """Return what the page shows of it.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.coupling.words import lags_chart

    response = answer(inquiry)
    return CouplingSheet(response, lags_chart(response))


def part(inquiry: Inquiry, readings: Mapping[str, Any]) -> BundlePart:
    """Return ``coupling.csv``: what is answered where nobody asks for another measure. It draws
    only where lags are asked for.
    """
    from dashboard.questions.coupling.words import coupling_csv

    query = CouplingQuery(**readings)
    return BundlePart(coupling_csv(read(Inquiry(inquiry.sites, query, span=inquiry.span))))


def basis(reader: Reader, response: CouplingModel) -> Basis:
    """Return what the figures of the page are made of."""
    people = {one.participant for one in response.people}
    return basis_in(
        reader, response.sample, response.question, people, response.simulated, of_faces=True
    )


@dataclass(frozen=True, slots=True)
class CouplingPage(PageRecord):
    """The measures and the vitals that the form offers, with what names them."""

    template = "coupling.html"
    beside = (QuestionPage,)

    measures: Sequence[Measure]
    vitals: Sequence[VitalKind]
    vital_label: Callable[[Measure], str]


def fields(_: PageOf) -> CouplingPage:
    """Return what the form offers."""
    return CouplingPage(OF_FACE, STREAMED, vital_label)


COUPLING = Question(
    name="coupling",
    query=CouplingQuery,
    model=CouplingModel,
    about=(
        "Return whether a measure of the face and a vital go together in people more than with "
        "others\nat the same stimuli, at one declared lag and at all lags if they are asked for. "
        "It says nothing\nof causes."
    ),
    answer=answer,
    sheet=sheet,
    basis=basis,
    fields=fields,
    options=(
        click.option(
            "--measure",
            type=click.Choice([kind.value for kind in OF_FACE]),
            default="valence",
            show_default=True,
            help="The measure of the face.",
        ),
        click.option(
            "--vital",
            type=click.Choice([kind.value for kind in STREAMED]),
            default="heart_rate",
            show_default=True,
            help="The vital.",
        ),
        click.option(
            "--lag",
            type=float,
            help="Seconds by which the vital follows the face, declared before looking. Default: "
            "what the analysis takes for the vital.",
        ),
        click.option(
            "--lags",
            type=float,
            help="Also all lags from minus to plus so many seconds, judged by the largest.",
        ),
    ),
    help="Say whether a measure of the face and a vital go together in people more than with "
    "others at the same stimuli.",
    report=report,
    part=part,
    listed="Say whether face and heart go together in people more than with others.",
    documented=Documented(
        page="Responses → Face and body together",
        shows=(
            "whether a measure of the face and a vital go together more than with others at the "
            "same stimuli ([statistics.md](statistics.md#coupling))"
        ),
        usage="--measure valence --vital heart_rate",
        answers=(
            "whether the face and a vital go together more than with others at the same stimuli, "
            "at one declared lag; see [statistics.md](statistics.md#coupling)"
        ),
    ),
    tables=(TABLE,),
)
