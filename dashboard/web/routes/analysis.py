"""Whether heart rate and blood pressure differ between anger, happiness and neutral."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from dashboard.accounts.roles import Permission
from dashboard.analysis.planning.preregistration import compared
from dashboard.analysis.present.flags import flag_name
from dashboard.analysis.present.schemas import AnalysisModel
from dashboard.analysis.query import describe, query_of
from dashboard.analysis.request import DOUBTS, HEART_NAMES, AnalysisQuery, StateBy
from dashboard.analysis.states import same_label
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.delivery.kept_pages import keep_page
from dashboard.web.face_reading import face_reading
from dashboard.web.guards.permissions import needs
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.services import OptionsDep, ReaderDep
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED, VitalKind
from edge_agent.store.read.reader import Reader

if TYPE_CHECKING:
    from dashboard.analysis.results import Analysis

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Analysis"),
    path="/analysis",
    position=50,
    icon="M4 20V11M10 20V5M16 20v-6M21 20H3M16 5v5M13.5 7.5h5",
)


@router.get("/analysis", include_in_schema=False)
def analysis_page(request: Request, reader: ReaderDep, options: OptionsDep) -> Response:
    """Show form, results and effect sizes; folded parts and pictures only with ``whole=yes``.

    They are many times larger than the rest, which is what a phone waits for, and no browser may
    keep them: the page's script asks for them when somebody opens one. A question that is wrong is
    answered beside its form.
    """
    problem = ""
    query = AnalysisQuery()
    analysis = None
    fields = request.query_params.multi_items()
    address_query = urlencode([field for field in fields if field[0] != "whole"])
    try:
        query = query_of(field for field in fields if field[0] != "whole")
        analysis = _analyse(reader, options, query)
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
        offered_states=_states(query, analysis),
        attributes=sorted({name for own in reader.attributes().values() for name in own}),
        settled={kind: query.settling_s(kind) for kind in query.vital},
        **_shown(analysis, options),
    )


@router.get("/analysis/statistics", include_in_schema=False)
def statistics_page(request: Request) -> Response:
    """Show what is computed and why, with sources: the documentation, for a dashboard without a
    network.
    """
    return keep_page(request, render(request, "statistics.html", now_ms=None))


@router.get("/api/v1/analysis", operation_id="get_analysis")
def get_analysis(
    reader: ReaderDep, options: OptionsDep, query: Annotated[AnalysisQuery, Query()]
) -> AnalysisModel:
    """Return the family of tests with every number unrounded, the values tested, and the result in
    words.
    """
    from dashboard.analysis.present.response import response_of

    analysis = _analyse(reader, options, query)
    preregistered = compared(options.database, query, len(analysis.participants))
    return response_of(analysis, preregistered)


def _offered(query: AnalysisQuery, recorded: Collection[VitalKind]) -> list[VitalKind]:
    """Return the kinds that the form offers: heart rate and pressures, and what there is."""
    return [kind for kind in TESTED if kind.spec.option or kind in recorded or kind in query.vital]


def _states(query: AnalysisQuery, analysis: Analysis | None) -> list[str]:
    """Return the states that the form offers: those chosen, the emotions, and other labels of
    stimuli with readings.
    """
    every: list[str] = [*query.states, *Emotion]
    if analysis is not None:
        every += analysis.other_states
    offered: dict[str, str] = {}
    for label in every:
        offered.setdefault(same_label(label), label)
    return list(offered.values())


def _analyse(reader: Reader, options: DashboardOptions, query: AnalysisQuery) -> Analysis:
    # loads SciPy, which nobody needs before the first analysis
    from dashboard.analysis.analyse import analyse

    face = None
    if query.state is StateBy.OBSERVED:
        face = face_reading(options.database, options.models)
    return analyse(reader, query, face, options.prefer_sources)


def _digest(response: AnalysisModel) -> str:
    """Return a short name of an answer, the same as long as no number and no word of it changes."""
    return hashlib.sha256(response.model_dump_json().encode()).hexdigest()[:12]


def _shown(analysis: Analysis | None, options: DashboardOptions) -> dict[str, object]:
    """Return what the template shows of an analysis."""
    if analysis is None:
        return {
            "response": None,
            "digest": "",
            "groups": (),
            "charts": (),
            "effects": None,
            "forest": None,
            "is_simulated": False,
            "left_out": None,
        }
    from dashboard.analysis.present.charts import analysis_charts, effects_chart
    from dashboard.analysis.present.left_out_table import left_out_table
    from dashboard.analysis.present.response import response_of
    from dashboard.analysis.present.spread_charts import spread_charts
    from dashboard.analysis.present.study.forest import forest_of
    from dashboard.analysis.present.supplement_text import variability_sentence
    from dashboard.analysis.present.table import groups_of
    from dashboard.analysis.present.text import bounds_text, number, p_text

    preregistered = compared(options.database, analysis.query, len(analysis.participants))
    response = response_of(analysis, preregistered)
    return {
        "response": response,
        "digest": _digest(response),
        "groups": groups_of(response),
        "left_out": left_out_table(response),
        "bounds": bounds_text(analysis.query, "or"),
        "charts": analysis_charts(analysis),
        "spreads": spread_charts(analysis),
        "effects": effects_chart(analysis),
        "forest": forest_of(analysis),
        "variability": variability_sentence(analysis.variability),
        "is_simulated": response.simulated_readings > 0,
        "number": number,
        "p_text": p_text,
    }
