"""The form of a step: a control for each key of its kind, and its answers as a file has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dashboard.protocols.media import MediaKind
from dashboard.protocols.steps import STEP_KINDS, StepKind, keys_of

_CONTROLS = {
    "text": "area",
    "ask": "area",
    "labels": "lines",
    "options": "lines",
    "seconds": "number",
    "scales": "scales",
    **dict.fromkeys(("practice", "required", "cross", "with_stimulus"), "switch"),
    **dict.fromkeys((kind.value for kind in MediaKind), "media"),
}
"""The control of a key, where it is no line of text."""
KEYS = tuple(
    dict.fromkeys(key for kind in STEP_KINDS for key in keys_of(kind.model) if key != "kind")
)
"""All keys of all kinds, each once."""


class Control(StrEnum):
    """Way in which a value is entered."""

    LINE = "line"
    AREA = "area"
    LINES = "lines"
    """Several texts, one a line."""
    NUMBER = "number"
    SWITCH = "switch"
    SCALES = "scales"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a step in its form.

    Attributes:
        key: its name in the file, and in the form.
        title: what people call it.
        control: how its value is entered.
        required: whether the file must have it.
        default: what holds where the file does not have it.
    """

    key: str
    title: str
    control: Control
    required: bool
    default: Any


def fields_of(kind: StepKind) -> Iterator[Field]:
    """Yield the keys of a kind in the order of its form."""
    for key in keys_of(kind.model):
        if key == "kind":
            continue
        field = kind.model.model_fields[key]
        default = None if field.is_required() else field.default
        control = Control(_CONTROLS.get(key, "line"))
        yield Field(key, field.title or key, control, field.is_required(), default)


def values_of(
    kind: StepKind, given: Mapping[str, Sequence[str]], present: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a form says, as a file has it; ``None`` takes a key out.

    What cannot be read goes into the file's check as it was typed.

    Args:
        kind: of the step.
        given: texts by key.
        present: the step in the file; empty for a new one.
    """
    values: dict[str, Any] = {"kind": kind.name}
    for field in fields_of(kind):
        value = _value(field.control, given.get(field.key, ()))
        # The default need not be written; where somebody has written it, it stays.
        is_default = value == field.default and field.key not in present
        values[field.key] = None if is_default else value
    return values


def _value(control: Control, given: Sequence[str]) -> Any:
    text = "".join(given[:1]).replace("\r\n", "\n")
    match control:
        case Control.SWITCH:
            return text == "true"
        case Control.NUMBER:
            return _number(text.strip())
        case Control.LINES:
            return tuple(line.strip() for line in text.strip("\n").split("\n"))
        case Control.SCALES:
            return tuple(given)
        case _:
            return text.strip() or None


def _number(text: str) -> float | str | None:
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError:
        return text
