"""How far a result depends on choices that the data do not make: the multiverse of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis.present.multiverse.schemas import MultiverseModel
from dashboard.analysis.query import describe, query_of
from dashboard.analysis.request import AnalysisQuery
from dashboard.computing.answers import Inquiry, multiverse_of
from dashboard.computing.computing import Computing
from dashboard.languages.names import said_of
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import (
    PARAMETER,
    ChosenStudiesDep,
    ChosenStudy,
    QuestionOfDevice,
)
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StatisticsError

if TYPE_CHECKING:
    from dashboard.charts.chart import Chart

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])

_TEST = "test"


@router.get("/analysis/multiverse", include_in_schema=False)
def multiverse_page(
    request: Request, computing: ComputingDep, options: OptionsDep, study: ChosenStudiesDep
) -> Response:
    """Explain, and once a test is named compute: the curve of this test, and what all come to."""
    fields = [(name, value) for name, value in request.query_params.multi_items() if name != _TEST]
    chosen = request.query_params.get(_TEST)
    problem = ""
    answer: MultiverseModel | None = None
    place = 0
    try:
        query = query_of(field for field in fields if field[0] != PARAMETER)
        if chosen is not None:
            answer = _multiverse(computing, options, study, query)
            place = _place(chosen, len(answer.comparisons))
    except ValidationError as error:
        problem = " ".join(describe(error))
    except StatisticsError as error:
        problem = said_of(error)
    return render(
        request,
        "multiverse.html",
        status_code=422 if problem else 200,
        problem=problem,
        answer=answer,
        place=place,
        chart=_chart(answer, place),
        question=_joined(request),
    )


@router.get("/api/v1/analysis/multiverse", operation_id="get_multiverse", responses=may_refuse(404))
def get_multiverse(
    computing: ComputingDep,
    options: OptionsDep,
    study: ChosenStudiesDep,
    query: Annotated[QuestionOfDevice, Query()],
) -> MultiverseModel:
    """Return the family of tests under every set of defensible choices, as far as they can be
    computed in 20 s: with or without readings in doubt, other windows and lags or settling times,
    the first sessions alone, at equal times in the session, by the mixed model.
    """
    return _multiverse(computing, options, study, query.question())


def _multiverse(
    computing: Computing, options: DashboardOptions, study: ChosenStudy, query: AnalysisQuery
) -> MultiverseModel:
    inquiry = Inquiry(study.sites, query, options.models, options.prefer_sources)
    return computing.call(multiverse_of, inquiry)


def _place(chosen: str, count: int) -> int:
    """Return which test is meant; the first where there is no such."""
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 4:
        return min(int(chosen), count - 1)
    return 0


def _chart(answer: MultiverseModel | None, place: int) -> Chart | None:
    if answer is None:
        return None
    from dashboard.analysis.present.multiverse.chart import curve_chart

    return curve_chart(answer.comparisons[place])


def _joined(request: Request) -> str:
    """Return the question as it stands in the address, without the test."""
    return str(request.url.remove_query_params(_TEST).query)
