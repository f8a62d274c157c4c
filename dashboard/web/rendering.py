"""Pages: their registry, their templates and their language.

Every module below ``routes/`` holds one or several routers, and a ``NavigationEntry`` for each page
with a place in the navigation. Nothing else lists the pages: the application and its tests ask
``find_pages``.

    >>> from dashboard.web import routes
    >>> [entry.title for entry in navigation_of(find_pages(routes))][:3]
    ['Live', 'Fleet', 'Trends']

The language of a request is settled before anything answers it. The choice of an account lies in
a cookie that its log-in sets, so that no page waits for the database. The address of a
participant's page, which belongs to nobody's account, may name a language.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast
from urllib.parse import parse_qs

import jinja2
from fastapi import APIRouter, Request
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.accounts.roles import MAY, Account, Permission
from dashboard.charts.drawing import draw_both
from dashboard.charts.marks import HATCHES
from dashboard.languages import figures
from dashboard.languages.current import SOURCE, chosen_from, gettext, language, speaking
from dashboard.languages.figures import figure, thousands
from dashboard.languages.macros import FILTERS, add_filters
from dashboard.languages.names import (
    alert_name,
    capitalise,
    own_text,
    session_name,
    state_name,
    translate,
    vital_label,
)
from dashboard.languages.templates import PageRecord, TextBlocks, local_time, with_times
from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from dashboard.web.authentication import account_of, cookie_name, cookie_of, drop_cookie, set_cookie
from dashboard.web.chosen_study import study_shown
from dashboard.web.delivery import NamedAddresses
from dashboard.web.forms import refused_of
from dashboard.web.options import DashboardOptions
from dashboard.web.services import services
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.instruments import INSTRUMENTS, LONGEST, InstrumentName
from edge_agent.core.process import give_back_heap
from edge_agent.core.study import LABEL_LENGTH
from edge_agent.core.texts import N_

HERE = Path(__file__).parent
TEMPLATES = (HERE / "templates", *sorted((HERE.parent / "questions").glob("*/")))
"""Folders of templates: those of a question lie in its own."""
LANGUAGE_COOKIE = "affect-edge-language"
LANGUAGE_SECONDS = 365 * 86_400
LANGUAGE_FIELD = "language"
_OF_PARTICIPANTS = "/participate/"
_TENTH = 0.1


@dataclass(frozen=True, slots=True)
class NavigationGroup:
    """An entry of the menu for several pages, whose links stand in a second row on each of them.

    Attributes:
        title: its text.
        icon: as of ``NavigationEntry``.
        under_more: as of ``NavigationEntry``.
    """

    title: str
    icon: str
    under_more: bool = False


STUDY = NavigationGroup(N_("Study"), "M9 4h6v3H9zM8 5H5v16h14V5h-3M8 12h8M8 16h5")
ANALYSIS = NavigationGroup(N_("Analysis"), "M4 20V11M10 20V5M16 20v-6M21 20H3M16 5v5M13.5 7.5h5")
DEVICE = NavigationGroup(
    N_("Device"), "M5 5h14v14H5zM9 9h6v6H9zM9 2v3M15 2v3M9 19v3M15 19v3M2 9h3M2 15h3M19 9h3M19 15h3"
)


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A link to a page, in the menu or in the second row of a group.

    Attributes:
        title: its text.
        path: where it leads.
        position: entries stand in this order, those of a group side by side; leave gaps for pages
            that come later.
        icon: the ``d`` of an SVG path on a grid of 24 by 24, drawn as a line; links of
            a second row need none.
        by_device: whether a fleet has the page for one device; the device goes along.
        of: which dashboards show it: that of an ``appliance``, of a ``fleet``, or ``both``.
        group: where its link stands; ``None``: in the menu itself.
        beside: needed for the link beside what the page needs; ``None``: nothing.
        under_more: whether a phone, which has room for five, shows the link under *More*.
        also: the address of other pages that belong to it; empty: those below its own alone.
    """

    title: str
    path: str
    position: int
    icon: str = ""
    by_device: bool = False
    of: Literal["appliance", "fleet", "both"] = "both"
    group: NavigationGroup | None = None
    beside: Permission | None = None
    under_more: bool = False
    also: str = ""

    @property
    def menu_entry(self) -> NavigationEntry | NavigationGroup:
        """The entry of the menu that leads to the page."""
        return self.group or self

    def leads_to(self, path: str) -> bool:
        """Tell whether an address is that of the page, or lies below it or what belongs to it."""
        places = (self.path, self.also or self.path)
        return any(path == place or path.startswith(f"{place}/") for place in places)


@dataclass(frozen=True, slots=True)
class Page:
    """A router of a module of routes.

    ``navigation`` is ``None`` for a page that others lead to.
    """

    module: str
    router: APIRouter
    navigation: NavigationEntry | None


@cache
def find_pages(package: ModuleType) -> tuple[Page, ...]:
    """Return the pages of every module in a package, by name of the module; looked for once.

    Raises:
        TypeError: a module has no router, or an entry of the navigation leads to none of its
            routes.
    """
    modules = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return tuple(page for module in modules for page in _pages_of(module.name))


def navigation_of(pages: Iterable[Page]) -> tuple[NavigationEntry, ...]:
    """Return the entries of the navigation in their order."""
    entries = (page.navigation for page in pages if page.navigation is not None)
    return tuple(sorted(entries, key=lambda entry: entry.position))


def _pages_of(name: str) -> list[Page]:
    values = vars(importlib.import_module(name)).values()
    # A module whose pages come from a register has a tuple of each.
    parts = [one for value in values for one in (value if type(value) is tuple else (value,))]
    entries = {entry.path: entry for entry in parts if isinstance(entry, NavigationEntry)}
    pages = []
    for router in parts:
        if isinstance(router, APIRouter):
            paths = [getattr(route, "path", "") for route in router.routes]
            # Taken out when its route is found: what is left over leads to no route.
            here = [entries.pop(path) for path in paths if path in entries]
            pages.append(Page(name, router, here[0] if here else None))
    if not pages:
        raise TypeError(f"{name}: a module of routes needs an APIRouter")
    if entries:
        raise TypeError(f"{name}: the navigation leads to {min(entries)}, which is no route here")
    return pages


def with_code(text: object) -> Markup:
    """Write a text in which commands stand between backticks, such as ``Try `affect-edge run`.``"""
    parts = str(text).split("`")
    written = [
        Markup('<code translate="no">{}</code>').format(part) if place % 2 else with_times(part)
        for place, part in enumerate(parts)
    ]
    return Markup().join(written)


def minute(moment: object) -> str:
    """Write UTC milliseconds as a field of a time holds them, such as ``2026-11-20T08:15`` (UTC).

    Anything else is returned as the user typed it.
    """
    try:
        return iso_utc(int(str(moment)))[:16]
    except (ValueError, OverflowError):
        return str(moment or "")


class _Loader(jinja2.FileSystemLoader):
    """Frees the memory used to compile a template: up to 10 MB for a long one."""

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name
    ) -> jinja2.Template:
        """Translate a template."""
        try:
            return super().load(environment, name, globals)
        finally:
            give_back_heap()


@cache
def make_templates(navigation: tuple[NavigationEntry, ...]) -> Jinja2Templates:
    """Return the templates; a name that a page does not know is an error, not an empty place.

    Every application of a process shares them: each is translated once.

    Args:
        navigation: the entries that every page shows, in this order.
    """
    environment = jinja2.Environment(
        loader=_Loader(TEMPLATES),
        autoescape=True,
        extensions=[NamedAddresses, TextBlocks],
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own: dict[str, Callable[..., object]] = {
        "local_time": local_time,
        "minute": minute,
        "timed": with_times,
        "file_size": figures.file_size,
        "iso": iso_utc,
        "drawings": draw_both,
        "vital_label": vital_label,
        "state_name": state_name,
        "with_code": with_code,
        "capitalize": capitalise,
        "main_shares": main_shares,
        "own_text": own_text,
    }
    add_filters(environment, {**FILTERS, **own})
    environment.globals.update(
        navigation=navigation,
        asked=frozenset(one.name for one in QUESTIONS if one.has(Way.PAGE)),
        under_more=DEVICE,
        version=__version__,
        emotions=[emotion.value for emotion in EMOTIONS],
        hatches=list(zip((*EMOTIONS, "uncertain"), HATCHES, strict=True)),
        figure=figure,
        thousands=thousands,
        alert_name=alert_name,
        session_name=session_name,
        label_length=LABEL_LENGTH,
        instruments_length=LONGEST,
        instrument_labels=instrument_labels,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return Jinja2Templates(env=environment)


def instrument_labels() -> list[tuple[str, str]]:
    """Return the field of each instrument of a session in a form, and its label."""
    labels = [
        (f"instrument-{name}", f"{capitalise(translate(of))}: {translate(about)}")
        for name, (of, about) in INSTRUMENTS.items()
    ]
    return [*labels, (f"instrument-{InstrumentName.OTHER}", gettext("Other instruments"))]


@dataclass(frozen=True, slots=True)
class EveryPage(PageRecord):
    """The names that every template gets.

    Attributes:
        account: who asks; ``None`` without a log-in.
        may: what they may.
        menu: each entry with its links, as far as they may open it.
        page_link: the link to this page; ``None`` where none leads to it.
        device: name of the device.
        path: of the address.
        language: in use.
        now_ms: UTC epoch milliseconds.
        agent_is_away: tells whether the agent is silent.
        alerts: those that stand.
        chosen_study: whose study is shown.
        refused: the form that was refused.
        of_device: makes an address one of the chosen devices.
    """

    account: Account | None
    may: frozenset[Permission]
    menu: list[tuple[str, tuple[NavigationEntry, ...]]]
    page_link: NavigationEntry | None
    device: str
    path: str
    language: str
    now_ms: int
    agent_is_away: Callable[[], bool]
    alerts: object
    chosen_study: object
    refused: object
    of_device: Callable[[str], str]


def render(request: Request, template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """Return a page of a template, which gets the names of ``EveryPage`` beside its own.

    A page that shows a refused form again has the status of the refusal.
    """
    try:
        account = account_of(request)
    except StoreError:  # the page that says so must still be shown
        account = None
    may = MAY[account.role] if account else frozenset[Permission]()
    needed: dict[str, Permission] = request.app.state.permissions
    templates: Jinja2Templates = request.app.state.templates
    entries = cast("tuple[NavigationEntry, ...]", templates.env.globals["navigation"])
    study = study_shown(request)
    of = {"both", "fleet" if services(request).fleet is not None else "appliance"}
    links = [
        entry
        for entry in entries
        if entry.of in of and {needed[entry.path], entry.beside or needed[entry.path]} <= may
    ]
    refused = refused_of(request)
    if status_code == 200:
        status_code = refused.status
    shared = EveryPage(
        account=account,
        may=may,
        menu=[(head, tuple(own)) for head, own in groupby(links, attrgetter("menu_entry"))],
        # A page may lie below another one's address: the nearest is meant.
        page_link=max(
            (entry for entry in links if entry.leads_to(request.url.path)),
            key=lambda entry: len(entry.path),
            default=None,
        ),
        device=services(request).options.device,
        path=request.url.path,
        language=language(),
        now_ms=clock.now().wall_ms,
        agent_is_away=services(request).live.is_agent_away,
        alerts=services(request).alerts,
        chosen_study=study,
        refused=refused,
        of_device=study.address,
    )
    headers = {"Retry-After": str(refused.wait)} if refused.wait else None
    return templates.TemplateResponse(
        request, template, shared.names() | context, status_code=status_code, headers=headers
    )


class Languages:
    """ASGI middleware: sets the language of a request for all code that answers it.

    Args:
        app: the application.
        options: the configuration, with the language for browsers that ask for none of ours.
    """

    def __init__(self, app: ASGIApp, options: DashboardOptions) -> None:
        self._app = app
        self._configured = options.language
        self._cookie = cookie_name(LANGUAGE_COOKIE, options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in its language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        header = connection.headers.get("accept-language", "")
        language = chosen_from(self._choice(connection), header, self._configured)
        scope["affect_edge_language"] = language
        with speaking(language):
            await self._app(scope, receive, send)

    def _choice(self, connection: HTTPConnection) -> str:
        if connection.url.path.startswith(_OF_PARTICIPANTS):
            return parse_qs(connection.url.query).get(LANGUAGE_FIELD, [""])[0]
        return connection.cookies.get(self._cookie, "")


def language_of(request: Request) -> str:
    """Return the language of a request, for code that answers outside the middleware."""
    return str(request.scope.get("affect_edge_language", SOURCE))


def keep_choice(request: Request, response: Response, code: str, options: DashboardOptions) -> None:
    """Store the account's language in a cookie; an empty choice deletes the cookie."""
    if code:
        set_cookie(response, LANGUAGE_COOKIE, code, LANGUAGE_SECONDS, options)
    elif cookie_of(request, LANGUAGE_COOKIE, options):
        drop_cookie(response, LANGUAGE_COOKIE, options)


def main_shares(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the two largest parts of a whole that make a tenth of it or more."""
    largest = sorted(shares.items(), key=lambda part: part[1], reverse=True)[:2]
    return [(name, share) for name, share in largest if share >= _TENTH]
