"""Before the study: how many people it needs, and what is decided before the data."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis.planning.plan import PlanModel, PlanQuery, plan_of
from dashboard.analysis.planning.preregistration import (
    PreregistrationDocument,
    PreregistrationModel,
    choices,
    frozen,
    preregister,
)
from dashboard.analysis.query import describe, query_of
from dashboard.analysis.request import AnalysisQuery
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep, OptionsDep, Services, ServicesDep
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED

router = APIRouter(tags=["plan"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Plan"),
    path="/plan",
    position=25,
    icon="M4 20h16M6 16l4-5 4 3 5-8M15 6h4v4",
)
_DEFAULT = {"difference": "5", "sd": "10"}
Text = Annotated[str, Form(max_length=4000)]


@router.get("/plan", include_in_schema=False)
def plan_page(request: Request, services: ServicesDep) -> Response:
    """Show the planner with its answer, and what was preregistered."""
    values = dict(request.query_params)
    question = values.pop("question", "")
    return _page(request, services, values, question)


@router.get("/api/v1/plan", operation_id="get_study_plan")
def get_plan(computing: ComputingDep, query: Annotated[PlanQuery, Query()]) -> PlanModel:
    """Return how many people a study needs by the rule that decides in its family of tests."""
    return computing.call(plan_of, query)


@router.get("/api/v1/preregistrations", operation_id="list_preregistrations")
def get_preregistrations(options: OptionsDep) -> list[PreregistrationModel]:
    """Return what was decided before the data, the newest first."""
    return frozen(options.database)


@router.post("/api/v1/preregistrations", operation_id="create_preregistration", status_code=201)
def post_preregistration(
    options: OptionsDep, account: AccountDep, document: PreregistrationDocument
) -> PreregistrationModel:
    """Freeze what is decided, with time and SHA-256. It can never be changed, only followed by a
    newer one.
    """
    return preregister(options.database, document, account.name)


@router.post("/plan/preregistrations", include_in_schema=False)
def freeze_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    question: Text = "",
    people: Annotated[str, Form(max_length=20)] = "",
    exclusions: Text = "",
    stopping: Text = "",
    expectation: Text = "",
) -> Response:
    """Freeze what the form says, and lead to the page to print."""
    written = {
        "people": people.strip(),
        "exclusions": exclusions.strip(),
        "stopping": stopping.strip(),
        "expectation": expectation.strip(),
    }
    try:
        document = PreregistrationDocument.model_validate(
            {"question": query_of(parse_qsl(question)), **written, "people": _number(people)}
        )
    except ValidationError as error:
        return _page(request, services, {}, question, " ".join(describe(error)), written)
    made = preregister(services.options.database, document, account.name)
    return RedirectResponse(f"/plan/preregistrations/{made.id}", 303)


def _number(typed: str) -> int | str:
    """Return what was typed as a number; as it is where it is none, to be refused."""
    try:
        return int(typed)
    except ValueError:
        return typed


@router.get("/plan/preregistrations/{number}", include_in_schema=False)
def preregistration_page(request: Request, options: OptionsDep, number: int) -> Response:
    """Show one preregistration, to be printed."""
    row = next((one for one in frozen(options.database) if one.id == number), None)
    if row is None:
        raise HTTPException(
            404, gettext("There is no preregistration {number}.").format(number=number)
        )
    return render(
        request,
        "preregistration.html",
        made=row,
        choices=choices(row.document.question),
    )


def _page(
    request: Request,
    services: Services,
    values: dict[str, str],
    question: str,
    wrong: str = "",
    written: dict[str, str] | None = None,
) -> Response:
    """Show the page; what is wrong is said beside it, and what was written stays in its fields."""
    given = {name: value for name, value in values.items() if value.strip()} or _DEFAULT
    plan = None
    problem = ""
    try:
        plan = services.computing.call(plan_of, PlanQuery.model_validate(given))
    except ValidationError as error:
        problem = " ".join(describe(error))
    except StatisticsError as error:
        problem = said_of(error)
    try:
        decided = query_of(parse_qsl(question))
    except ValidationError as error:
        decided = AnalysisQuery()
        wrong = wrong or " ".join(describe(error))
    return render(
        request,
        "plan.html",
        status_code=422 if problem or wrong else 200,
        given=given,
        plan=plan,
        problem=problem,
        wrong=wrong,
        written=written or {},
        kinds=TESTED,
        chart=None if plan is None else _curve(plan),
        question=question,
        choices=choices(decided),
        made=frozen(services.options.database),
    )


def _curve(plan: PlanModel) -> Chart:
    """Draw power by the number of people."""
    people = [point.n for point in plan.curve]
    percents = [round(100 * point.power, 2) for point in plan.curve]
    axis = {"fixedrange": True, "zeroline": False, "automargin": True}
    return Chart(
        id="power-curve",
        title=gettext("Power by number of people, %"),
        sentence=plan.sentence,
        figure={
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "x": people,
                    "y": percents,
                    "line": {"color": "var(--heart)", "width": 2},
                    "hovertemplate": gettext("{n} people: {power}").format(
                        n="%{x}", power="%{y:.0f} %<extra></extra>"
                    ),
                    "showlegend": False,
                }
            ],
            "layout": {
                "margin": {"l": 44, "r": 8, "t": 8, "b": 40},
                "xaxis": {
                    **axis,
                    "title": {"text": gettext("people")},
                    "gridcolor": "var(--chart-grid)",
                },
                "yaxis": {**axis, "range": [0, 102], "gridcolor": "var(--chart-grid)"},
            },
        },
        columns=("people", "power, %"),
        rows=tuple((str(n), f"{percent:.1f}") for n, percent in zip(people, percents, strict=True)),
    )
