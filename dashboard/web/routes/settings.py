"""The page and API of the configuration: shown in full, changed where that is safe."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext as _
from dashboard.languages.names import said_of, translate
from dashboard.web import configuration
from dashboard.web.errors import may_refuse
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.login import AccountDep
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.services import Services, ServicesDep
from edge_agent.alerts.rules import KIND_NAMES
from edge_agent.config.editing import ConfigChangedError
from edge_agent.config.keys import RULES, Kind, all_keys, variable_of
from edge_agent.core.errors import ConfigError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind

router = APIRouter(tags=["settings"], dependencies=[needs(Permission.ADMINISTER)])
NAVIGATION = NavigationEntry(
    N_("Settings"), "/settings", 80, "M4 7h9M17 7h3M15 4v6M4 17h3M11 17h9M9 14v6", group=DEVICE
)
PAGE = "/settings"
_MOST_FIELDS = 1500
_RULE_LABELS = {
    "name": N_("Name (a–z, 0–9 and -)"),
    "when": N_("What is watched"),
    "vital": N_("Vital sign"),
    "above": N_("Alert above"),
    "below": N_("Alert below"),
    "margin": N_("Ends only this far within the limit"),
    "seconds": N_("Begins after, seconds"),
    "clear_seconds": N_("Ends after, seconds"),
    "in_sessions": N_("Only during sessions"),
    "notify": N_("Send to the addresses"),
}


class SettingModel(BaseModel):
    """A key of the configuration."""

    name: str = Field(description="With its section, such as camera.fps.")
    description: str = Field(description="What it is.")
    kind: Kind = Field(description="How it is typed in.")
    value: Any = Field(description="What holds; of a secret only whether there is one.")
    default: Any = Field(description="What holds where it is left out.")
    source: str = Field(description="file, environment or default.")
    line: int | None = Field(description="Of the file.")
    choices: list[str] = Field(description="What it may be; empty: anything within the limits.")
    least: float | None = Field(description="Lower limit of a number.")
    most: float | None = Field(description="Upper limit of a number.")
    editable: bool = Field(description="Whether it may be changed here.")
    read_by: list[str] = Field(description="Services to start again after a change.")


class SettingsModel(BaseModel):
    """The whole configuration."""

    file: str | None = Field(description="Its file; null: there is none.")
    digest: str = Field(description="Names the content of the file; a change must give it.")
    writable: bool = Field(description="Whether the dashboard may write the file.")
    problem: str = Field(description="What is wrong with the file; empty: nothing.")
    settings: list[SettingModel] = Field(description="Every key, in the order of the file.")
    rules: list[dict[str, Any]] = Field(description="Rules of alerts, as they are written.")


class SettingsChange(BaseModel):
    """The requested change of the configuration."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(max_length=64, description="Of the file that was looked at.")
    changes: dict[str, Any] = Field(
        min_length=1,
        max_length=200,
        description="New values by key; null leaves a key out; alerts.rule is the list of all "
        "rules.",
    )


class SettingsChangeModel(BaseModel):
    """A change that was checked, and perhaps written."""

    difference: list[str] = Field(description="Changed lines, with - and + before them.")
    restart: str = Field(description="The command after which it counts.")
    command: str = Field(description="The command that makes the same change.")
    copy_of_before: str = Field(description="Where the file of before lies; empty: not written.")


async def _sent_fields(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    return {name: value for name, value in form.items() if isinstance(value, str)}


SentDep = Annotated[dict[str, str], Depends(_sent_fields)]


@router.get(PAGE, include_in_schema=False)
def settings_page(request: Request, services: ServicesDep) -> Response:
    """Show every setting with its value, and fields for those that may be changed."""
    present = configuration.read_present(services.options.config)
    return _form(request, present, configuration.fields_of(present), present.rules)


@router.get(f"{PAGE}/file", include_in_schema=False)
def file_page(request: Request, services: ServicesDep) -> Response:
    """Show the settings that can only be changed in the file, with their values."""
    present = configuration.read_present(services.options.config)
    return render(
        request,
        "settings_file.html",
        present=present,
        sections=_sections(),
        text_of=configuration.text_of,
    )


@router.post(PAGE, include_in_schema=False)
def change_page(request: Request, services: ServicesDep, sent: SentDep) -> Response:
    """Show the changes that a form would make in the file, before writing them."""
    present = configuration.read_present(services.options.config)
    changes = configuration.changes_of(present, sent)
    try:
        if not changes:
            raise ConfigError(_("Nothing was changed."))
        change = configuration.planned(present, sent.get("digest", ""), changes)
    except ConfigError as error:
        # The fields of before would undo what was changed in the file meanwhile.
        if isinstance(error, ConfigChangedError):
            fields, rules = configuration.fields_of(present), present.rules
            return _form(request, present, fields, rules, _refused(request, error, ()))
        fields = configuration.fields_of(present) | {
            name: configuration.text_of(value) for name, value in changes.items()
        }
        rules = changes.get(RULES, present.rules)
        return _form(request, present, fields, rules, _refused(request, error, changes))
    return _review(request, present, change)


@router.post(f"{PAGE}/save", include_in_schema=False)
def save_page(
    request: Request, services: ServicesDep, account: AccountDep, sent: SentDep
) -> Response:
    """Write a change that was shown before."""
    present = configuration.read_present(services.options.config)
    try:
        wanted = SettingsChange(
            digest=sent.get("digest", ""), changes=json.loads(sent.get("changes", ""))
        )
        # Checked once more: the fields went through the browser, and the file may have changed.
        change = configuration.planned(present, wanted.digest, wanted.changes)
        copy = _written(services, account.name, present, change)
    except (ConfigError, ValidationError, json.JSONDecodeError) as error:
        present = configuration.read_present(services.options.config)
        fields = configuration.fields_of(present)
        return _form(request, present, fields, present.rules, _refused(request, error, ()))
    first_steps = services.first_steps.is_open()
    return render(request, "settings_saved.html", change=change, copy=copy, first_steps=first_steps)


@router.get("/api/v1/settings", operation_id="get_settings")
def get_settings(services: ServicesDep) -> SettingsModel:
    """Return every setting with value, source and description; no secret."""
    present = configuration.read_present(services.options.config)
    settings = [
        SettingModel(
            name=key.name,
            description=translate(key.description),
            kind=key.kind,
            value=present.values[key.name].value,
            default=None if key.secret else key.default,
            source=present.values[key.name].source,
            line=present.values[key.name].line,
            choices=list(key.choices),
            least=key.least,
            most=key.most,
            editable=key.is_editable,
            read_by=list(key.read_by),
        )
        for key in all_keys()
    ]
    return SettingsModel(
        file=str(present.file.path) if present.file else None,
        digest=present.file.digest if present.file else "",
        writable=present.is_writable,
        problem=present.problem,
        settings=settings,
        rules=present.rules,
    )


@router.post(
    "/api/v1/settings/difference", operation_id="preview_settings_change", responses=may_refuse(409)
)
def get_difference(services: ServicesDep, wanted: SettingsChange) -> SettingsChangeModel:
    """Check a change and return what it would do to the file; nothing is written."""
    change = _planned(configuration.read_present(services.options.config), wanted)
    return _change_model(change, "")


@router.patch("/api/v1/settings", operation_id="change_settings", responses=may_refuse(409))
def patch_settings(
    services: ServicesDep, account: AccountDep, wanted: SettingsChange
) -> SettingsChangeModel:
    """Write a change into the file; the services use it after they were started again."""
    present = configuration.read_present(services.options.config)
    change = _planned(present, wanted)
    try:
        return _change_model(change, _written(services, account.name, present, change))
    except ConfigError as error:
        raise HTTPException(409, said_of(error)) from error


def _planned(present: configuration.Present, wanted: SettingsChange) -> configuration.Change:
    try:
        configuration.refuse_other_types(wanted.changes)
        return configuration.planned(present, wanted.digest, wanted.changes)
    except ConfigChangedError as error:
        raise HTTPException(409, said_of(error)) from error
    except ConfigError as error:
        raise HTTPException(422, said_of(error)) from error


def _written(
    services: Services, actor: str, present: configuration.Present, change: configuration.Change
) -> str:
    if not present.is_writable:
        raise ConfigError(
            _(
                "{file} belongs to the system, so the dashboard cannot write it. On the device, "
                "run: {command}"
            ).format(file=change.before.path, command=change.command)
        )
    copy = configuration.written_to(change)
    services.commands.note(actor, "settings_change", change.told())
    return str(copy)


def _change_model(change: configuration.Change, copy: str) -> SettingsChangeModel:
    return SettingsChangeModel(
        difference=change.lines, restart=change.restart, command=change.command, copy_of_before=copy
    )


def _form(
    request: Request,
    present: configuration.Present,
    fields: dict[str, str],
    rules: list[dict[str, Any]],
    refused: Refused = NOTHING_REFUSED,
) -> Response:
    return render(
        request,
        "settings.html",
        422 if refused.action else 200,
        refused=refused,
        present=present,
        fields=fields,
        rules=rules,
        sections=_sections(),
        variable_of=variable_of,
        text_of=configuration.text_of,
        rule_fields=configuration.RULE_FIELDS,
        rule_labels=_RULE_LABELS,
        whens=KIND_NAMES,
        kinds={kind.value: kind.spec.label for kind in VitalKind},
    )


def _refused(request: Request, error: Exception, names: Iterable[str]) -> Refused:
    """Return the refused form: each line of the error beside the key that it names."""
    lines: dict[str, list[str]] = {}
    for line in str(error).splitlines():
        name = next((name for name in names if f" {name} = " in line and name != RULES), "")
        lines.setdefault(name, []).append(line)
    return Refused(request.url.path, {}, {name: "\n".join(told) for name, told in lines.items()})


def _sections() -> dict[str, list[Any]]:
    """Return all keys but the rules by section, in the order of the file."""
    sections: dict[str, list[Any]] = {}
    for key in all_keys():
        if key.name != RULES:
            sections.setdefault(key.section, []).append(key)
    return sections


def _review(
    request: Request, present: configuration.Present, change: configuration.Change
) -> Response:
    return render(
        request,
        "settings_review.html",
        present=present,
        change=change,
        changes=json.dumps(change.values),
    )
