"""The pages and the API of the questions that the study answers, from their register."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field, create_model

from dashboard.accounts.roles import Permission
from dashboard.analysis.query import SampleQuery
from dashboard.analysis.unmet import unmet_of_question
from dashboard.questions.basis import figure_source
from dashboard.questions.entry import Inquiry, PageOf, Question, QuestionPage, Way
from dashboard.questions.register import QUESTIONS
from dashboard.web.chosen_study import ChosenStudiesDep, OfDevice, answer_page, question_in
from dashboard.web.delivery import keep_page
from dashboard.web.errors import may_refuse, refuses_by
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import ANALYSIS, NavigationEntry, render
from dashboard.web.schemas import SESSIONS_IN_ADDRESS
from dashboard.web.services import ComputingDep, OptionsDep

NAVIGATION = tuple(
    NavigationEntry(
        title=one.title,
        path=f"/{one.name}",
        position=one.position,
        by_device=True,
        group=ANALYSIS,
        also=one.also,
    )
    for one in QUESTIONS
    if one.title
)
_RULE = "which doubts can be counted, which measures are of the face, which time zones there are"


class _OfSessions(SampleQuery):
    """The sample of a question that an address asks, which has less room than a file."""

    session: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        max_length=SESSIONS_IN_ADDRESS,
        description=SampleQuery.model_fields["session"].description,
    )


def _router_of(question: Question) -> APIRouter:
    """Return the page of a question and its path of the API."""
    router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])
    if question.has(Way.API):
        router.add_api_route(
            f"/api/v1/{question.name}",
            refuses_by(_RULE)(_api_of(question)),
            response_model=question.model,
            operation_id=f"get_{question.name}",
            description=question.about,
            summary=f"Get {question.name.capitalize()}",
            responses=may_refuse(404),
        )
    if question.has(Way.PAGE):
        page = _page_of(question)
        path = f"/{question.name}"
        router.add_api_route(path, page, include_in_schema=False, response_class=Response)
    return router


def _api_of(question: Question) -> Callable[..., Any]:
    """Return the handler that answers with the model."""

    def answer(
        computing: ComputingDep,
        options: OptionsDep,
        study: ChosenStudiesDep,
        response: Response,
        query: Any,
    ) -> Any:
        asked = question_in(query, question.query)
        for sentence in unmet_of_question(study.sites, asked, on_page=True):
            # A header has printed letters of ASCII only, and each sentence one of its own.
            quoted = json.dumps(sentence).replace("\x7f", "\\u007f")
            response.headers.append("Warning", f"199 - {quoted}")
        inquiry = Inquiry(study.sites, asked, options.models, options.prefer_sources)
        return computing.call(question.answer, inquiry)

    # With the devices that it is about as query parameters beside its own.
    fields = create_model("OfDevices", __base__=(OfDevice, _OfSessions, question.query))
    answer.__annotations__["query"] = Annotated[fields, Query()]
    return answer


def _page_of(question: Question) -> Callable[..., Response]:
    """Return the handler of the page: form, answer and pictures; a question that is wrong is
    answered beside its form.
    """

    def page(
        request: Request, study: ChosenStudiesDep, options: OptionsDep, computing: ComputingDep
    ) -> Response:
        def compute(asked: Any) -> Any:
            inquiry = Inquiry(study.sites, asked, options.models, options.prefer_sources)
            return computing.call(question.sheet, inquiry)

        reader = study.reader
        query, sheet, problem = answer_page(
            request, question.query(), question.question_of, compute
        )
        unmet = unmet_of_question(study.sites, query, on_page=True) if sheet else ()
        if sheet:
            query = question.fill_in(query, sheet.response)
        address = tuple(request.query_params.multi_items())
        asked = [field for field in address if field[0] not in question.of_page]
        own = question.fields(PageOf(reader, query, sheet, address))
        shown = QuestionPage(
            problem=problem,
            query=query,
            sheet=sheet,
            unmet=unmet,
            address_query=urlencode(asked),
            source=figure_source(reader, question.basis(reader, sheet.response)) if sheet else "",
        )
        names = shown.names() | own.names()
        return render(request, own.template, 422 if problem else 200, **names)

    return page


ROUTERS = tuple(map(_router_of, QUESTIONS))
router = APIRouter(tags=["analysis"], dependencies=[needs(Permission.STUDY)])


@router.get("/analysis/statistics", include_in_schema=False)
def statistics_page(request: Request) -> Response:
    """Show the documentation of the statistics, with sources, for a dashboard without a
    network.
    """
    return keep_page(request, render(request, "statistics.html", now_ms=None))
