"""Reduces documents, commands and values to their shape: names and types, without texts for people.

A shape is JSON: a text names a simple type with its bounds, an object holds the shapes of its
fields (a name with a question mark may be missing), and what may take several names lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import click

from affect_edge.options import LateCommand
from edge_agent.config.removed import RemovedCommand, is_removed

ROOT = PurePath(__file__).parents[2]

Shape = Any
"""A JSON value: text, number, truth value, list, or object."""

_FOR_PEOPLE = {"title", "description", "summary", "examples", "example", "$defs", "editable"}
_NESTED = {"properties", "required", "items", "additionalProperties", "enum", "$ref"}
_NESTED |= {"anyOf", "oneOf", "allOf"}
_TYPES = {"type", "const", "format"}
_SCALARS = (str, int, float, bool)
_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "text", type(None): "null"}


class Schemas:
    """Reduces JSON schemas; references are followed, so that the names of classes do not matter.

    Args:
        definitions: name → schema, as the document holds them.
        with_bounds: whether bounds, defaults and the refusal of other fields belong to the shape.
    """

    def __init__(self, definitions: Mapping[str, Any], *, with_bounds: bool = True) -> None:
        self._definitions = definitions
        self._with_bounds = with_bounds
        self._open: list[str] = []

    def shape(self, schema: Mapping[str, Any]) -> Shape:
        """Return the shape of a schema: a text for a simple value, else an object."""
        if "$ref" in schema:
            return self._referred(schema)
        alternatives = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if alternatives:
            return self._any_of(alternatives, self._rest(schema))
        rest = self._rest(schema)
        if schema.get("type") == "object" or "properties" in schema:
            return self._fields(schema, rest)
        if "items" in schema:
            rest.pop("type", None)
            return _list_of(self.shape(schema["items"]), rest)
        if "enum" in schema and "const" not in schema:
            return {"one of": list(schema["enum"])} | _without(rest, "type")
        return _words(rest)

    def _referred(self, schema: Mapping[str, Any]) -> Shape:
        name = schema["$ref"].rpartition("/")[2]
        if name in self._open:
            return "itself"
        self._open.append(name)
        found = self.shape(self._definitions[name])
        self._open.pop()
        return _with(found, self._rest(schema))

    def _any_of(self, schemas: Sequence[Mapping[str, Any]], rest: dict[str, Any]) -> Shape:
        shapes = [self.shape(one) for one in schemas if one.get("type") != "null"]
        rest = _without(rest, "type", "discriminator")
        if len(shapes) < len(schemas):
            rest = {"or null": True} | rest
        if len(shapes) == 1:
            return _with(shapes[0], rest)
        if all(isinstance(shape, str) for shape in shapes):
            return _with(" | ".join(shapes), rest)
        return {"any of": shapes} | rest

    def _fields(self, schema: Mapping[str, Any], rest: dict[str, Any]) -> Shape:
        required = set(schema.get("required", ()))
        fields = {
            optional(name, name not in required): self.shape(inner)
            for name, inner in schema.get("properties", {}).items()
        }
        if "$ref" in rest.get("propertyNames", {}):
            rest["propertyNames"] = self.shape(rest["propertyNames"])
        others = schema.get("additionalProperties")
        if others is False and self._with_bounds:
            fields["(other fields)"] = "refused"
        elif isinstance(others, Mapping):
            fields["(any name)"] = self.shape(others)
        kept = _without(rest, "type", "default")
        return fields | kept if fields or kept else "object"

    def _rest(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a schema says beside its structure and its texts."""
        told = [key for key in schema if key not in _FOR_PEOPLE | _NESTED]
        return {key: schema[key] for key in told if self._with_bounds or key in _TYPES}


def optional(name: str, missing: bool) -> str:
    return f"{name}?" if missing else name


def _without(rest: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in rest.items() if key not in names}


def _words(rest: Mapping[str, Any]) -> str:
    """Write a simple type and its bounds as one text, such as ``integer, maximum 8, minimum 1``."""
    words = [str(rest.get("type", "anything"))]
    for key in sorted(_without(rest, "type")):
        said = "" if key == "or null" else f" {json.dumps(rest[key], sort_keys=True)}"
        words.append(f"{key}{said}")
    return ", ".join(words)


def _with(shape: Shape, more: Mapping[str, Any]) -> Shape:
    """Add bounds or a default to a shape."""
    if not more:
        return shape
    if isinstance(shape, str):
        return _words({"type": shape} | dict(more))
    return dict(shape) | {f"({key})": value for key, value in more.items()}


def _list_of(element: Shape, rest: Mapping[str, Any]) -> Shape:
    if isinstance(element, str):
        return _words({"type": f"list of {element}"} | dict(rest))
    return {"list of": element} | {f"({key})": value for key, value in rest.items()}


def value_shape(value: Any) -> Shape:
    """Return the shape of a JSON value; a list has the one shape that all of its elements fit."""
    return shape_of_all([value])


def shape_of_all(values: Iterable[Any]) -> Shape:
    """Return the shape that all of these values fit; a field that some lack has a question mark."""
    simple: set[str] = set()
    objects: list[Mapping[str, Any]] = []
    lists: list[Sequence[Any]] = []
    for value in values:
        if isinstance(value, Mapping):
            objects.append(value)
        elif isinstance(value, list | tuple):
            lists.append(value)
        else:
            simple.add(_SIMPLE[type(value)])
    shapes: list[Shape] = [" | ".join(sorted(simple))] if simple else []
    shapes += [_fields_of(objects)] if objects else []
    shapes += [_elements_of(lists)] if lists else []
    return shapes[0] if len(shapes) == 1 else {"any of": shapes}


def _fields_of(objects: Sequence[Mapping[str, Any]]) -> dict[str, Shape]:
    names = dict.fromkeys(name for one in objects for name in one)
    found = {}
    for name in names:
        values = [one[name] for one in objects if name in one]
        found[optional(name, len(values) < len(objects))] = shape_of_all(values)
    return found


def _elements_of(lists: Iterable[Sequence[Any]]) -> list[Shape]:
    elements = [element for one in lists for element in one]
    return [shape_of_all(elements)] if elements else []


def command_shapes(
    command: click.Command, name: str, parent: click.Context | None = None
) -> dict[str, Shape]:
    """Return name → shape of a command and of all commands below it.

    Removed commands and options are left out: they only say what to do instead.
    """
    if isinstance(command, LateCommand):
        command = command.loaded()
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    shape: dict[str, Shape] = {}
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [
        one for one in command.params if isinstance(one, click.Option) and not is_removed(one)
    ]
    if arguments:
        numbered = enumerate(arguments, start=1)
        shape["arguments"] = {str(number): _parameter(one) for number, one in numbered}
    shape["options"] = {_flags(one): _parameter(one) for one in options}
    if command.add_help_option:
        shape["help"] = sorted(command.get_help_option_names(context))
    if context.ignore_unknown_options:
        shape["unknown options"] = "passed on"
    found = {name: shape}
    for inner, below in getattr(command, "commands", {}).items():
        if not isinstance(below, RemovedCommand):
            found |= command_shapes(below, f"{name} {inner}", context)
    return found


def _flags(option: click.Option) -> str:
    return " ".join([*option.opts, *option.secondary_opts])


def _parameter(parameter: click.Parameter) -> Shape:
    """Say what an option or an argument takes, how often, and what it is when it is not given."""
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    words = ["flag" if flag else _type_of(parameter.type)]
    default = _default_of(parameter)
    rules = {
        "required": parameter.required,
        "may be repeated": bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1,
        "hidden": bool(getattr(parameter, "hidden", False)),
        f"default {json.dumps(default)}": default not in (None, False, []),
    }
    words += [rule for rule, holds in rules.items() if holds]
    if isinstance(parameter.type, click.Choice):
        choices = [str(choice) for choice in parameter.type.choices]
        return {"takes": ", ".join(words), "choices": choices}
    return ", ".join(words)


def _type_of(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.Path):
        return "path"
    if isinstance(kind, click.Choice):
        return "choice"
    if isinstance(kind, click.DateTime):
        return f"time ({', '.join(kind.formats)})"
    if isinstance(kind, click.IntRange | click.FloatRange):
        least = "more than" if kind.min_open else "from"
        bounds = [f"{least} {kind.min}"] if kind.min is not None else []
        bounds += [f"to {kind.max}"] if kind.max is not None else []
        return " ".join([kind.name.removesuffix(" range"), *bounds])
    return "anything" if kind is click.UNPROCESSED else kind.name


def _default_of(parameter: click.Parameter) -> Any:
    default = parameter.default
    if isinstance(default, PurePath):  # where the checkout lies is nobody's business
        return (
            default.relative_to(ROOT).as_posix()
            if default.is_relative_to(ROOT)
            else default.as_posix()
        )
    if isinstance(default, Iterable) and not isinstance(default, str):
        return [str(one) for one in default]
    return default if isinstance(default, _SCALARS) else None  # what was not given has no JSON
