"""The section ``[dashboard]``: the web server and what its pages offer."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from edge_agent.config.section import Editable, HomePath, Section
from edge_agent.core.study import Purpose

_SCHEMES = ("postgresql", "postgres")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_HEADERS_OF_OTHERS = frozenset({"authorization", "cookie", "host", "origin", "affect-edge-proxy"})


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
    second_factor_for: tuple[Literal["viewer", "operator", "researcher", "administrator"], ...] = (
        Field(
            (),
            description="Roles whose accounts have to turn on a second factor before anything else",
        )
    )
    purposes: Editable[tuple[Purpose, ...]] = Field(
        tuple(Purpose), min_length=1, description="Purposes that can be chosen for sessions"
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
        (), max_length=20, description="Addresses from which that proxy comes, such as 127.0.0.1"
    )
    proxy_secret_file: HomePath | None = Field(
        None,
        description="File whose first line, of 32 characters or more, that proxy sends in the "
        "header Affect-Edge-Proxy",
    )
    source: str | None = Field(
        None,
        min_length=1,
        description="Show many devices from the PostgreSQL that affect-edge collect writes to, "
        "such as postgresql://reader@db.example/fleet; left out: this appliance",
    )
    source_password_file: HomePath | None = Field(
        None,
        description="File whose first line is the password of that account; left out: from "
        "PGPASSWORD or a .pgpass, or none",
    )

    @field_validator("source")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            has_password = parts.password is not None or "password" in parse_qs(parts.query)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"source is no address ({error})") from error
        if has_password:  # not named: it would reach logs and screens
            raise ValueError(
                "source holds a password. Write it on the first line of a file and name that with "
                "source_password_file, or give it as PGPASSWORD"
            )
        if parts.scheme not in _SCHEMES:
            raise ValueError(
                f"source = {value!r:.80} is no address of PostgreSQL, such as "
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
                f"proxy_header = {value!r:.80} is no name of a header that a proxy may use, such "
                "as X-Remote-User"
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
                    f"proxy_addresses: {one!r:.80} is no network address, such as 127.0.0.1"
                ) from error
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = (self.proxy_header, self.proxy_secret_file, self.proxy_addresses or None)
        if any(given) and not all(given):
            raise ValueError(
                "proxy_header, proxy_addresses and proxy_secret_file go together: give all or none"
            )
        if self.source is None and self.source_password_file is not None:
            raise ValueError("source_password_file needs source, the address of PostgreSQL")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self
