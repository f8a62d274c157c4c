"""The analysis of a study: its tests, pictures and numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.question import (
    DOUBTS,
    MEASURE_NAMES,
    MOST_STATES,
    AnalysisQuery,
    HeartMeasure,
    Sample,
    SkinMeasure,
    StateBy,
    query_of,
    same_label,
)
from dashboard.analysis.rendering.numbers import bounds_text, flag_name, number, p_text, unit_of
from dashboard.analysis.results import AnalysisModel
from dashboard.computing.answers import Inquiry, Sheet, analysis_of, sheet_of
from dashboard.languages.current import gettext
from dashboard.languages.names import vital_label
from dashboard.web.delivery import keep_page
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import ANALYSIS, NavigationEntry, render
from dashboard.web.services import ComputingDep, OptionsDep
from dashboard.web.settings import DashboardOptions
from dashboard.web.study import (
    Basis,
    ChosenStudiesDep,
    ChosenStudy,
    QuestionOfDevice,
    answer_page,
    figure_source,
    question_in,
)
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import ExpressionKind, Measure, MovementKind, RatingKind, is_of_face
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED, VitalKind

router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    title=N_("Analysis"), path="/analysis", position=50, by_device=True, group=ANALYSIS
)
_OF_THE_PAGE = frozenset({"whole", "offer"})
"""Fields of the address that ask nothing about the study."""


@dataclass(frozen=True, slots=True)
class OfferedMeasures:
    """Measures that the form offers together, with what must be known of them."""

    title: str
    note: str
    kinds: tuple[Measure, ...]


def _inquiry(options: DashboardOptions, study: ChosenStudy, query: AnalysisQuery) -> Inquiry:
    return Inquiry(study.sites, query, options.models, options.prefer_sources)


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
    return computing.call(analysis_of, _inquiry(options, study, question_in(query, AnalysisQuery)))


@router.get("/analysis", include_in_schema=False)
def analysis_page(
    request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
) -> Response:
    """Show form, results and effect sizes; folded parts and pictures only with ``whole=yes``.

    They are many times larger than the rest, which is what a phone waits for, and no browser may
    keep them: the page's script asks for them when somebody opens one. A question that is wrong is
    answered beside its form.
    """
    reader = study.reader
    query, sheet, problem = answer_page(
        request,
        AnalysisQuery(),
        lambda fields: query_of(field for field in fields if field[0] not in _OF_THE_PAGE),
        lambda asked: computing.call(sheet_of, _inquiry(options, study, asked)),
    )
    given = request.query_params.multi_items()
    question = [field for field in given if field[0] not in _OF_THE_PAGE]
    address_query = urlencode(question)
    others = _other_labels(sheet)
    sessions = reader.session_list()
    return render(
        request,
        "analysis.html",
        status_code=422 if problem else 200,
        problem=problem,
        whole=request.query_params.get("whole") == "yes",
        address_query=address_query,
        whole_address=f"/analysis?{address_query}&whole=yes".replace("?&", "?"),
        query=query,
        sessions=sessions,
        kinds=_offered_kinds(query, reader.recorded_kinds()),
        # Their names are a tenth of the page, and few questions need them.
        offered=_offered_groups(query, reader.has_movements())
        if _others_of(query) or "offer" in request.query_params
        else (),
        chooses="offer" in request.query_params,
        vital_label=vital_label,
        doubts=DOUBTS,
        flag_name=flag_name,
        heart_names={measure: gettext(MEASURE_NAMES[measure]) for measure in HeartMeasure},
        skin_names={measure: gettext(MEASURE_NAMES[measure]) for measure in SkinMeasure},
        offered_states=_offered_states(query, sheet),
        others=others,
        others_address=_address_of(question, others),
        most_states=MOST_STATES,
        attributes=sorted({name for own in reader.attributes().values() for name in own}),
        settled={kind: query.settling_s(kind) for kind in query.vital},
        source=figure_source(reader, _basis_of(sessions, sheet.response)) if sheet else "",
        **_sheet_fields(sheet),
        is_simulated=sheet is not None and sheet.response.simulated_readings > 0,
        exported="" if sheet is None else _question_to_export(query, sheet.response.sample),
        bounds=bounds_text(query, "or"),
        number=number,
        p_text=p_text,
        unit_of=unit_of,
    )


def _basis_of(sessions: Sequence[Session], response: AnalysisModel) -> Basis:
    query = response.question
    used = set(response.sessions)
    return Basis(
        sessions=[one for one in sessions if one.id in used],
        people=response.participants,
        is_example=response.sample is Sample.EXAMPLE,
        simulated=response.simulated_readings > 0,
        of_faces=query.state is StateBy.OBSERVED or any(map(is_of_face, query.vital)),
    )


def _question_to_export(query: AnalysisQuery, sample: Sample) -> str:
    """Return the question as an export takes it along: with the sessions that were looked at."""
    return query.model_copy(update={"sample": sample}).model_dump_json(exclude_defaults=True)


def _offered_kinds(query: AnalysisQuery, recorded: Collection[VitalKind]) -> list[VitalKind]:
    """Return the kinds that the form offers: heart rate, pressures, and recorded kinds."""
    return [kind for kind in TESTED if kind.spec.option or kind in recorded or kind in query.vital]


def _others_of(query: AnalysisQuery) -> list[Measure]:
    """Return the measures that are asked for and are no vital signs."""
    return [kind for kind in query.vital if not isinstance(kind, VitalKind)]


def _offered_groups(query: AnalysisQuery, has_movements: bool) -> list[OfferedMeasures]:
    """Return the measures that are no vital signs, in groups; movements where there are any."""
    groups = [
        OfferedMeasures(
            gettext("Expressions of the face"),
            gettext("What the classifier says, no feeling. By condition or self-report only."),
            tuple(ExpressionKind),
        ),
        OfferedMeasures(
            gettext("Movements of the face"),
            gettext(
                "Estimates of a network, not coded by people. By condition or self-report only."
            ),
            tuple(MovementKind),
        ),
        OfferedMeasures(gettext("Own ratings"), gettext("By condition only."), tuple(RatingKind)),
    ]
    return [
        group
        for group in groups
        if has_movements
        or not isinstance(group.kinds[0], MovementKind)
        or set(group.kinds) & set(query.vital)
    ]


def _offered_states(query: AnalysisQuery, sheet: Sheet | None) -> list[str]:
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


def _sheet_fields(sheet: Sheet | None) -> dict[str, object]:
    return {one.name: getattr(sheet, one.name, None) for one in fields(Sheet)}


@router.get("/analysis/statistics", include_in_schema=False)
def statistics_page(request: Request) -> Response:
    """Show the documentation of the statistics, with sources, for a dashboard without a
    network.
    """
    return keep_page(request, render(request, "statistics.html", now_ms=None))
