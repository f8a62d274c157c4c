"""What the dashboard's own certificate says: its names, and whether browsers trust it by
themselves.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any


def names_in(certificate: Path, key: Path) -> frozenset[str]:
    """Return the host names that a certificate carries, in small letters.

    None where it cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is its own proof here
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError):
        return frozenset()
    shown = _shown_to(context, certificate, key) or {}
    names = shown.get("subjectAltName", ())
    return frozenset(value.lower() for kind, value in names if kind == "DNS")


def is_trusted(certificate: Path, key: Path) -> bool:
    """Tell whether an authority that this system trusts has signed a certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    return _shown_to(context, certificate, key) is not None


def _shown_to(client: ssl.SSLContext, certificate: Path, key: Path) -> dict[str, Any] | None:
    """Return a certificate as a client sees it, or ``None`` when that refuses it.

    Python reads certificates in handshakes only, so there is one, in memory.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    to_server = ssl.MemoryBIO()
    to_client = ssl.MemoryBIO()
    try:
        server.load_cert_chain(certificate, key)
        asking = client.wrap_bio(to_client, to_server)
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (asking, answering):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return asking.getpeercert()
    except (OSError, ssl.SSLError, ValueError):
        return None
