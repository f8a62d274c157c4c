"""Coupling: whether a measure of the face and a vital go together more than with others."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.coupling_results import OF_FACE, STREAMED, CouplingModel, CouplingQuery
from dashboard.analysis.question import SAMPLE_LISTS, by_name
from dashboard.computing.answers import coupling_of, coupling_sheet_of
from dashboard.languages.names import vital_label
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.study import (
    Basis,
    ChosenStudiesDep,
    OfDevice,
    answer_page,
    basis_in,
    figure_source,
    question_in,
)
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])


class CouplingOfDevice(OfDevice, CouplingQuery):
    """The query parameters of coupling, with the device that they are about."""


@router.get("/api/v1/coupling", operation_id="get_coupling", responses=may_refuse(404))
def get_coupling(
    computing: ComputingDep,
    options: OptionsDep,
    study: ChosenStudiesDep,
    query: Annotated[CouplingOfDevice, Query()],
) -> CouplingModel:
    """Return whether a measure of the face and a vital go together in people more than with others
    at the same stimuli, at one declared lag and at all lags if they are asked for. It says nothing
    of causes.
    """
    return computing.call(
        coupling_of, study.sites, question_in(query, CouplingQuery), options.prefer_sources
    )


@router.get("/coupling", include_in_schema=False)
def coupling_page(
    request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
) -> Response:
    """Show the form, the answer in words, the lags and each person's correlation."""
    reader = study.reader
    query, sheet, problem = answer_page(
        request,
        CouplingQuery(),
        lambda fields: CouplingQuery.model_validate(by_name(fields, SAMPLE_LISTS)),
        lambda asked: computing.call(coupling_sheet_of, study.sites, asked, options.prefer_sources),
    )
    return render(
        request,
        "coupling.html",
        status_code=422 if problem else 200,
        problem=problem,
        query=query,
        sheet=sheet,
        measures=OF_FACE,
        vitals=STREAMED,
        vital_label=vital_label,
        address_query=urlencode(request.query_params.multi_items()),
        source=figure_source(reader, _basis_of(reader, sheet.response)) if sheet else "",
    )


def _basis_of(reader: Reader, response: CouplingModel) -> Basis:
    """Return what the figures of the page are made of."""
    people = {one.participant for one in response.people}
    return basis_in(
        reader, response.sample, response.question, people, response.simulated, of_faces=True
    )
