"""Whether heart rate and blood pressure differ between anger, happiness and neutral."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis.present.flags import flag_name
from dashboard.analysis.present.schemas import AnalysisModel
from dashboard.analysis.present.text import bounds_text, number, p_text
from dashboard.analysis.query import describe, query_of
from dashboard.analysis.request import DOUBTS, HEART_NAMES, AnalysisQuery
from dashboard.analysis.states import same_label
from dashboard.computing.answers import Inquiry, Sheet, analysis_of, sheet_of
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import (
    PARAMETER,
    ChosenStudiesDep,
    ChosenStudy,
    QuestionOfDevice,
)
from dashboard.web.delivery.kept_pages import keep_page
from dashboard.web.guards.permissions import needs
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
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
    address_query = urlencode([field for field in given if field[0] != "whole"])
    try:
        query = query_of(field for field in given if field[0] not in {"whole", PARAMETER})
        sheet = computing.call(sheet_of, _asked(options, study, query))
    except ValidationError as error:
        problem = " ".join(describe(error))
    except StatisticsError as error:
        problem = said_of(error)
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
        doubts=DOUBTS,
        flag_name=flag_name,
        heart_names={measure: gettext(name) for measure, name in HEART_NAMES.items()},
        offered_states=_states(query, sheet),
        attributes=sorted({name for own in reader.attributes().values() for name in own}),
        settled={kind: query.settling_s(kind) for kind in query.vital},
        **_shown(sheet),
        is_simulated=sheet is not None and sheet.response.simulated_readings > 0,
        bounds=bounds_text(query, "or"),
        number=number,
        p_text=p_text,
    )


@router.get("/analysis/statistics", include_in_schema=False)
def statistics_page(request: Request) -> Response:
    """Show what is computed and why, with sources: the documentation, for a dashboard without a
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


def _offered(query: AnalysisQuery, recorded: Collection[VitalKind]) -> list[VitalKind]:
    """Return the kinds that the form offers: heart rate and pressures, and what there is."""
    return [kind for kind in TESTED if kind.spec.option or kind in recorded or kind in query.vital]


def _states(query: AnalysisQuery, sheet: Sheet | None) -> list[str]:
    """Return the states that the form offers: those chosen, the emotions, and other labels of
    stimuli with readings.
    """
    every: list[str] = [*query.states, *Emotion]
    if sheet is not None:
        every += sheet.other_states
    offered: dict[str, str] = {}
    for label in every:
        offered.setdefault(same_label(label), label)
    return list(offered.values())


def _shown(sheet: Sheet | None) -> dict[str, object]:
    return {one.name: getattr(sheet, one.name, None) for one in fields(Sheet)}


def _asked(options: DashboardOptions, study: ChosenStudy, query: AnalysisQuery) -> Inquiry:
    return Inquiry(study.sites, query, options.models, options.prefer_sources)
