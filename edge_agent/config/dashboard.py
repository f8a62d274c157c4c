"""The section ``[dashboard]``: the web server and what its pages offer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edge_agent.config.section import HomePath, Section
from edge_agent.core.study import Purpose


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
    purposes: tuple[Purpose, ...] = Field(
        tuple(Purpose), min_length=1, description="Purposes that can be chosen for sessions"
    )
    protocols: HomePath | None = Field(
        None, description="Folder of protocol files; left out: the shipped examples"
    )

    @model_validator(mode="after")
    def _certificate_with_key(self) -> DashboardSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self
