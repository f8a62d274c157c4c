"""Responses: what measures do around events, by condition."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.question import SAMPLE_LISTS, by_name, same_label
from dashboard.analysis.rendering.responses import EVENT_KINDS
from dashboard.analysis.response_results import DRAWN, MOST_VITALS, ResponsesModel, ResponsesQuery
from dashboard.analysis.windows import MOST_WINDOWS, ResponseWindow
from dashboard.computing.answers import responses_of, responses_sheet_of
from dashboard.languages.current import gettext
from dashboard.languages.names import vital_label
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import ANALYSIS, NavigationEntry, render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.study import (
    Basis,
    ChosenStudiesDep,
    OfDevice,
    answer_page,
    basis_in,
    figure_source,
    question_in,
    simulated_text,
)
from edge_agent.core.measures import Measure, is_of_face
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Responses"), path="/responses", position=51, by_device=True, group=ANALYSIS
)
_SEVERAL = SAMPLE_LISTS | {"event", "vital"}
_OFFERED = 60


class ResponsesOfDevice(OfDevice, ResponsesQuery):
    """The query parameters of responses, with the device that they are about."""


@router.get("/api/v1/responses", operation_id="get_responses", responses=may_refuse(404))
def get_responses(
    computing: ComputingDep,
    options: OptionsDep,
    study: ChosenStudiesDep,
    query: Annotated[ResponsesOfDevice, Query()],
) -> ResponsesModel:
    """Return what measures do around events: each person's curve, the mean with its band, figures,
    and whether curves differ between conditions.
    """
    return computing.call(
        responses_of, study.sites, question_in(query, ResponsesQuery), options.prefer_sources
    )


@router.get("/responses", include_in_schema=False)
def responses_page(
    request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
) -> Response:
    """Show the form, the mean curves, their figures and each person's curves."""
    reader = study.reader
    query, sheet, problem = answer_page(
        request,
        ResponsesQuery(),
        lambda fields: ResponsesQuery.model_validate(by_name(fields, _SEVERAL, kept={"against"})),
        lambda asked: computing.call(
            responses_sheet_of, study.sites, asked, options.prefer_sources
        ),
    )
    response = sheet.response if sheet else None
    basis = _basis_of(reader, response) if response else None
    return render(
        request,
        "responses.html",
        status_code=422 if problem else 200,
        problem=problem,
        query=query,
        sheet=sheet,
        response=response,
        kinds=EVENT_KINDS,
        offered=_offered(reader, query),
        most_vitals=MOST_VITALS,
        labels=_labels(query, response),
        chosen={same_label(one) for one in query.event},
        vital_label=vital_label,
        lines=_lines(response),
        address_query=urlencode(request.query_params.multi_items()),
        source=figure_source(reader, basis) if basis else "",
        simulated=_simulated_text(basis) if basis and basis.simulated else "",
    )


def _simulated_text(basis: Basis) -> str:
    """Say how much of what the page shows is simulated, as the page Analysis does."""
    if all(one.simulated for one in basis.sessions):
        return gettext(
            "All of these readings are simulated. They show how the page works and say nothing "
            "about people."
        )
    return gettext("{simulated} These curves say nothing about people.").format(
        simulated=simulated_text(basis.sessions)
    )


def _basis_of(reader: Reader, response: ResponsesModel) -> Basis:
    """Return what the figures of the page are made of."""
    people = set(response.participants)
    of_faces = any(map(is_of_face, response.question.vital))
    return basis_in(
        reader, response.sample, response.question, people, response.simulated, of_faces=of_faces
    )


def _offered(reader: Reader, query: ResponsesQuery) -> list[Measure]:
    """Return the measures that the form offers: recorded vitals, and those of the face if there
    are any.
    """
    recorded = reader.recorded_kinds()
    moved = reader.has_movements()
    return [
        kind
        for kind in DRAWN
        if kind in query.vital or (kind in recorded if isinstance(kind, VitalKind) else moved)
    ]


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


def _labels(query: ResponsesQuery, response: ResponsesModel | None) -> list[str]:
    """Return the labels that the form offers: the commonest, and those asked for."""
    known = list(response.labels)[:_OFFERED] if response else []
    offered = {same_label(one): one for one in (*query.event, *known)}
    return sorted(offered.values())
