"""The register entry of the question *responses*: how each measure changes around events, by
condition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click

from dashboard.analysis.preregistration import declaring, sample_differences
from dashboard.analysis.query import DEFAULT_SCR_THRESHOLD, AnalysisQuery, same_label
from dashboard.analysis.windows import MOST_WINDOWS, ResponseWindow
from dashboard.languages.names import vital_label
from dashboard.languages.templates import PageRecord
from dashboard.questions.basis import Basis, basis_in, figure_source
from dashboard.questions.entry import (
    BundlePart,
    Documented,
    Inquiry,
    PageOf,
    Question,
    QuestionPage,
)
from dashboard.questions.responses.answer import (
    ALWAYS_DRAWN,
    DRAWN,
    MOST_VITALS,
    ResponsesModel,
    ResponsesQuery,
    SkinScale,
)
from dashboard.questions.responses.report import report
from dashboard.questions.responses.skin_words import skin_csv
from dashboard.questions.responses.table import SKIN_TABLE, TABLE
from dashboard.questions.responses.words import (
    EVENT_KINDS,
    SCALES,
    ResponsesSheet,
    SessionCurves,
    charts_of,
    curves_of_session,
    put_into_words,
    responses_csv,
    sheet_of_responses,
    simulated_curves,
)
from edge_agent.core.measures import Measure, is_of_face
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import EventKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import reader_of

_OFFERED = 60
_BOXES = 6
"""Labels with a box of their own where nobody chose more: as many as are compared by themselves."""
_Choice = TypeVar("_Choice")


def answer(inquiry: Inquiry) -> ResponsesModel:
    """Return what measures do around events, in words, with the windows that were declared.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    # Each site froze what is its own: over several, no window is declared.
    decided = declaring(inquiry.sites[0][1]) if len(inquiry.sites) == 1 else None
    model = read(inquiry, decided)
    if decided is not None and model.declared is not None:
        differences = sample_differences(decided.document.question, inquiry.query)
        declared = model.declared.model_copy(update={"differences": differences})
        model = model.model_copy(update={"declared": declared})
    return put_into_words(model)


def read(inquiry: Inquiry, decided: Any = None) -> ResponsesModel:
    """Return the same without words, with the windows that a preregistration declares.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.responses.computing import read_responses

    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown)
    with reader.at_one_moment():
        return read_responses(reader, inquiry.query, inquiry.prefer_sources, decided)


def sheet(inquiry: Inquiry) -> ResponsesSheet:
    """Return what the page shows of them.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return sheet_of_responses(answer(inquiry))


def session_curves(inquiry: Inquiry) -> SessionCurves:
    """Return what the page of a session shows of a question about it.

    Raises:
        StatisticsError: the question cannot be answered.
        StoreError: the database cannot be read.
    """
    return curves_of_session(answer(inquiry))


def part(inquiry: Inquiry, readings: Mapping[str, Any]) -> BundlePart:
    """Return ``responses.csv``, the curves around the starts of the stimuli that are compared, the
    pictures of those that are tested, and the skin's responses to each start and each note.
    """
    from dashboard.questions.responses.computing import read_skin_events

    tested, *others = _beside(inquiry.query, readings)
    first = read(Inquiry(inquiry.sites, tested, span=inquiry.span))
    reader = reader_of(inquiry.sites, inquiry.span, count_unknown=inquiry.query.count_unknown)
    rest = (read(Inquiry(inquiry.sites, query, span=inquiry.span)) for query in others)
    with reader.at_one_moment():
        of_skin = read_skin_events(reader, _of_skin(inquiry.query, readings))
    return BundlePart(
        responses_csv(itertools.chain((first,), rest)),
        charts_of(first),
        figure_source(reader, basis(reader, first)),
        {SKIN_TABLE.name: skin_csv(of_skin)},
    )


def _of_skin(question: AnalysisQuery, readings: Mapping[str, Any]) -> ResponsesQuery:
    """Return the question about the skin's responses, whatever the outcomes of the analysis are."""
    return ResponsesQuery(
        vital=(VitalKind.SKIN_CONDUCTANCE,),
        event=question.states,
        against="",
        scr_threshold=question.scr_threshold,
        **readings,
    )


def _beside(question: AnalysisQuery, readings: Mapping[str, Any]) -> Iterator[ResponsesQuery]:
    """Yield the questions beside an analysis.

    First its outcomes, tested as one family; then, described alone, those that are too many for
    one, and what the face shows. A few at a time, so that no more of a recording is in memory than
    for the page.
    """
    first, *others = question.states
    family = question.vital[:MOST_VITALS]
    yield ResponsesQuery(vital=family, event=tuple(others), against=first, **readings)
    rest = [kind for kind in dict.fromkeys((*question.vital, *ALWAYS_DRAWN)) if kind not in family]
    for place in range(0, len(rest), MOST_VITALS):
        some = tuple(rest[place : place + MOST_VITALS])
        yield ResponsesQuery(vital=some, event=(*others, first), against="", **readings)


def basis(reader: Reader, response: ResponsesModel) -> Basis:
    """Return what the figures of the page are made of."""
    people = set(response.participants)
    of_faces = any(map(is_of_face, response.question.vital))
    return basis_in(
        reader, response.sample, response.question, people, response.simulated, of_faces=of_faces
    )


@dataclass(frozen=True, slots=True)
class Offer(Generic[_Choice]):
    """Choices that a form offers of one field.

    Attributes:
        ticked: with a box each: what is chosen, and what is chosen most.
        others: in a list, of which one is chosen at a time.
    """

    ticked: list[_Choice]
    others: list[_Choice]

    @property
    def every(self) -> list[_Choice]:
        """All of them."""
        return [*self.ticked, *self.others]


@dataclass(frozen=True, slots=True)
class ResponsesPage(PageRecord):
    """The names of the page Responses.

    Attributes:
        response: the answer; ``None`` where there is none.
        kinds: kinds of events.
        offered: measures that the form offers: those to tick, and the others in a list.
        most_vitals: as many of them may be chosen.
        labels: of events that the form offers: those to tick, and the others in a list.
        chosen: those of the question, as they are compared.
        vital_label: names a measure.
        lines: a line for each curve that is compared, as the plan of a study has windows.
        scales: of the curves.
        simulated: how much is simulated.
    """

    template = "responses.html"
    beside = (QuestionPage,)

    response: ResponsesModel | None
    kinds: Mapping[EventKind, str]
    offered: Offer[Measure]
    most_vitals: int
    labels: Offer[str]
    chosen: set[str]
    vital_label: Callable[[Measure], str]
    lines: str
    scales: Mapping[SkinScale, str]
    simulated: str


def fields(page: PageOf) -> ResponsesPage:
    """Return what the form offers, and what is said of the curves."""
    query, response = page.query, page.response
    of = basis(page.reader, response) if response else None
    return ResponsesPage(
        response=response,
        kinds=EVENT_KINDS,
        offered=_measures_to_offer(page.reader, query),
        most_vitals=MOST_VITALS,
        labels=_labels(query, response),
        chosen={same_label(one) for one in query.event},
        vital_label=vital_label,
        lines=_lines(response),
        scales=SCALES,
        simulated=simulated_curves(of.sessions) if of and of.simulated else "",
    )


def _measures_to_offer(reader: Reader, query: ResponsesQuery) -> Offer[Measure]:
    """Return the measures that the form offers: recorded vitals, and those of the face if there
    are any.
    """
    recorded = reader.recorded_kinds()
    moved = reader.has_movements()
    offered = [
        kind
        for kind in DRAWN
        if kind in query.vital or (kind in recorded if isinstance(kind, VitalKind) else moved)
    ]
    ticked = [
        kind
        for kind in offered
        if kind in query.vital or (isinstance(kind, VitalKind) and kind.spec.tested_by_default)
    ]
    return Offer(ticked, [kind for kind in offered if kind not in ticked])


def _lines(response: ResponsesModel | None) -> str:
    """Return a line for each curve that is compared, as the plan of a study takes windows."""
    if response is None:
        return ""
    query = response.question
    windows = [
        ResponseWindow(
            vital=one.vital,
            event=one.first,
            against=one.second,
            kind=query.kind,
            start=0,
            end=query.after,
            before=query.before,
        )
        for one in response.tests
    ]
    return "\n".join(one.line for one in windows[:MOST_WINDOWS])


def _labels(query: ResponsesQuery, response: ResponsesModel | None) -> Offer[str]:
    """Return the labels that the form offers: the commonest, and those asked for."""
    known = list(response.labels)[:_OFFERED] if response else []
    offered = list({same_label(one): one for one in (*query.event, *known)}.values())
    boxes = max(_BOXES, len(query.event))
    return Offer(sorted(offered[:boxes]), sorted(offered[boxes:]))


RESPONSES = Question(
    name="responses",
    title=N_("Responses"),
    position=51,
    also="/coupling",
    query=ResponsesQuery,
    model=ResponsesModel,
    about=(
        "Return what measures do around events: each person's curve, the mean with its band, "
        "figures,\nand whether curves differ between conditions."
    ),
    answer=answer,
    sheet=sheet,
    basis=basis,
    fields=fields,
    options=(
        click.option(
            "--event",
            multiple=True,
            help="Label of the events, such as anger; can be repeated. Default: the commonest, up "
            "to six.",
        ),
        click.option(
            "--kind",
            type=click.Choice([kind.value for kind in EventKind]),
            default=EventKind.STIMULUS_START.value,
            show_default=True,
            help="Kind of the events: a kind of marker, or response: when an emotion was reported.",
        ),
        click.option(
            "--against",
            help="Label of the events that the others are compared with; '' compares nothing. "
            "Default: neutral, or the first condition where none is called so.",
        ),
        click.option(
            "--vital",
            multiple=True,
            type=click.Choice([kind.value for kind in DRAWN]),
            help="Measure to draw; can be repeated. Default: heart_rate.",
        ),
        click.option(
            "--before",
            type=float,
            default=5,
            show_default=True,
            help="Seconds before an event, whose mean is the baseline.",
        ),
        click.option(
            "--after", type=float, default=30, show_default=True, help="Seconds after an event."
        ),
        click.option(
            "--scr-threshold",
            type=float,
            default=DEFAULT_SCR_THRESHOLD,
            show_default=True,
            help="Smallest skin response that counts, in µS; with --vital skin_conductance.",
        ),
        click.option(
            "--scr-scale",
            type=click.Choice([scale.value for scale in SkinScale]),
            default=SkinScale.MICROSIEMENS.value,
            show_default=True,
            help="How their sizes are given: microsiemens, log: ln(1 + µS), or range: shares of "
            "the largest of the session.",
        ),
    ),
    help="Show what measures do around events, and test whether curves differ between conditions.",
    report=report,
    part=part,
    kept=frozenset({"against"}),
    by_data=("against",),
    listed="Show what measures do around events.",
    documented=Documented(
        page="Analysis → Responses",
        shows=(
            "what a measure does around events: mean curves by condition with their band, figures, "
            "each person's curves, whether curves differ, the skin's responses to the events, and "
            "the tests in windows that were declared before "
            "([statistics.md](statistics.md#responses))"
        ),
        usage="--event anger",
        answers=(
            "what heart rate or another measure does around events, and whether curves differ "
            "between conditions; see [statistics.md](statistics.md#responses)"
        ),
    ),
    tables=(TABLE, SKIN_TABLE),
)
