"""Fields of sessions and labels of markers in the models of what others send, by HTTP and MQTT."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from edge_agent.core.study import IN_MESSAGES, LABEL_LENGTH, SESSION_FIELDS, SessionField

GivenLabel = Annotated[
    str,
    Field(
        max_length=LABEL_LENGTH,
        description="Condition or note; may be empty for stimulus_end, baseline",
    ),
]


def session_field(name: str) -> Any:
    """Return the field of a model for one of ``NewSession``: its default, bounds, description."""
    return _field_of(next(one for one in SESSION_FIELDS if one.name == name))


def optional_session_fields() -> dict[str, Any]:
    """Return all fields of ``NewSession`` as ``create_model`` takes them; each may be left out."""
    return {
        one.name: (one.kind | None, _field_of(one, None))
        if one.is_needed
        else (one.kind, _field_of(one))
        for one in SESSION_FIELDS
    }


def message_session_fields() -> dict[str, Any]:
    """Return the fields of a model for messages about a session, as ``create_model`` takes them."""
    fields: dict[str, Any] = {}
    for one in IN_MESSAGES:
        # A text, so that a reader outlives a new choice.
        kind = str if isinstance(one.kind, type) and issubclass(one.kind, str) else one.kind
        fields[one.name] = (kind, Field(description=one.about.text))
    return fields


def _field_of(one: SessionField, default: Any = ...) -> Any:
    """Return a field with the default of ``NewSession``, or else this; ``...``: there is none."""
    about = one.about
    least = 1 if one.is_needed and one.kind is str and default is ... else None
    return Field(
        default if one.is_needed else one.default,
        min_length=least,
        max_length=about.most,
        description=about.text,
    )
