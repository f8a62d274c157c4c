"""The section ``[deposit]``: whose study it is, for what is deposited in an archive."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from edge_agent.config.section import Editable, Section

_MOST = 100


def _is_one_line(text: str) -> str:
    if any(not one.isprintable() for one in text):
        raise ValueError("write it on one line, without control characters")
    return text


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(_is_one_line)
]


class DepositSettings(Section):
    """The people and the terms that a deposit names; nothing of it decides how rows come about."""

    title: Editable[Line] = Field(
        "", title="Title of the data set", description="Title of the data set"
    )
    authors: tuple[Line, ...] = Field(
        (),
        max_length=_MOST,
        description="Names of the authors, each with an ORCID if wanted: "
        '"Ada Example <https://orcid.org/0000-0002-1825-0097>"',
    )
    institution: Editable[Line] = Field(
        "",
        title="Institution",
        description="Institution that publishes the data set, with an address if wanted: "
        '"Example University <https://ror.org/…>"',
    )
    licence: Editable[Line] = Field(
        "",
        title="Licence of the data",
        description="Terms of use of the data: the address of a licence, or its name",
    )
