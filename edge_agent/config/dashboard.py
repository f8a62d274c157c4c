"""The section ``[dashboard]``: the web server and what its pages offer."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from edge_agent.config.section import Editable, GivenAddress, HomePath, Section, at_home
from edge_agent.core.addresses import Address, masked
from edge_agent.core.errors import ConfigError
from edge_agent.core.study import Purpose

_SCHEMES = ("postgresql", "postgres")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_HEADERS_OF_OTHERS = frozenset({"authorization", "cookie", "host", "origin", "affect-edge-proxy"})

SECRET_HEADER = "Affect-Edge-Proxy"  # noqa: S105 - the name of a header
LEAST_SECRET = 32

RoleName = Literal["carer", "viewer", "operator", "researcher", "administrator"]
"""The roles of accounts, as ``dashboard.accounts.roles`` has them."""


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A proxy that is trusted to name the account of a request.

    Attributes:
        header: in which it gives the name of the account.
        addresses: from which it comes.
        secret_file: its first line is what the proxy sends in `SECRET_HEADER`.
    """

    header: str
    addresses: tuple[str, ...]
    secret_file: Path

    def secret(self) -> str:
        """Return the secret, read from the file each time, so that it can change at run time.

        Raises:
            OSError: the file cannot be read.
        """
        lines = self.secret_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[0].strip() if lines else ""


def check_proxy(proxy: TrustedProxy) -> None:
    """Check that the proxy's secret exists and is long enough.

    Raises:
        ConfigError: the file cannot be read, or its first line is too short.
    """
    setting = f"dashboard.proxy_secret_file = '{proxy.secret_file}'"
    try:
        length = len(proxy.secret())
    except OSError as error:
        raise ConfigError(
            f"{setting}: cannot be read ({error.strerror}). The dashboard's own user must be able "
            "to read it."
        ) from error
    if length < LEAST_SECRET:
        raise ConfigError(
            f"{setting}: its first line has {length} characters; a secret needs at least "
            f"{LEAST_SECRET} (openssl rand -hex 32)."
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Served(Protocol):
    """The address of a dashboard, and its certificate."""

    @property
    def host(self) -> str:
        """The address to listen on."""

    @property
    def port(self) -> int:
        """The port to listen on."""

    @property
    def certificate(self) -> Path | None:
        """The TLS certificate."""


def check_open(served: Served) -> None:
    """Check that nothing is served to other machines without TLS.

    Raises:
        ConfigError: the address is reachable from other machines and no certificate is given.
    """
    if served.certificate is not None or is_loopback(served.host):
        return
    raise ConfigError(
        f"dashboard.host = {served.host!r} is reachable from other machines; without TLS "
        "passwords and health data would cross the network unencrypted. Give "
        "dashboard.certificate and dashboard.key (a self-signed pair: openssl req -x509 -newkey "
        "rsa:3072 -nodes -days 825 -subj /CN=affect-edge -keyout key.pem -out cert.pem), or "
        f"listen on 127.0.0.1 and reach it with: ssh -L {served.port}:127.0.0.1:{served.port} "
        "USER@THIS-MACHINE"
    )


class DashboardSettings(Section):
    """The web dashboard."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; 0.0.0.0: every network of this machine",
    )
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on")
    certificate: Path | None = Field(
        None, description="TLS certificate (PEM); needed for access from other machines"
    )
    key: Path | None = Field(None, description="Private key of the certificate (PEM)")
    names: tuple[str, ...] = Field(
        (),
        description="Further host names by which browsers may ask for it, beside those of the "
        "machine and its certificate; *.example.org: all names below",
    )
    language: Literal["auto", "en", "de", "es"] = Field(
        "auto",
        description="Language of pages for browsers that ask for none of English, German and "
        "Spanish, and of alerts that are sent; auto: English. Who is logged in chooses their own "
        "on the page Account",
    )
    session_hours: int = Field(12, ge=1, le=720, description="Hours after which a login ends")
    idle_minutes: int = Field(
        120,
        ge=5,
        le=1440,
        description="Minutes after which a login ends that nobody uses; an open page uses it",
    )
    second_factor_for: tuple[RoleName, ...] = Field(
        (), description="Roles whose accounts have to turn on a second factor before anything else"
    )
    purposes: Editable[tuple[Purpose, ...]] = Field(
        tuple(Purpose),
        min_length=1,
        title="Purposes of sessions",
        description="Purposes that can be chosen for sessions",
    )
    protocols: HomePath | None = Field(
        None, description="Folder of protocol files; left out: the shipped examples"
    )

    proxy_header: str | None = Field(
        None,
        description="Header in which a proxy names the account of who it has logged in, such as "
        "X-Remote-User; left out: everybody logs in here",
    )
    proxy_addresses: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Addresses of proxies before the dashboard, such as 127.0.0.1; their "
        "X-Forwarded-For tells which visitor failed to log in",
    )
    proxy_secret_file: HomePath | None = Field(
        None,
        description="File whose first line, of 32 characters or more, that proxy sends in the "
        "header Affect-Edge-Proxy",
    )
    source: GivenAddress | None = Field(
        None,
        description="Show many devices from the PostgreSQL that affect-edge collect writes to, "
        "such as postgresql://reader@db.example/fleet; left out: this appliance",
    )
    source_password_file: HomePath | None = Field(
        None,
        description="File whose first line is the password of that account; left out: from "
        "PGPASSWORD or a .pgpass, or none",
    )

    @property
    def proxy(self) -> TrustedProxy | None:
        """The proxy that is trusted to name accounts."""
        if self.proxy_header is None or self.proxy_secret_file is None:
            return None
        return TrustedProxy(
            self.proxy_header, self.proxy_addresses, at_home(self.proxy_secret_file)
        )

    @field_validator("names")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if "://" in one:
                raise ValueError(
                    f"names: {Address(one).shown!r:.80} is a URL. Write the name alone, such as "
                    "study.example.org"
                )
            host, colon, port = one.rpartition(":")
            if colon and ":" not in host.strip("[]") and port.isdecimal():
                raise ValueError(
                    f"names: {masked(one)!r:.80} ends with a port. Write the name alone: {host}"
                )
        return value

    @field_validator("source")
    @classmethod
    def _is_postgresql(cls, value: Address | None) -> Address | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.reveal())
            has_password = parts.password is not None or "password" in parse_qs(parts.query)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"source is no address ({value.hide_in(str(error))})") from error
        if has_password:  # not named: it would reach logs and screens
            raise ValueError(
                "source holds a password. Write it on the first line of a file and name that with "
                "source_password_file, or give it as PGPASSWORD"
            )
        if parts.scheme not in _SCHEMES:
            raise ValueError(
                f"source = {value.shown!r:.80} is no address of PostgreSQL, such as "
                "postgresql://reader@db.example/fleet"
            )
        return value

    @field_validator("proxy_header")
    @classmethod
    def _is_a_header(cls, value: str | None) -> str | None:
        if value is not None and (
            not _HEADER.fullmatch(value) or value.lower() in _HEADERS_OF_OTHERS
        ):
            raise ValueError(
                f"proxy_header = {masked(value)!r:.80} is no name of a header that a proxy may "
                "use, such as X-Remote-User"
            )
        return value

    @field_validator("proxy_addresses")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ipaddress.ip_address(one)
            except ValueError as error:
                raise ValueError(
                    f"proxy_addresses: {masked(one)!r:.80} is no network address, such as 127.0.0.1"
                ) from error
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        login = (self.proxy_header, self.proxy_secret_file)
        if any(login) and not (all(login) and self.proxy_addresses):
            raise ValueError(
                "proxy_header and proxy_secret_file go together, with proxy_addresses: give both "
                "or neither"
            )
        if self.source is None and self.source_password_file is not None:
            raise ValueError("source_password_file needs source, the address of PostgreSQL")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self
