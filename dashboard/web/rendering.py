"""Templates, what every page gets, and how values are written for people."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import jinja2
from fastapi import Request
from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dashboard.accounts.roles import MAY, Permission
from dashboard.charts.packed import packed
from dashboard.charts.plotly_script import plotly_address
from dashboard.languages.blocks import TextBlocks
from dashboard.languages.current import language
from dashboard.languages.figures import figure, file_size, thousands
from dashboard.languages.written import (
    capitalised,
    day,
    duration,
    moment,
    said,
    with_and,
    words,
)
from dashboard.web.chosen_study import study_shown
from dashboard.web.delivery.static_files import NamedAddresses
from dashboard.web.login_guard import account_of
from dashboard.web.pages import NavigationEntry
from dashboard.web.services import services
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS
from edge_agent.runtime.memory import give_back_heap

HERE = Path(__file__).parent


def local_time(wall_ms: int | None, form: str = "datetime") -> str:
    """Write an instant as a ``<time>`` element in UTC, which the page's script turns into the
    reader's time zone.

    Args:
        wall_ms: UTC milliseconds since 1970; ``None`` gives a dash.
        form: ``datetime``, ``date`` or ``time``.
    """
    if wall_ms is None:
        return Markup("–")
    return Markup('<time datetime="{}" data-local="{}">{}</time>').format(
        iso_utc(wall_ms), form, moment(wall_ms, form)
    )


class _Loader(jinja2.FileSystemLoader):
    """Gives back the memory that a template took to be translated: up to 10 MB for a long one."""

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
        loader=_Loader(HERE / "templates"),
        autoescape=True,
        extensions=[NamedAddresses, TextBlocks],
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        local_time=local_time,
        duration=duration,
        day=day,
        file_size=file_size,
        words=words,
        iso=iso_utc,
        packed=packed,
        thousands=thousands,
        with_and=with_and,
        capitalize=capitalised,
    )
    environment.filters["said"] = said
    environment.globals.update(
        navigation=navigation,
        version=__version__,
        emotions=[emotion.value for emotion in EMOTIONS],
        plotly_address=plotly_address(),
        figure=figure,
        thousands=thousands,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return Jinja2Templates(env=environment)


def render(request: Request, template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """Return a page; ``account``, what they ``may``, ``device``, ``path``, ``language``,
    ``now_ms``, ``agent_is_away()``, ``alerts``, ``chosen_study``, ``of_device(address)`` and the
    navigation, as far as they may open it, are there in every template.
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
    shared = {
        "account": account,
        "may": may,
        "navigation": [entry for entry in entries if entry.of in of and needed[entry.path] in may],
        "device": services(request).options.device,
        "path": request.url.path,
        "language": language(),
        "now_ms": clock.now().wall_ms,
        "agent_is_away": services(request).live.is_agent_away,
        "alerts": services(request).alerts,
        "chosen_study": study,
        "of_device": study.address,
    }
    return templates.TemplateResponse(request, template, shared | context, status_code=status_code)
