"""Texts in templates: ``_("…")`` in an expression, and a block for a sentence with marks in it.

    {% trans count=readings|length, total=all|thousands %}<strong>{{ count }}</strong> of
    {{ total }} readings{% endtrans %}
    {% trans count=n %}One reading{% pluralize count %}{{ count }} readings{% endtrans %}

Places are named as in Python: the catalogue holds ``<strong>{count}</strong> of {total} readings``.
White space is folded. What fills a place is escaped; the text itself is not.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup, escape

from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import moment, moments_in
from edge_agent.core.clock import iso_utc

BLOCK = "block_text"
BLOCK_PLURAL = "block_plural"


@dataclass(frozen=True, slots=True)
class PageRecord:
    """The names that a template gets, each with its type.

    ``make quick`` refuses a template that asks for a name which neither its record has, nor those
    ``beside`` it, nor the one of every page.

    Attributes:
        template: the file.
        beside: records whose names the template gets as well.
    """

    template: ClassVar[str] = ""
    beside: ClassVar[tuple[type[PageRecord], ...]] = ()

    def names(self) -> dict[str, Any]:
        """Return each name with its value."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}


def local_time(wall_ms: int | None, form: str = "datetime") -> str:
    """Write an instant as a ``<time>`` element in UTC, which the page's script turns into the
    reader's time zone.

    Args:
        wall_ms: UTC milliseconds since 1970; ``None`` gives a dash.
        form: ``datetime``, ``date`` or ``time``.
    """
    if wall_ms is None:
        return Markup("–")
    return Markup('<time datetime="{}" data-local="{}">{}</time>').format(
        iso_utc(wall_ms), form, moment(wall_ms, form)
    )


def with_times(text: object) -> str:
    """Write a sentence with its times as ``local_time`` does: all times of a page have one zone."""
    parts = [
        escape(part) if at_ms is None else local_time(at_ms)
        for part, at_ms in moments_in(str(text))
    ]
    return Markup().join(parts)


def text(message: str, /, **places: object) -> str:
    """Return a text in the language in use, its places filled; the template escapes what is not
    marked as safe.
    """
    return _fill(_safe_beside(gettext(message), places), places)


def plural(singular: str, several: str, n: int, /, **places: object) -> str:
    """Return the text for ``n`` things, its places filled, ``n`` among them."""
    filling = {"n": n} | places
    return _fill(_safe_beside(ngettext(singular, several, n), filling), filling)


def block_text(message: str, /, **places: object) -> Markup:
    """Return the text of a block, which may hold marks of HTML."""
    return Markup(_fill(Markup(gettext(message)), places))  # noqa: S704 - ours; places are escaped


def block_plural(singular: str, several: str, n: int, /, **places: object) -> Markup:
    """Return the text of a block with two forms."""
    chosen = Markup(ngettext(singular, several, n))  # noqa: S704 - of the catalogue
    return Markup(_fill(chosen, places))  # noqa: S704 - places are escaped


def _safe_beside(text: str, places: dict[str, Any]) -> str:
    """Return the text escaped where a place is filled with HTML, such as a ``<time>``."""
    if any(isinstance(value, Markup) for value in places.values()):
        return escape(text)
    return text


def _fill(text: str, places: dict[str, Any]) -> str:
    if not places:
        return text
    return text.format(**places)


class TextBlocks(Extension):
    """The tag ``trans`` of templates, and the functions ``_`` and ``ngettext``."""

    tags = {"trans"}  # noqa: RUF012 - declared so by Jinja

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        environment.globals.update(
            {"_": text, "ngettext": plural, BLOCK: block_text, BLOCK_PLURAL: block_plural}
        )

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the node that writes the text of a block."""
        line = next(parser.stream).lineno
        places = _read_places(parser)
        singular = _body(parser, places)
        if parser.stream.current.test("name:pluralize"):
            next(parser.stream)
            counted = parser.stream.expect("name").value
            parser.stream.expect("block_end")
            several = _body(parser, places)
            name = BLOCK_PLURAL
            if counted not in places:
                parser.fail(f"the text has no place named {counted}", line)
            arguments = [nodes.Const(singular), nodes.Const(several), places[counted]]
        else:
            name = BLOCK
            arguments = [nodes.Const(singular)]
        if not parser.stream.current.test("name:endtrans"):
            parser.fail("a text ends with endtrans", line)
        next(parser.stream)
        given = [nodes.Keyword(key, value) for key, value in places.items()]
        call = nodes.Call(nodes.Name(name, "load"), arguments, given, None, None)
        return nodes.Output([call]).set_lineno(line)


def _read_places(parser: Parser) -> dict[str, nodes.Expr]:
    """Read the places that the opening tag fills."""
    places: dict[str, nodes.Expr] = {}
    stream = parser.stream
    while stream.current.type != "block_end":
        if places:
            stream.expect("comma")
        name = stream.expect("name").value
        if stream.skip_if("assign"):
            places[name] = parser.parse_expression()
        else:
            places[name] = nodes.Name(name, "load")
    stream.expect("block_end")
    return places


def _body(parser: Parser, places: dict[str, nodes.Expr]) -> str:
    """Read the text up to the next tag; places that it alone names are added."""
    stream = parser.stream
    parts: list[str] = []
    while not stream.skip_if("block_begin"):
        if stream.skip_if("variable_begin"):
            name = stream.expect("name").value
            stream.expect("variable_end")
            # A place that the tag did not declare is a variable of the template by that name.
            places.setdefault(name, nodes.Name(name, "load"))
            parts.append(f"{{{name}}}")
        else:
            parts.append(stream.expect("data").value)
    return " ".join("".join(parts).split())
