"""The plan of a study: how many people it needs, and what is preregistered."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis import planning, preregistration
from dashboard.analysis.query import AnalysisQuery, describe, query_of
from dashboard.analysis.rendering.words import declared_method
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext
from dashboard.languages.figures import decimal, thousands
from dashboard.web.authentication import AccountDep
from dashboard.web.errors import refuses_by
from dashboard.web.forms import Refused, form_of, refused_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.schemas import Number
from dashboard.web.services import ComputingDep, OptionsDep
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED

router = APIRouter(tags=["plan"], dependencies=[needs(Permission.STUDY)])
PAGE = "/plan"
NAVIGATION = NavigationEntry(N_("Plan"), PAGE, 32, group=STUDY)
_DEFAULT = {"difference": "5", "sd": "10"}
_CHOSEN = {"question", "vital", "design", "correction"}

Text = Annotated[str, Field(max_length=4000)]


@router.get("/api/v1/plan", operation_id="get_study_plan")
@refuses_by("which kinds of test there are")
def get_plan(
    computing: ComputingDep, query: Annotated[planning.PlanQuery, Query()]
) -> planning.PlanModel:
    """Return how many people a study needs by the rule that decides in its family of tests."""
    return computing.call(planning.plan_of, query)


@router.get("/api/v1/preregistrations", operation_id="list_preregistrations")
def get_preregistrations(options: OptionsDep) -> list[preregistration.PreregistrationModel]:
    """Return all preregistrations, the newest first."""
    return preregistration.read_preregistrations(options.database)


@router.post("/api/v1/preregistrations", operation_id="create_preregistration", status_code=201)
@refuses_by("which kinds of test there are, and what each of them needs")
def post_preregistration(
    options: OptionsDep, account: AccountDep, document: preregistration.PreregistrationDocument
) -> preregistration.PreregistrationModel:
    """Freeze a preregistration, with time and SHA-256. It can never be changed, only followed by a
    newer one.
    """
    return preregistration.preregister(
        options.database, document, account.name, options.prefer_sources
    )


FrozenDep = Annotated[list[preregistration.PreregistrationModel], Depends(get_preregistrations)]


@router.get(PAGE, include_in_schema=False)
def plan_page(request: Request, computing: ComputingDep, made: FrozenDep) -> Response:
    """Show the planner with its answer, and what was preregistered.

    What is wrong stands beside its form, and typed values stay in the fields.
    """
    values = dict(request.query_params)
    refused = refused_of(request)
    question = refused.value("question", values.pop("question", ""))
    windows = refused.value("windows", values.pop("windows", ""))
    given = {name: value for name, value in values.items() if value.strip()}
    wrong = ""
    try:
        decided = query_of(parse_qsl(question))
    except ValidationError as error:
        decided = AnalysisQuery()
        wrong = " ".join(describe(error))
    of_question = {"question": question} if question and not wrong else {}
    given = (given or _DEFAULT) | of_question
    plan = None
    try:
        plan = get_plan(computing, planning.PlanQuery.model_validate(given))
    except ValidationError as error:
        typed = planning.PlanQuery.model_fields.keys() - _CHOSEN
        refused = Refused.invalid(PAGE, error, {name: given.get(name, "") for name in typed})
    except StatisticsError as error:
        refused = Refused.by(request, error, given)
    kinds = decided.vital if of_question else TESTED
    return render(
        request,
        "plan.html",
        status_code=422 if refused.action or wrong else 200,
        given=given,
        plan=plan,
        refused=refused,
        wrong=wrong,
        kinds=kinds,
        counted=decided.tests_with(given.get("vital", kinds[0])),
        chart=None if plan is None else _curve(plan),
        question=question,
        windows=windows,
        choices=preregistration.said_choices(decided),
        declared=declared_method(decided),
        made=made,
    )


def _curve(plan: planning.PlanModel) -> Chart:
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
                    "line": {"color": "var(--accent)", "width": 2},
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
                    "title": {"text": gettext("People")},
                    "gridcolor": "var(--chart-grid)",
                },
                "yaxis": {**axis, "range": [0, 102], "gridcolor": "var(--chart-grid)"},
            },
        },
        axes=("", gettext("Power, %")),
        columns=(gettext("people"), gettext("power, %")),
        rows=tuple(
            (thousands(n), decimal(percent, 1)) for n, percent in zip(people, percents, strict=True)
        ),
    )


@router.get(f"{PAGE}/preregistrations/{{number}}", include_in_schema=False)
def preregistration_page(request: Request, made: FrozenDep, number: Number) -> Response:
    """Show one preregistration, to be printed."""
    wanted = next((one for one in made if one.id == number), None)
    if wanted is None:
        raise HTTPException(
            404, gettext("There is no preregistration {number}.").format(number=number)
        )
    return render(
        request,
        "preregistration.html",
        made=wanted,
        choices=preregistration.said_choices(wanted.document.question),
        declared=declared_method(wanted.document.question),
    )


class PreregistrationForm(BaseModel):
    """A preregistration as a person typed it; the question is that of the analysis page, and each
    line of ``windows`` is one.
    """

    question: Text = ""
    people: str = Field("", max_length=20)
    exclusions: Text = ""
    stopping: Text = ""
    expectation: Text = ""
    windows: Text = ""
    registered_address: Text = ""
    registered_on: str = Field("", max_length=20)

    def document(self) -> preregistration.PreregistrationDocument:
        """Return the preregistration.

        Raises:
            ValidationError: the question or another value is not allowed.
        """
        texts = {name: text.strip() for name, text in self.model_dump().items()}
        decided = {
            "question": query_of(parse_qsl(self.question)),
            "people": _number(self.people),
            "registered_on": self.registered_on.strip() or None,
            "windows": [line for line in self.windows.splitlines() if line.strip()],
        }
        return preregistration.PreregistrationDocument.model_validate(texts | decided)


def _number(typed: str) -> int | str:
    """Parse a typed number; a text that is no number is returned unchanged, to be refused."""
    try:
        return int(typed)
    except ValueError:
        return typed


@router.post(
    f"{PAGE}/preregistrations",
    include_in_schema=False,
    dependencies=[form_of(PAGE, PreregistrationForm)],
)
def freeze_page(
    options: OptionsDep, account: AccountDep, form: Annotated[PreregistrationForm, Form()]
) -> Response:
    """Freeze the preregistration in the form, and redirect to its printable page."""
    made = post_preregistration(options, account, form.document())
    return RedirectResponse(f"{PAGE}/preregistrations/{made.id}", 303)
