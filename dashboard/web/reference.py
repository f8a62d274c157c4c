"""The description of the API (OpenAPI 3) as a page: its operations with parameters and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

JSON = "json"
_MOMENT = 1_790_000_000_000  # the time of the examples in docs/
_LATEST_MS = 32_503_680_000_000
_DEEPEST = 8
_TEXTS = {"date": "2026-09-21", "password": "…", "binary": "(bytes)"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in the address of a request: ``place`` is ``path``, ``query`` or ``header``."""

    name: str
    place: str
    kind: str
    about: str
    is_needed: bool


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is sent or comes back: its media type, and an example where that is JSON.

    ``status`` is that of an answer, with its ``about``.
    """

    media_type: str
    example: str
    status: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API.

    Attributes:
        group: what it is about, its first tag.
        about: one sentence.
        details: further paragraphs; the last says which scope and role it needs.
        refusals: statuses of errors.
    """

    group: str
    name: str
    method: str
    path: str
    about: str
    details: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    bodies: tuple[Body, ...]
    answers: tuple[Body, ...]
    refusals: tuple[str, ...]


def groups_of(document: Mapping[str, Any]) -> list[tuple[str, list[Operation]]]:
    """Return the operations of a description in their groups, by name."""
    operations = sorted(_Reader(document).operations(), key=attrgetter("group"))
    return [(name, list(own)) for name, own in groupby(operations, attrgetter("group"))]


class _Reader:
    """Reads a description, following its references."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def operations(self) -> Iterator[Operation]:
        for path, item in self._document["paths"].items():
            for method, operation in item.items():
                yield self._operation(path, method, operation)

    def _operation(self, path: str, method: str, operation: Mapping[str, Any]) -> Operation:
        about, *details = _plain(operation["description"]).split("\n\n")
        refusals = tuple(sorted(code for code in operation["responses"] if int(code) >= 400))
        return Operation(
            group=operation["tags"][0],
            name=operation["operationId"],
            method=method.upper(),
            path=path,
            about=about,
            details=tuple(details),
            parameters=tuple(self._parameter(one) for one in operation.get("parameters", ())),
            bodies=tuple(self._bodies(operation.get("requestBody", {}))),
            answers=tuple(
                body
                for code, answer in operation["responses"].items()
                if code not in refusals
                for body in self._bodies(answer, code)
            ),
            refusals=refusals,
        )

    def _parameter(self, given: Mapping[str, Any]) -> Parameter:
        return Parameter(
            name=given["name"],
            place=given["in"],
            kind=self._kind(given["schema"]),
            about=_plain(given.get("description", "")),
            is_needed=given.get("required", False),
        )

    def _bodies(self, given: Mapping[str, Any], status: str = "") -> Iterator[Body]:
        about = given.get("description", "")
        for media_type, content in given.get("content", {}).items():
            example = ""
            if media_type.endswith(JSON):
                example = json.dumps(self._example(content["schema"]), indent=2, ensure_ascii=False)
            yield Body(media_type, example, status, about)
        if status and "content" not in given:
            yield Body("", "", status, about)

    def _followed(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a reference or a choice leads to first."""
        while True:
            if "$ref" in schema:
                target: Any = self._document
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
                schema = target
            elif choice := schema.get("anyOf") or schema.get("oneOf"):
                schema = next(one for one in choice if one.get("type") != "null")
            else:
                return schema

    def _kind(self, schema: Mapping[str, Any]) -> str:
        """Return the type of a value with its bounds, such as ``integer, 1 to 2000``."""
        inner = self._followed(schema)
        if inner.get("type") == "array":
            return f"{self._kind(inner['items'])}, several"
        values = inner.get("enum") or ([inner["const"]] if "const" in inner else [])
        parts = [" | ".join(map(str, values)) or inner.get("type", "")]
        if "minimum" in inner and inner.get("maximum", _LATEST_MS) < _LATEST_MS:
            parts.append(f"{inner['minimum']} to {inner['maximum']}")
        if schema.get("default") not in (None, ""):
            parts.append(f"default {json.dumps(schema['default'])}")
        return ", ".join(parts)

    def _example(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """Return a value of a schema, the simplest that says what it is."""
        if schema.get("default") not in (None, "", [], {}):
            return schema["default"]
        inner = self._followed(schema)
        if "const" in inner or "enum" in inner:
            return inner.get("const", inner.get("enum", [None])[0])
        if inner.get("type") == "object" and depth < _DEEPEST:
            return self._object(inner, depth + 1)
        if inner.get("type") == "array" and depth < _DEEPEST:
            given = inner.get("prefixItems") or [inner["items"]]
            return [self._example(one, depth + 1) for one in given]
        return _simple_example(inner)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        own = {
            name: self._example(one, depth) for name, one in schema.get("properties", {}).items()
        }
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            name = self._example(schema.get("propertyNames", {"type": "string"}), depth)
            own[str(name)] = self._example(others, depth)
        return own


def _simple_example(schema: Mapping[str, Any]) -> bool | float | str:
    kind = schema.get("type")
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return _MOMENT if schema.get("maximum") == _LATEST_MS else schema.get("minimum") or 1
    return _TEXTS.get(schema.get("format", ""), "…")


def _plain(text: str) -> str:
    """Return a text of the description without the marks of code."""
    return text.replace("`", "").strip()
