"""Responses: what measures do around events, by condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field, ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis.question import Sample, chosen_sessions, describe, same_label
from dashboard.analysis.rendering.responses import EVENT_KINDS
from dashboard.analysis.response_results import DRAWN, MOST_VITALS, ResponsesModel, ResponsesQuery
from dashboard.computing.answers import responses_of, responses_sheet_of
from dashboard.languages.names import said_of, vital_label
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import ANALYSIS, NavigationEntry, render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.study import (
    DEVICES_TEXT,
    MOST_DEVICES,
    PARAMETER,
    Basis,
    ChosenStudiesDep,
    figure_source,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure, is_of_face
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Responses"), path="/responses", position=51, by_device=True, group=ANALYSIS
)
_SEVERAL = frozenset({"event", "vital", "session", "count_flagged", "prefer_source"})
_OFFERED = 60


class ResponsesOfDevice(ResponsesQuery):
    """The query parameters of responses, with the device that they are about."""

    device: list[str] = Field([], max_length=MOST_DEVICES, description=DEVICES_TEXT)

    def question(self) -> ResponsesQuery:
        """Return the question alone."""
        fields = {name: getattr(self, name) for name in ResponsesQuery.model_fields}
        return ResponsesQuery.model_construct(self.model_fields_set - {PARAMETER}, **fields)


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
    return computing.call(responses_of, study.sites, query.question(), options.prefer_sources)


@router.get("/responses", include_in_schema=False)
def responses_page(
    request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
) -> Response:
    """Show the form, the mean curves, their figures and each person's curves."""
    given = request.query_params.multi_items()
    problem = ""
    reader = study.reader
    query = ResponsesQuery()
    sheet = None
    try:
        query = _query_of(field for field in given if field[0] != PARAMETER)
        sheet = computing.call(responses_sheet_of, study.sites, query, options.prefer_sources)
    except ValidationError as error:
        problem = " ".join(describe(error))
    except StatisticsError as error:
        problem = said_of(error)
    response = sheet.response if sheet else None
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
        address_query=urlencode(given),
        source=figure_source(reader, _basis_of(reader, sheet.response)) if sheet else "",
    )


def _basis_of(reader: Reader, response: ResponsesModel) -> Basis:
    """Return what the figures of the page are made of."""
    codes = set(response.participants)
    chosen = chosen_sessions(reader.session_list(), response.sample, response.question.session)
    own = [
        one
        for one in chosen
        if one.participant in codes and one.left_out != "whole" and not one.has_made_up_times
    ]
    return Basis(
        sessions=own,
        people=len(codes),
        is_example=response.sample is Sample.EXAMPLE,
        simulated=response.simulated,
        of_faces=any(map(is_of_face, response.question.vital)),
    )


def _query_of(fields: Iterable[tuple[str, str]]) -> ResponsesQuery:
    """Read the fields of the form; an empty field means its default, but for what is compared with.

    Raises:
        pydantic.ValidationError: an unknown field or a value that is not allowed.
    """
    single: dict[str, Any] = {}
    several: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        if name in _SEVERAL:
            several[name] += [value] if value.strip() else []
        elif value.strip() or name == "against":
            single[name] = value
    return ResponsesQuery.model_validate(single | several)


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


def _labels(query: ResponsesQuery, response: ResponsesModel | None) -> list[str]:
    """Return the labels that the form offers: the commonest, and those asked for."""
    known = list(response.labels)[:_OFFERED] if response else []
    offered = {same_label(one): one for one in (*query.event, *known)}
    return sorted(offered.values())
