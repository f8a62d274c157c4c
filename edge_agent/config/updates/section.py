"""The section ``[updates]``: where newer releases are looked for, if anywhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from edge_agent.config.section import Section


def _checked(text: str) -> str:
    """Refuse what is neither an address of https nor an absolute folder."""
    written = all("!" <= sign <= "~" for sign in text)
    if not (text.startswith("/") or (text.startswith("https://") and written and len(text) > 8)):
        raise ValueError(
            f"{text!r} is neither an https:// address nor a folder that begins with /; what is "
            "signed is published in one or the other"
        )
    return text


Published = Annotated[str, AfterValidator(_checked)]
"""Where signed files are published."""


class UpdatesSettings(Section):
    """Where newer releases are looked for: nowhere, unless the owner names a place."""

    feed: Published | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Address (https://…) or folder in which newer releases are published; looked "
        "at once a day, never installed by itself; set it by `affect-edge update --feed`",
    )
