"""Alerts: those that stand, their log, and what is watched. None is a medical alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dashboard.accounts.roles import MAY, Account, Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import translate
from dashboard.web import configuration, schemas
from dashboard.web.alert_rules import (
    RuleForm,
    grouped,
    new_rule,
    rule_sentence,
    rules_with,
    watches_people,
    written_rules,
)
from dashboard.web.authentication import AccountDep
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.routes.settings import PresentDep, show_change
from dashboard.web.services import Services, ServicesDep
from edge_agent.alerts.rules import DISCLAIMER, KIND_NAMES
from edge_agent.config.alerts import AlertKind
from edge_agent.config.keys import RULES
from edge_agent.core.texts import N_
from edge_agent.timeline.write.alert_log import AlertEntry, AlertFilter

router = APIRouter(tags=["alerts"], dependencies=[needs(Permission.SEE)])
PAGE = "/alerts"
NAVIGATION = NavigationEntry(
    N_("Alerts"), PAGE, 72, "M6 16V10a6 6 0 0112 0v6l2 2H4zM10 21h4", of="appliance", group=DEVICE
)
PAGE_ROWS = 50
_ENDINGS = {
    "over": N_("over"),
    "not_known": N_("no longer known"),
    "rule_removed": N_("rule removed"),
}

_SERVICES = {
    **dict.fromkeys(("mailto", "mailtos"), N_("e-mail")),
    **dict.fromkeys(("json", "jsons", "xml", "xmls", "form", "forms"), N_("webhook")),
    "ntfys": "ntfy",
}
"""Plain names of Apprise's schemes; another scheme stays as it is."""

WantedKind = Annotated[
    AlertKind | None,
    BeforeValidator(lambda text: None if text == "" else text),
    Query(description="Left out: all kinds"),
]


class AlertModel(BaseModel):
    """An alert."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Its number")
    rule: str = Field(description="Name of its rule")
    kind: AlertKind = Field(description="What the rule watches")
    text: str = Field(description="What is so")
    value: float | None = Field(description="What was measured when it began; null: nothing is")
    session: int | None = Field(description="Session that was open then; null: none was")
    raised_ms: int = Field(description="When it began, UTC milliseconds")
    ended_ms: int | None = Field(description="When it ended; null: it stands")
    ending: Literal["over", "not_known", "rule_removed"] | None = Field(
        description="Why it ended; not_known: nothing was heard of it for five minutes"
    )
    quiet: bool = Field(description="Whether it began in quiet hours")
    acknowledged_ms: int | None = Field(description="When somebody acknowledged it")
    acknowledged_by: str | None = Field(description="Who")
    sent: int = Field(description="Addresses that were told that it began")
    not_sent: int = Field(description="Addresses that could not be told yet")
    perhaps_sent: int = Field(
        0,
        description="Addresses that were perhaps told, and are not told again: the program ended, "
        "or the service did not answer, before it was known",
    )

    @classmethod
    def of(cls, alert: AlertEntry) -> AlertModel:
        """Return the model of an alert; it names no address."""
        begun = [one for one in alert.deliveries if one.event == "raised"]
        sent = sum(one.sent_ms is not None for one in begun)
        # Deliveries name the addresses that were written to, and are only counted here.
        counts = {
            "sent": sent,
            "not_sent": sum(not one.may_have_arrived for one in begun),
            "perhaps_sent": sum(one.is_unknown for one in begun),
        }
        names = [name for name in cls.model_fields if name not in counts]
        values = {name: getattr(alert, name) for name in names} | {"text": translate(alert.text)}
        return cls(**values, **counts)


class AlertPage(BaseModel):
    """A page of the log."""

    disclaimer: str = Field(description="What an alert is not")
    matching: int = Field(description="How many alerts are wanted")
    alerts: list[AlertModel] = Field(description="Those of this page, the newest first")


def _filter(
    start: schemas.Moment = None,
    end: schemas.Moment = None,
    kind: WantedKind = None,
    state: Literal["", "open", "ended", "unacknowledged"] = "",
) -> AlertFilter:
    return AlertFilter(start, end, kind or "", state)


FilterDep = Annotated[AlertFilter, Depends(_filter)]


@dataclass(frozen=True, slots=True)
class LogPage:
    """The alerts of one page of the log.

    Attributes:
        number: of the page, from 1.
        matching: alerts that are wanted, on all pages.
        alerts: those of this page, the newest first.
    """

    number: int
    matching: int
    alerts: list[AlertEntry]


def _log_page(services: ServicesDep, wanted: FilterDep, page: schemas.PageNumber = 1) -> LogPage:
    matching, alerts = services.alerts.log.page(wanted, PAGE_ROWS, page)
    return LogPage(page, matching, alerts)


LogPageDep = Annotated[LogPage, Depends(_log_page)]


@router.get("/api/v1/alerts", operation_id="list_alerts")
def get_alerts(logged: LogPageDep) -> AlertPage:
    """Return fifty alerts of the log."""
    return AlertPage(
        disclaimer=gettext(DISCLAIMER),
        matching=logged.matching,
        alerts=[AlertModel.of(alert) for alert in logged.alerts],
    )


@router.post(
    "/api/v1/alerts/{number}/acknowledge",
    operation_id="acknowledge_alert",
    responses=may_refuse(409),
    dependencies=[needs(Permission.RUN)],
)
def acknowledge(number: schemas.Number, services: ServicesDep, account: AccountDep) -> AlertModel:
    """Acknowledge an alert; only the first acknowledgement is stored."""
    return AlertModel.of(services.commands.acknowledge_alert(number, actor=account.name))


@router.get(PAGE, include_in_schema=False)
def alerts_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    wanted: FilterDep,
    logged: LogPageDep,
    rule: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show the open alerts, the log, and the alert rules; of the rule ``rule`` also its form."""
    return render(
        request,
        "alerts.html",
        standing=services.alerts.standing(),
        rows=logged.alerts,
        matching=logged.matching,
        page=logged.number,
        pages=max(1, math.ceil(logged.matching / PAGE_ROWS)),
        wanted=wanted,
        chosen=urlencode(
            schemas.given(
                start=wanted.start_ms, end=wanted.end_ms, kind=wanted.kind, state=wanted.state
            )
        ),
        kinds=[(kind.value, gettext(KIND_NAMES[kind])) for kind in AlertKind],
        options=services.alerts.options,
        watches_people=any(watches_people(rule.when) for rule in services.alerts.options.rules),
        **_addresses_shown(services, account),
        endings=_ENDINGS,
        disclaimer=gettext(DISCLAIMER),
        sentence_of=rule_sentence,
        changed=rule,
        **_rules_shown(services, account),
    )


def _rules_shown(services: Services, account: Account) -> dict[str, Any]:
    """Return the rules for the page: an administrator sees and changes those of the file."""
    if Permission.ADMINISTER in MAY[account.role]:
        present = configuration.read_present(services.options.config)
        if present.can_be_changed:
            return {
                "rules": written_rules(present.rules),
                "present": present,
                "groups": grouped(),
                "new_rule": new_rule(),
            }
    written = (rule.model_dump(mode="json") for rule in services.alerts.options.rules)
    return {"rules": written_rules(written), "present": None}


def _addresses_shown(services: Services, account: Account) -> dict[str, Any]:
    """Return where alerts are sent: an administrator sees names, others only the services.

    Neither holds a secret.
    """
    options = services.alerts.options
    unread_file = False
    try:
        targets = options.targets()
    except (OSError, ValueError):
        targets, unread_file = options.targets_without_file(), True
    names = [target.name for target in targets]
    if Permission.ADMINISTER not in MAY[account.role]:
        names = [_service_of(name) for name in names]
    return {"targets": names, "unread_file": unread_file}


def _service_of(name: str) -> str:
    """Return what brings a message to an address: its name begins with the scheme."""
    scheme = name.partition(" ")[0]
    return gettext(_SERVICES.get(scheme, scheme))


@router.post(
    f"{PAGE}/{{number}}/acknowledge", include_in_schema=False, dependencies=[needs(Permission.RUN)]
)
def acknowledge_on_page(
    number: schemas.Number, services: ServicesDep, account: AccountDep
) -> Response:
    """Acknowledge an alert, and show the page again."""
    acknowledge(number, services, account)
    return RedirectResponse(PAGE, 303)


@router.post(
    f"{PAGE}/rules",
    include_in_schema=False,
    dependencies=[needs(Permission.ADMINISTER), form_of(PAGE, RuleForm)],
)
def review_rule(
    request: Request, present: PresentDep, form: Annotated[RuleForm, Form()]
) -> Response:
    """Show what a made, changed or removed rule changes in the file, before writing it."""
    rules = rules_with(present.rules, form)
    changes = {} if rules == present.rules else {RULES: rules}
    return show_change(request, present, form.digest, changes, back=PAGE)
