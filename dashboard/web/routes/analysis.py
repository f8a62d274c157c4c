"""The analysis of a study, and its planning: sample size and preregistrations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis import planning
from dashboard.analysis.question import (
    DOUBTS,
    HEART_NAMES,
    MOST_STATES,
    AnalysisQuery,
    Sample,
    describe,
    query_of,
    same_label,
)
from dashboard.analysis.rendering.numbers import bounds_text, flag_name, number, p_text
from dashboard.analysis.results import AnalysisModel
from dashboard.charts.chart import Chart
from dashboard.computing.answers import Inquiry, Sheet, analysis_of, sheet_of
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of, vital_label
from dashboard.web.delivery import keep_page
from dashboard.web.errors import may_refuse
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.login import AccountDep
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.schemas import Number
from dashboard.web.services import ComputingDep, OptionsDep, Services, ServicesDep
from dashboard.web.settings import DashboardOptions
from dashboard.web.study import PARAMETER, ChosenStudiesDep, ChosenStudy, QuestionOfDevice
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import MovementKind
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED, VitalKind

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Analysis"),
    path="/analysis",
    position=50,
    icon="M4 20V11M10 20V5M16 20v-6M21 20H3M16 5v5M13.5 7.5h5",
    by_device=True,
)
PLAN_NAVIGATION = NavigationEntry(N_("Plan"), "/plan", 32, group=STUDY)
_DEFAULT = {"difference": "5", "sd": "10"}
_CHOSEN = {"vital", "design", "correction"}


@router.get("/analysis", include_in_schema=False)
def analysis_page(
    request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
) -> Response:
    """Show form, results and effect sizes; folded parts and pictures only with ``whole=yes``.

    They are many times larger than the rest, which is what a phone waits for, and no browser may
    keep them: the page's script asks for them when somebody opens one. A question that is wrong is
    answered beside its form.
    """
    problem = ""
    query = AnalysisQuery()
    sheet = None
    given = request.query_params.multi_items()
    reader = study.reader
    question = [field for field in given if field[0] not in {"whole", "offer"}]
    address_query = urlencode(question)
    try:
        query = query_of(field for field in question if field[0] != PARAMETER)
        sheet = computing.call(sheet_of, _asked(options, study, query))
    except ValidationError as error:
        problem = " ".join(describe(error))
    except StatisticsError as error:
        problem = said_of(error)
    others = _other_labels(sheet)
    return render(
        request,
        "analysis.html",
        status_code=422 if problem else 200,
        problem=problem,
        whole=request.query_params.get("whole") == "yes",
        address_query=address_query,
        whole_address=f"/analysis?{address_query}&whole=yes".replace("?&", "?"),
        query=query,
        sessions=reader.session_list(),
        kinds=_offered(query, reader.recorded_kinds()),
        movements=list(MovementKind) if reader.has_movements() or _moved(query) else [],
        # Their names are a twentieth of the page, and few questions need them.
        offered_movements=_moved(query) or "offer" in request.query_params,
        chooses="offer" in request.query_params,
        vital_label=vital_label,
        doubts=DOUBTS,
        flag_name=flag_name,
        heart_names={measure: gettext(name) for measure, name in HEART_NAMES.items()},
        offered_states=_states(query, sheet),
        others=others,
        others_address=_address_of(question, others),
        most_states=MOST_STATES,
        attributes=sorted({name for own in reader.attributes().values() for name in own}),
        settled={kind: query.settling_s(kind) for kind in query.vital},
        **_shown(sheet),
        is_simulated=sheet is not None and sheet.response.simulated_readings > 0,
        exported="" if sheet is None else _exported(query, sheet.response.sample),
        bounds=bounds_text(query, "or"),
        number=number,
        p_text=p_text,
    )


@router.get("/analysis/statistics", include_in_schema=False)
def statistics_page(request: Request) -> Response:
    """Show the documentation of the statistics, with sources, for a dashboard without a
    network.
    """
    return keep_page(request, render(request, "statistics.html", now_ms=None))


@router.get("/api/v1/analysis", operation_id="get_analysis", responses=may_refuse(404))
def get_analysis(
    computing: ComputingDep,
    options: OptionsDep,
    study: ChosenStudiesDep,
    query: Annotated[QuestionOfDevice, Query()],
) -> AnalysisModel:
    """Return the family of tests with every number unrounded, the values tested, and the result in
    words.
    """
    return computing.call(analysis_of, _asked(options, study, query.question()))


def _exported(query: AnalysisQuery, sample: Sample) -> str:
    """Return the question as an export takes it along: with the sessions that were looked at."""
    return query.model_copy(update={"sample": sample}).model_dump_json(exclude_defaults=True)


def _offered(query: AnalysisQuery, recorded: Collection[VitalKind]) -> list[VitalKind]:
    """Return the kinds that the form offers: heart rate, pressures, and recorded kinds."""
    return [kind for kind in TESTED if kind.spec.option or kind in recorded or kind in query.vital]


def _moved(query: AnalysisQuery) -> list[MovementKind]:
    """Return the movements that are asked for."""
    return [kind for kind in query.vital if isinstance(kind, MovementKind)]


def _states(query: AnalysisQuery, sheet: Sheet | None) -> list[str]:
    """Return the states that the form offers: those chosen, the emotions, and other labels of
    stimuli with readings.
    """
    every: list[str] = [*query.states, *Emotion]
    if sheet is not None:
        every += sheet.other_states
    offered: dict[str, str] = {}
    for label in every:
        # The first spelling stays, and the chosen states come first.
        offered.setdefault(same_label(label), label)
    return list(offered.values())


def _other_labels(sheet: Sheet | None) -> list[str]:
    """Return the other labels with readings, those with most readings first.

    A baseline is there to be taken away, not to be compared.
    """
    if sheet is None:
        return []
    counts = sheet.response.other_states
    labels = sorted(counts, key=lambda label: -counts[label])
    return [label for label in labels if same_label(label) != "baseline"]


def _address_of(question: list[tuple[str, str]], states: list[str]) -> str:
    """Return the same question about other states, as many as one may ask for; empty below two."""
    if len(states) < 2:
        return ""
    # A family names the states that are left out now.
    kept = [field for field in question if field[0] not in {"states", "family"}]
    chosen = [("states", label) for label in states[:MOST_STATES]]
    return f"/analysis?{urlencode(kept + chosen)}"


def _shown(sheet: Sheet | None) -> dict[str, object]:
    return {one.name: getattr(sheet, one.name, None) for one in fields(Sheet)}


def _asked(options: DashboardOptions, study: ChosenStudy, query: AnalysisQuery) -> Inquiry:
    return Inquiry(study.sites, query, options.models, options.prefer_sources)


plan_router = APIRouter(tags=["plan"], dependencies=[needs(Permission.STUDY)])
Text = Annotated[str, Field(max_length=4000)]


@plan_router.get("/plan", include_in_schema=False)
def plan_page(request: Request, services: ServicesDep) -> Response:
    """Show the planner with its answer, and what was preregistered."""
    values = dict(request.query_params)
    question = values.pop("question", "")
    return _page(request, services, values, question)


@plan_router.get("/api/v1/plan", operation_id="get_study_plan")
def get_plan(
    computing: ComputingDep, query: Annotated[planning.PlanQuery, Query()]
) -> planning.PlanModel:
    """Return how many people a study needs by the rule that decides in its family of tests."""
    return computing.call(planning.plan_of, query)


@plan_router.get("/api/v1/preregistrations", operation_id="list_preregistrations")
def get_preregistrations(options: OptionsDep) -> list[planning.PreregistrationModel]:
    """Return all preregistrations, the newest first."""
    return planning.read_preregistrations(options.database)


@plan_router.post(
    "/api/v1/preregistrations", operation_id="create_preregistration", status_code=201
)
def post_preregistration(
    options: OptionsDep, account: AccountDep, document: planning.PreregistrationDocument
) -> planning.PreregistrationModel:
    """Freeze a preregistration, with time and SHA-256. It can never be changed, only followed by a
    newer one.
    """
    return planning.preregister(options.database, document, account.name)


class PreregistrationForm(BaseModel):
    """The form of a preregistration, as typed."""

    question: Text = ""
    people: str = Field("", max_length=20)
    exclusions: Text = ""
    stopping: Text = ""
    expectation: Text = ""


@plan_router.post("/plan/preregistrations", include_in_schema=False)
def freeze_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    form: Annotated[PreregistrationForm, Form()],
) -> Response:
    """Freeze the preregistration in the form, and redirect to its printable page."""
    typed = form.model_dump(exclude={"question"})
    written = {name: text.strip() for name, text in typed.items()}
    try:
        question = query_of(parse_qsl(form.question))
        document = planning.PreregistrationDocument.model_validate(
            {**written, "question": question, "people": _number(form.people)}
        )
    except ValidationError as error:
        refused = Refused.invalid(request.url.path, error, written)
        return _page(request, services, {}, form.question, refused)
    made = planning.preregister(services.options.database, document, account.name)
    return RedirectResponse(f"/plan/preregistrations/{made.id}", 303)


def _number(typed: str) -> int | str:
    """Parse a typed number; a text that is no number is returned unchanged, to be refused."""
    try:
        return int(typed)
    except ValueError:
        return typed


@plan_router.get("/plan/preregistrations/{number}", include_in_schema=False)
def preregistration_page(request: Request, options: OptionsDep, number: Number) -> Response:
    """Show one preregistration, to be printed."""
    row = next(
        (one for one in planning.read_preregistrations(options.database) if one.id == number), None
    )
    if row is None:
        raise HTTPException(
            404, gettext("There is no preregistration {number}.").format(number=number)
        )
    return render(
        request,
        "preregistration.html",
        made=row,
        choices=planning.said_choices(row.document.question),
    )


def _page(
    request: Request,
    services: Services,
    values: dict[str, str],
    question: str,
    refused: Refused = NOTHING_REFUSED,
) -> Response:
    """Show the page with errors beside the form; typed values stay in the fields."""
    given = {name: value for name, value in values.items() if value.strip()} or _DEFAULT
    plan = None
    wrong = ""
    try:
        plan = services.computing.call(planning.plan_of, planning.PlanQuery.model_validate(given))
    except ValidationError as error:
        typed = planning.PlanQuery.model_fields.keys() - _CHOSEN
        fields = {name: given.get(name, "") for name in typed}
        refused = Refused.invalid(request.url.path, error, fields)
    except StatisticsError as error:
        refused = Refused.by(request, error, given)
    try:
        decided = query_of(parse_qsl(question))
    except ValidationError as error:
        decided = AnalysisQuery()
        wrong = " ".join(describe(error))
    return render(
        request,
        "plan.html",
        status_code=422 if refused.action or wrong else 200,
        given=given,
        plan=plan,
        refused=refused,
        wrong=wrong,
        kinds=TESTED,
        chart=None if plan is None else _curve(plan),
        question=question,
        choices=planning.said_choices(decided),
        made=planning.read_preregistrations(services.options.database),
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
                    "title": {"text": gettext("people")},
                    "gridcolor": "var(--chart-grid)",
                },
                "yaxis": {**axis, "range": [0, 102], "gridcolor": "var(--chart-grid)"},
            },
        },
        columns=("people", "power, %"),
        rows=tuple((str(n), f"{percent:.1f}") for n, percent in zip(people, percents, strict=True)),
    )
