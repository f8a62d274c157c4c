"""A backup of the appliance by a button: prepared as an export is, always locked, for an
administrator.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field, SecretStr

from dashboard.accounts.roles import Permission
from dashboard.export_jobs import BackupRequest
from dashboard.web.authentication import AccountDep
from dashboard.web.forms import RequestError, as_problem_of, form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.services import ServicesDep
from edge_agent.core.texts import N_
from edge_agent.timeline.export.sealed import LONGEST, check_passphrase

router = APIRouter(tags=["backup"], dependencies=[needs(Permission.ADMINISTER)])
PAGE = "/backup"
NAVIGATION = NavigationEntry(
    N_("Backup"),
    PAGE,
    94,
    "M4 14v6h16v-6M12 3v11M8 10l4 4 4-4M16.5 17h.01",
    of="appliance",
    group=DEVICE,
)
_SECRET = ("passphrase", "again")


class BackupForm(BaseModel):
    """The form of a new backup."""

    passphrase: SecretStr = Field(SecretStr(""), max_length=LONGEST)
    again: SecretStr = Field(SecretStr(""), max_length=LONGEST)


@router.get(PAGE, include_in_schema=False)
def backup_page(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Show the form, the own backup, and how one is restored."""
    prepared = services.exports.of_account(account.id)
    is_backup = prepared is not None and isinstance(prepared.request, BackupRequest)
    return render(request, "backup.html", prepared=prepared if is_backup else None)


@router.post(
    PAGE, include_in_schema=False, dependencies=[form_of(PAGE, BackupForm, secret=_SECRET)]
)
def prepare_backup(
    services: ServicesDep, account: AccountDep, form: Annotated[BackupForm, Form()]
) -> Response:
    """Begin to write a backup; an export or backup of this account before it is deleted."""
    passphrase = form.passphrase.get_secret_value()
    if form.again.get_secret_value() != passphrase:
        raise RequestError(N_("The two passphrases differ. Enter both again."), field="again")
    as_problem_of("passphrase", partial(services.computing.call, check_passphrase, passphrase))
    # Before it is written: what leaves this machine must be written down.
    services.notes.note(account.name, "backup", "locked")
    services.exports.prepare(account.id, BackupRequest(services.options.config), passphrase)
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/prepared/{{token}}/delete", include_in_schema=False)
def delete_backup(services: ServicesDep, account: AccountDep, token: str) -> Response:
    """Delete a backup, or end its preparation."""
    prepared = services.exports.find(account.id, token)
    if prepared is not None:
        services.exports.drop(prepared)
    return RedirectResponse(PAGE, 303)
