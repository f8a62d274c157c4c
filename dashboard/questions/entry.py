"""The record of a question, and how it is asked; light enough for every process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel

from dashboard.analysis.query import AnalysisQuery, Model, by_name
from dashboard.charts.chart import Chart
from dashboard.languages.templates import PageRecord
from dashboard.questions.basis import Basis
from dashboard.questions.tables import BundleTable
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import Sites

Fields: TypeAlias = Iterable[tuple[str, str]]
Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question to a timeline.

    Attributes:
        sites: name and timeline of each site; one without a name is this appliance's own.
        query: the question.
        models: names or paths of the configured models, whose cards say how faces are misread.
        prefer_sources: which source counts where several measured the same, the best first.
        span: only what lies between two times, UTC epoch milliseconds; ``None``: everything.
    """

    sites: Sites
    query: Any
    models: tuple[str, ...] = ()
    prefer_sources: tuple[str, ...] = ()
    span: tuple[int | None, int | None] | None = None

    @property
    def database(self) -> Path:
        """The timeline, where there is one site."""
        ((_, path),) = self.sites
        return path


@dataclass(frozen=True, slots=True)
class BundlePart:
    """Part of a bundle that a question adds.

    Attributes:
        table: text of ``NAME.csv``; empty: there is nothing to say.
        charts: that its page would draw.
        source: whose the data of the charts are, and from when.
        others: text of each further table that the question has, by its name.
    """

    table: str
    charts: tuple[Chart, ...] = ()
    source: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


class Way(StrEnum):
    """The ways to a question."""

    PAGE = "page"
    API = "api"
    COMMAND = "command"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class OwnWay:
    """A way to a question that it does not have from the register.

    Attributes:
        way: which.
        why: the reason.
        where: its path, or the name of its command; empty: there is none.
    """

    way: Way
    why: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """Rows of a question in the tables of ``docs/``, which ``tools/documents`` makes.

    Attributes:
        page: where its page is found, such as *Analysis → Responses*; empty: it has none.
        shows: what the page shows.
        usage: of the command behind its name, such as ``--event anger``.
        answers: what the command answers; empty: what the page shows.
    """

    page: str = ""
    shows: str = ""
    usage: str = ""
    answers: str = ""


def nowhere(*_: Any) -> Any:
    """Answer for a way that a question does not have.

    Raises:
        NotImplementedError: always; ``Question.own`` says why.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that the study answers.

    What loads SciPy does so in its functions, which the process that computes calls.

    Attributes:
        name: last part of its paths ``/NAME`` and ``/api/v1/NAME``, its template and its table.
        command: name of its command; empty: that of the question.
        own: ways that it does not have from here, with the reason.
        title: of its link in the menu; empty: another page leads to it.
        position: of that link, 50 to 59: the second row of *Analysis*.
        also: address of a page that its page leads to, and that has no link of its own.
        query: what is asked.
        model: what the API answers.
        about: what the API says of it.
        answer: computes the model, in words.
        sheet: computes what the page shows; its ``response`` is the model.
        basis: what the figures of an answer are made of.
        fields: what the template gets beside ``QuestionPage``.
        options: of the command, beside those of every question about a sample.
        help: what the command says of itself.
        listed: its line in the list of commands.
        documented: its rows in the documents.
        report: the answer as text for a terminal.
        part: table and charts in a bundle, beside the analysis of an inquiry, of the same sessions
            and readings.
        tables: that it adds to a bundle: what they are, and their columns.
        kept: fields that mean something when they are empty.
        of_page: fields of the page's address that ask nothing about the study.
        by_data: fields that the study gives a value where the question has none of its own.
        read: makes the question of the fields of a form; ``None``: each by its name.
    """

    name: str
    command: str = ""
    own: tuple[OwnWay, ...] = ()
    title: str = ""
    position: int = 0
    also: str = ""
    query: type[Model]
    model: type[BaseModel]
    about: str = ""
    answer: Callable[[Inquiry], Any]
    sheet: Callable[[Inquiry], Any] = nowhere
    basis: Callable[[Reader, Any], Basis] = nowhere
    fields: Callable[[PageOf], PageRecord] = nowhere
    options: tuple[Option, ...] = ()
    help: str = ""
    listed: str = ""
    documented: Documented = Documented()
    report: Callable[[Any], str] = nowhere
    part: Callable[[Inquiry, Mapping[str, Any]], BundlePart] = nowhere
    tables: tuple[BundleTable, ...] = ()
    kept: frozenset[str] = frozenset()
    of_page: frozenset[str] = frozenset()
    by_data: tuple[str, ...] = ()
    read: Callable[[Fields], Model] | None = None

    def has(self, way: Way) -> bool:
        """Return whether a way to it comes from the register."""
        return self.own_way(way) is None

    def own_way(self, way: Way) -> OwnWay | None:
        """Return a way that does not; ``None``: it does."""
        return next((one for one in self.own if one.way is way), None)

    @property
    def command_name(self) -> str:
        """The name of its command."""
        own = self.own_way(Way.COMMAND)
        return own.where if own else self.command or self.name

    def fill_in(self, query: Any, response: Any) -> Any:
        """Return a question with what the study gave it, as its answer names that."""
        return query.model_copy(
            update={name: getattr(response.question, name) for name in self.by_data}
        )

    def question_of(self, fields: Fields) -> Model:
        """Return the question that the fields of a form ask.

        Raises:
            pydantic.ValidationError: a field has a value that is not allowed.
        """
        own = [field for field in fields if field[0] not in self.of_page]
        if self.read is not None:
            return self.read(own)
        lists = {
            name
            for name, field in self.query.model_fields.items()
            if isinstance(field.default, tuple)
        }
        return self.query.model_validate(by_name(own, lists, kept=self.kept))


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of a question that asks the entry for more.

    Attributes:
        reader: of the study.
        query: the question, or that of the form beside which a wrong one is reported.
        sheet: what the page shows; ``None``: nothing could be answered.
        address: the fields of the page's address.
    """

    reader: Reader
    query: Any
    sheet: Any
    address: tuple[tuple[str, str], ...]

    @property
    def response(self) -> Any:
        """The model that was answered; ``None`` where nothing was."""
        return None if self.sheet is None else self.sheet.response


@dataclass(frozen=True, slots=True)
class QuestionPage(PageRecord):
    """The names of the page of any question.

    Attributes:
        problem: why the question cannot be answered; empty where it can.
        query: the question.
        sheet: what the page shows; ``None`` where nothing could be answered.
        unmet: a sentence for each choice that met nothing.
        address_query: the question as the query of an address.
        source: what the figures are made of.
    """

    problem: str
    query: Any
    sheet: Any
    unmet: Sequence[str]
    address_query: str
    source: str


def readings_of(query: AnalysisQuery, sample: Any) -> dict[str, Any]:
    """Return which sessions and readings count in an analysis, as other questions name them."""
    return {
        "sample": sample,
        "session": query.session if sample == "selected" else (),
        "estimated": query.estimated,
        "count_flagged": query.count_flagged,
        "count_unknown": query.count_unknown,
        "prefer_source": query.prefer_source,
    }
