"""The question of an analysis as a browser's form asks it, and what is said when it is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from dashboard.analysis.request import AnalysisQuery
from dashboard.languages.refused import refused_text

_SEVERAL = frozenset(
    {"session", "vital", "count_flagged", "prefer_source", "heart_measure", "states", "family"}
)


def query_of(fields: Iterable[tuple[str, str]]) -> AnalysisQuery:
    """Read the fields of the form; an empty field means its default.

    Raises:
        pydantic.ValidationError: an unknown field or a value that is not allowed.
    """
    single: dict[str, Any] = {}
    several: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        if name == "family":  # a line each
            several[name] += [line for line in value.splitlines() if line.strip()]
        elif name in _SEVERAL and (value.strip() or name != "states"):
            several[name].append(value)
        elif value.strip():
            single[name] = value
    return AnalysisQuery.model_validate(single | several)


def describe(error: ValidationError) -> list[str]:
    """Say for each wrong value its name, what was given and what is allowed, one sentence each; of
    what is wrong with all of them together only that.
    """
    sentences = []
    for detail in error.errors():
        text = refused_text(detail)
        name = ".".join(str(part) for part in detail["loc"])
        given = detail["input"]
        if not name:
            sentences.append(f"{text[:1].upper()}{text[1:]}.")
            continue
        shown = ", ".join(map(str, given)) if isinstance(given, list | tuple) else repr(given)
        sentences.append(f"{name} = {shown[:80]}: {text[:1].lower()}{text[1:]}.")
    return sentences
