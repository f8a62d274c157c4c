"""A value for every field of a new session."""

from __future__ import annotations

from dataclasses import MISSING
from enum import StrEnum
from typing import Any

from edge_agent.core.study import SESSION_FIELDS, STORED, SessionField

Given = dict[str, Any]
"""What is said of a session: field → value."""


def said_of_session(participant: str = "P01") -> Given:
    """Return a value for each field that is not its default."""
    return {one.name: _other_value(one) for one in SESSION_FIELDS} | {"participant": participant}


def stored_in_session() -> Given:
    """Return a value that is not its default for each field that a row of ``session`` may lack."""
    return {one.name: _other_value(one) for one in STORED if one.default is not MISSING}


def _other_value(one: SessionField) -> Any:
    if isinstance(one.kind, type) and issubclass(one.kind, StrEnum):
        return [choice for choice in one.kind if choice is not one.default][1].value
    return "films" if one.kind is str else True
