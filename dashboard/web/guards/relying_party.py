"""Under which name passkeys are made and used: the host name in the address bar."""

from __future__ import annotations

from fastapi import Request

from dashboard.accounts.passkeys.ceremonies import RelyingParty
from dashboard.web.guards.hosts import host_of, is_address
from dashboard.web.settings import DashboardOptions

_LOCAL = "localhost"


def relying_party(request: Request, options: DashboardOptions) -> RelyingParty | None:
    """Return under which name a browser has the dashboard open.

    ``None``: browsers know no passkeys there. They want a name, not an address, and HTTPS, but on
    the machine itself (``localhost``).
    """
    asked = request.headers.get("host", "").lower()
    host = host_of(asked)
    if not host or host.endswith(".") or is_address(host):
        return None
    if not options.is_secure and host != _LOCAL:
        return None
    scheme = "https" if options.is_secure else "http"
    return RelyingParty(host, f"{scheme}://{asked}")
